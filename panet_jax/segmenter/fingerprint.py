"""A text that tells whether two segmenters give the same results."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

import panet_jax as pj

if TYPE_CHECKING:
    from panet_jax.segmenter.segmenter import Segmenter


def fingerprint(segmenter: 'Segmenter', *settings: object) -> str:
    """Twelve hexadecimal digits of everything on which a segmenter's results depend.

    Args:
        segmenter: the segmenter with its references.
        *settings: further values on which the results depend, such as thresholds.

    Returns:
        The digits; other references, weights, settings or another version of this package give others.
    """
    of_segmenter = {
        **segmenter.settings,
        'weights': None,
    }  # the hash of the network says which they are, wherever they lie
    parts = (pj.__version__, sorted(of_segmenter.items()), *settings)
    digest = hashlib.sha256(repr(parts).encode())
    for reference in segmenter.references.references:
        digest.update(f'{reference.name!r} {reference.image}'.encode())
        # Not their kind, which no file keeps.
        for marks in (reference.marks.foreground, reference.marks.background, reference.marks.drawn):
            digest.update(np.ascontiguousarray(marks).tobytes())
    for negative in segmenter.references.negatives:
        digest.update(negative.image.encode() + np.packbits(negative.region).tobytes())
    return digest.hexdigest()[:12]
