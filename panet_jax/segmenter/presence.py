"""Which classes a photograph shows: how probable each is, from the references and what is found, and the decision."""

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from panet_jax.errors import InputError
from panet_jax.method.answers import UNKNOWN, descriptor, presence_after
from panet_jax.method.presence import Statistics, find, presence, statistics_of, views_of_references
from panet_jax.method.prototypes import Pooled, transposed_upsample
from panet_jax.segmenter.reference_set import Evidence, ReferenceSet
from panet_jax.segmenter.segmentation import Segmentation

# The fraction of a position's pixels from which it is part of an object.
COVERED = 0.02
DIGITS = 4  # of a probability, as predictions.json has it: whoever reads that comes to the same decision

_find, _descriptor = jax.jit(find), jax.jit(descriptor)


class Seen(NamedTuple):
    """What the decision for a folder takes of an image; a Segmentation has it too.

    Attributes:
        presence: {class: probability in [0, 1] that the image shows it}, by the references alone.
        descriptor: [C] float32, a vector for the whole image.
    """

    presence: Mapping[str, float]
    descriptor: np.ndarray


def check_evidence(references: ReferenceSet, otherwise: str) -> None:
    """Refuses references from which nothing can be decided.

    Args:
        references: the set.
        otherwise: what the user can do in place of giving the references again, for the error.

    Raises:
        InputError: features of its images are missing, and it has no evidence either.
    """
    if not references.can_decide:
        raise InputError(
            'these references cannot decide which classes are present: they were loaded from a file of an earlier version, or '
            f'added to loaded ones; give all references again, or {otherwise}.'
        )


@functools.lru_cache(maxsize=1)  # each call of `predict` asks again, and a set never changes
def evidence_of(references: ReferenceSet) -> Evidence:
    """What the decision takes of references: from their images, whose classes are known, or as their file had it.

    Args:
        references: the set.

    Returns:
        The evidence.

    Raises:
        InputError: features of its images are missing, and it has no evidence either.
    """
    check_evidence(references, 'leave out {segmenter.present_above}')
    return references.evidence or Evidence(_views(references), *_descriptors(references))


@functools.lru_cache(maxsize=1)
def reference_statistics(references: ReferenceSet) -> Statistics:
    """Statistics of what is found in the references' own images.

    Args:
        references: the set.

    Returns:
        Statistics, for `class_probabilities`.

    Raises:
        InputError: features of its images are missing, and it has no evidence either.
    """
    return statistics_of(evidence_of(references).views)


def class_probabilities(features: np.ndarray, prototypes: np.ndarray, statistics: Statistics) -> np.ndarray:
    """How probable it is that an image shows each class. It does not depend on other images.

    Args:
        features: [h, w, C] float32, features of the image.
        prototypes: [1 + N, C] float32, background first.
        statistics: of what is found in the references, as from `reference_statistics`.

    Returns:
        [N] float64 in [0, 1], with DIGITS.
    """
    return presence(np.asarray(_find(features, prototypes)), prototypes[1:], statistics).round(DIGITS)


def presence_in_folder(
    images: Sequence[Segmentation | Seen],
    references: ReferenceSet,
    answers: Sequence[Mapping[str, bool]] | None = None,
) -> list[dict[str, float]]:
    """How probable it is that each image of a folder shows each class. Most of the images show few classes or none.

    Args:
        images: what is known of each image from the references alone.
        references: the set that says so.
        answers: {class: whether the image shows it} of each image, where that is known.

    Returns:
        {class: probability} of each image, with DIGITS. An answer pulls the probability of its own image too, but does not
        decide it.
    """
    if not images:
        return []
    names, evidence = references.classes, evidence_of(references)
    known = [[one.get(name, UNKNOWN) for name in names] for one in answers or [{}] * len(images)]
    values = presence_after(
        np.array([[one.presence[name] for name in names] for one in images]),
        np.array(known, int),
        np.stack([one.descriptor for one in images]),
        evidence.descriptors,
        evidence.shown,
    )
    return [dict(zip(names, row, strict=True)) for row in values.round(DIGITS).tolist()]


def taken_classes(
    probabilities: Mapping[str, float], answers: Mapping[str, bool], present_above: float
) -> dict[str, bool]:
    """The decision which classes an image is taken to show.

    Args:
        probabilities: {class: probability in [0, 1] that the image shows it}.
        answers: {class: whether the image shows it}, where that is known.
        present_above: threshold in [0, 1].

    Returns:
        {class: whether it is taken to be there}, of the classes in `probabilities`: by its answer; without one, if its
        probability is the threshold or more. A threshold of 0 takes every class.
    """
    return {name: bool(answers.get(name, value >= present_above)) for name, value in probabilities.items()}


def is_segmented_with(classes: Collection[str], taken: Mapping[str, bool]) -> bool:
    """Whether an image need not be segmented again after a decision.

    Args:
        classes: the classes that it was segmented with, as its `expected_iou` has them.
        taken: {class: whether it is taken to be there}, as from `taken_classes`.

    Returns:
        True if it was segmented with those that are taken to be there, and no others.
    """
    return set(classes) == {name for name, is_there in taken.items() if is_there}


def _views(references):
    """What is found in the images of references, by views of them."""
    # Of an image with a negative on a part of it, nothing is known of the rest.
    annotated = {reference.image for reference in references.references}
    whole = {negative.image for negative in references.negatives if negative.region.all()}
    kept = {name: image for name, image in references.images.items() if name in annotated | whole}
    images = kept.values()
    grids = np.stack([image.features for image in images])
    return views_of_references(
        grids,
        np.stack([_covered(references, image, grids.shape[1:3]) for image in kept]),
        _foreground(references, list(kept)),
        Pooled(np.stack([image.background.sum for image in images]), np.stack([i.background.count for i in images])),
    )


def _descriptors(references):
    """[I, C] and [I, N]: the descriptors of the images that show a class, and which they show."""
    shown = {}
    for reference in references.references:
        shown.setdefault(reference.image, set()).add(reference.name)
    descriptors = [np.asarray(_descriptor(references.images[image].features)) for image in shown]
    return np.stack(descriptors), np.array([[name in own for name in references.classes] for own in shown.values()])


def _foreground(references, images):
    """Pooled, [I, N, C] and [I, N]: the features under each class of each image."""
    shape = len(images), len(references.classes)
    sums, counts = np.zeros((*shape, references.channels), np.float32), np.zeros(shape, np.float32)
    for reference in references.references:
        place = images.index(reference.image), references.classes.index(reference.name)
        sums[place] += reference.foreground.sum
        counts[place] += reference.foreground.count
    return Pooled(sums, counts)


def _covered(references, image, grid):
    """[h, w] float32 in [0, 1]: how much of each position is an object; 1 where strokes or points do not outline it."""
    marks = [reference.marks for reference in references.references if reference.image == image]
    if any(annotation.drawn for annotation in marks):
        return np.ones(grid, np.float32)
    if not marks:  # the image shows no class
        return np.zeros(grid, np.float32)
    mask = np.any([annotation.foreground for annotation in marks], 0).astype(np.float32)
    parts, whole = (np.asarray(transposed_upsample(array, grid)) for array in (mask, np.ones_like(mask)))
    return np.where(parts > COVERED * whole, parts / whole, 0)
