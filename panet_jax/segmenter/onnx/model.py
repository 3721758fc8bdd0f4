"""The ONNX model of a Segmenter: network and references are constants, the image is the input."""

import json

import jax
import numpy as np

from panet_jax.segmenter.onnx.file import onnx_file
from panet_jax.segmenter.program import program_of
from panet_jax.segmenter.segmenter import Segmenter


def onnx_model(segmenter: Segmenter) -> bytes:
    """`program_of` as an ONNX model. It computes in float32, whatever the Segmenter's dtype.

    Args:
        segmenter: a Segmenter with references.

    Returns:
        The file's content. Input `image`, [1, S, S, 3] uint8; output `probabilities`, [1, S, S, 1 + N] float32. Its metadata
        are the labels (`classes`, in JSON), `encoder`, `hash` of the network, `head` and `size` S.

    Raises:
        InputError: there are no references, or they show no background; the library onnx is missing; the network has an
            operation that has no form in ONNX here, or is too large for a file.
    """
    network = segmenter.network
    about = {
        'classes': json.dumps(['background', *segmenter.classes]),
        'encoder': network.encoder.name,
        'hash': network.hash,
        'head': segmenter.head,
        'size': str(segmenter.size),
    }
    image = jax.ShapeDtypeStruct((1, segmenter.size, segmenter.size, 3), np.uint8)
    return onnx_file(program_of(segmenter, dtype='float32'), image, about)
