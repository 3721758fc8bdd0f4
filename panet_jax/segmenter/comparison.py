"""Compares one image with the references; the result is a Segmentation."""

import functools
import numbers

import jax
import numpy as np

from panet_jax.errors import InputError
from panet_jax.method.adapt import adaptation_of, adapted_logits
from panet_jax.method.prototypes import cosine_logits
from panet_jax.segmenter.decision import class_probabilities, reference_views
from panet_jax.segmenter.reference_set import ReferenceSet
from panet_jax.segmenter.segmentation import NEVER, Segmentation, absence


class Comparison:
    """Compares the features of images with references. What depends on the references alone is computed once.

    Args:
        references: the set to compare with.
        head: 'adapted' or 'panet', as for the Segmenter.
        present_above: threshold in [0, 1] of the probability that an image shows a class, below which the class is left
            out; None takes every class to be in every image.

    Raises:
        InputError: there are no references, they show no background, the threshold is wrong, or the references lack
            what a decision needs.
    """

    def __init__(self, references: ReferenceSet, head: str, present_above: float | None = None):
        self._prototypes, self._classes = references.prototypes(), references.classes
        shots = max((len(references.of_class(name)) for name in self._classes), default=0)
        self._adaptation = adaptation_of(head, shots)
        self._present_above, self._views = present_above, None
        if present_above is not None:
            _check_share(present_above)
            self._views = reference_views(references)

    def __call__(self, features: np.ndarray, shape: tuple[int, int]) -> Segmentation:
        """The Segmentation of an image.

        Args:
            features: [h, w, C] float32, features of the image.
            shape: (H, W) of the image.

        Returns:
            The Segmentation; with a threshold it has the probabilities, and the present classes only.
        """
        absent = self._by_class(_absence(features, self._prototypes))
        if self._views is None:
            logits = _logits(features, self._prototypes, adaptation=self._adaptation)
            return Segmentation(np.asarray(logits), shape, self._classes, absent)
        probabilities = class_probabilities(features, self._prototypes, self._views)
        # Prototypes are adapted after the decision: that of an absent class would adapt to whatever looks most like it.
        kept = np.concatenate([[True], probabilities > self._present_above])
        logits = np.full((*features.shape[:2], len(kept)), NEVER, np.float32)
        logits[..., kept] = _logits(features, self._prototypes[kept], adaptation=self._adaptation)
        return Segmentation(logits, shape, self._classes, absent, self._by_class(probabilities))

    def _by_class(self, values):
        return dict(zip(self._classes, np.asarray(values).tolist(), strict=True))


@functools.partial(jax.jit, static_argnames='adaptation')
def _logits(features, prototypes, adaptation):
    return adapted_logits(features, prototypes, adaptation)


@jax.jit
def _absence(features, prototypes):
    return absence(features, cosine_logits(features, prototypes), prototypes)


def _check_share(present_above):
    if not isinstance(present_above, numbers.Real) or not 0 <= present_above <= 1:
        raise InputError(f'present_above must be a number from 0 to 1 such as 0.1, got {present_above!r}.')
