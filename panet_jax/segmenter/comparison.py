"""Compares one image with the references; the result is a Segmentation."""

import functools
import itertools
import numbers
from collections.abc import Mapping

import jax
import numpy as np

from panet_jax.errors import InputError
from panet_jax.images.resize import resize_image
from panet_jax.method.adapt import adaptation_of, adapted_logits
from panet_jax.method.answers import descriptor
from panet_jax.method.edges import SIDE, edge_logits
from panet_jax.method.expected_iou import expected_iou
from panet_jax.method.prototypes import cosine_logits
from panet_jax.segmenter.presence import class_probabilities, reference_statistics, taken_classes
from panet_jax.segmenter.reference_set import ReferenceSet
from panet_jax.segmenter.segmentation import NEVER, Segmentation, absence


class Comparison:
    """Compares the features of images with references. What depends on the references alone is computed once.

    Args:
        references: the set to compare with.
        head: 'adapted' or 'panet', as for the Segmenter.
        present_above: threshold in [0, 1] of the probability that an image shows a class, below which the class is left
            out; None takes every class to be in every image.
        edges: whether masks follow the edges of the image, as `edge_logits` has them.

    Raises:
        InputError: there are no references, they show no background, the threshold is wrong, or the references lack
            what a decision needs.
    """

    def __init__(
        self,
        references: ReferenceSet,
        head: str,
        present_above: float | None = None,
        *,
        edges: bool = True,
    ):
        self._prototypes, self._classes = references.prototypes(), references.classes
        self._head, self._edges = head, edges
        self._adaptation = adaptation_of('adapted', references.most_shots)  # the expected IoU takes it with either head
        self._present_above, self._statistics = present_above, None
        if present_above is not None:
            _check_share(present_above)
            self._statistics = reference_statistics(references)

    def __call__(
        self, features: np.ndarray, pixels: np.ndarray, shape: tuple[int, int], answers: Mapping[str, bool]
    ) -> Segmentation:
        """The Segmentation of an image.

        Args:
            features: [h, w, C] float32, features of the image.
            pixels: [S, S, 3] uint8, the image as the network sees it.
            shape: (H, W) of the image.
            answers: {class: whether the image shows it}, of classes for which that is known.

        Returns:
            The Segmentation, with the classes that are known to be there or, where that is unknown, are at least as
            probable as the threshold. With a threshold it has the probabilities, and the descriptor of the image.
        """
        absent = self._by_class(_absence(features, self._prototypes))
        probabilities = described = None
        if self._statistics is not None:
            probabilities = self._by_class(class_probabilities(features, self._prototypes, self._statistics))
            described = np.asarray(_descriptor(features))
        # Prototypes are adapted after the decision: that of an absent class would adapt to whatever looks most like it.
        kept = np.concatenate([[True], self._taken(probabilities, answers)])
        of_kept, expected = self._logits(features, self._prototypes[kept], pixels)
        logits = np.full((*of_kept.shape[:2], len(kept)), NEVER, np.float32)
        logits[..., kept] = of_kept
        names = itertools.compress(self._classes, kept[1:])
        expected = dict(zip(names, expected.tolist(), strict=True))
        return Segmentation(logits, shape, self._classes, absent, probabilities, expected, described)

    def _taken(self, probabilities, answers):
        """[N] bool: the classes that are taken to be in an image."""
        if probabilities is None:
            return np.array([answers.get(name, True) for name in self._classes], bool)
        return np.array([*taken_classes(probabilities, answers, self._present_above).values()], bool)

    def _logits(self, features, prototypes, pixels):
        """The logits of an image, on the grid or at the working size of its edges, and the expected IoU, [N]."""
        logits, expected = _logits(features, prototypes, head=self._head, adaptation=self._adaptation)
        if self._edges:
            logits = _edge_logits(logits, resize_image(pixels, min(len(pixels), SIDE)))
        return np.asarray(logits), np.asarray(expected)

    def _by_class(self, values):
        return dict(zip(self._classes, np.asarray(values).tolist(), strict=True))


@functools.partial(jax.jit, static_argnames=('head', 'adaptation'))
def _logits(features, prototypes, head, adaptation):
    """The logits of a head, and the expected IoU, which takes those of both."""
    plain, adapted = cosine_logits(features, prototypes), adapted_logits(features, prototypes, adaptation)
    return plain if head == 'panet' else adapted, expected_iou(plain, adapted)


_edge_logits = jax.jit(edge_logits)
_descriptor = jax.jit(descriptor)


@jax.jit
def _absence(features, prototypes):
    return absence(features, cosine_logits(features, prototypes), prototypes)


def _check_share(present_above):
    if not isinstance(present_above, numbers.Real) or not 0 <= present_above <= 1:
        raise InputError(f'present_above must be a number from 0 to 1 such as 0.1, got {present_above!r}.')
