"""Draws episode i of a seed: which images are its supports and queries. They are indices; no image is read."""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from panet_jax.datasets.source import Source
from panet_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Task:
    """The size of an episode: N-way K-shot, with Q queries.

    Attributes:
        ways: N, number of classes.
        shots: K, number of annotated images of each class.
        queries: Q, number of images to segment.
    """

    ways: int = 1
    shots: int = 1
    queries: int = 1


@dataclasses.dataclass(frozen=True)
class Draw:
    """The classes and images of one episode.

    Attributes:
        classes: [N] int, the class number of each way.
        supports: [N, K] int, indices of images that show the class of the way.
        queries: [Q] int, indices of images that show one of the classes. In `Draws` none is a support; in the authors'
            draws it may be a support of another way.
        support_flips, query_flips: [N, K] and [Q] bool, whether the image is mirrored.
    """

    classes: np.ndarray
    supports: np.ndarray
    queries: np.ndarray
    support_flips: np.ndarray
    query_flips: np.ndarray


class TooFewImages(InputError):
    """A class has fewer images than an episode needs."""


@dataclasses.dataclass(frozen=True)
class Draws:
    """The endless sequence of draws of a seed: `draws[i]` is a pure function of (seed, i).

    Attributes:
        images: {class number: [M] int, indices of the images to draw for it}, as from `images_by_class`.
        task: ways, shots and queries of an episode.
        seed: seed of the sequence.
        flip: whether to mirror each image with probability 1/2 (the paper's augmentation).
    """

    images: Mapping[int, np.ndarray]
    task: Task
    seed: int
    flip: bool = False

    @property
    def classes(self) -> np.ndarray:
        """The class numbers to draw from."""
        return np.array(list(self.images))

    def __getitem__(self, index: int) -> Draw:
        """Draw `index`, by numpy's default_rng((seed, index)).

        Queries are drawn first, each from a random way, without repetition; then the supports from the remaining
        images. So K + Q images of a class always suffice, even if classes share images.
        """
        rng = np.random.default_rng((self.seed, index))
        ways, shots, count = self.task.ways, self.task.shots, self.task.queries
        classes = rng.choice(self.classes, ways, replace=False)
        queries = []
        for way in rng.integers(ways, size=count):
            queries.append(rng.choice(np.setdiff1d(self.images[classes[way]], queries)))
        supports = [rng.choice(np.setdiff1d(self.images[c], queries), shots, replace=False) for c in classes]
        flips = rng.random(ways * shots + count) < (0.5 if self.flip else 0)
        return Draw(classes, np.array(supports), np.array(queries), flips[:-count].reshape(ways, shots), flips[-count:])


def drawable_images(source: Source, *, smallest_object: int = 1, without: Iterable[int] = ()) -> np.ndarray:
    """The images that an episode may draw for each class.

    Args:
        source: the images.
        smallest_object: fewest pixels that a class may have in an image drawn for it; 1 in PANet, 2048 (2 * 32 * 32)
            in PFENet, HSNet and BAM.
        without: class numbers; images that show one of them are never drawn, as in BAM's training. PANet draws them,
            with these pixels as background.

    Returns:
        [len(source), classes] bool.
    """
    drawable = source.presence if smallest_object <= 1 else source.areas >= smallest_object
    others = [number - 1 for number in without]
    return drawable & ~source.presence[:, others].any(1, keepdims=True)


def images_by_class(
    source: Source, classes: Iterable[int], task: Task, *, drawable: np.ndarray | None = None, split: str = 'data'
) -> dict[int, np.ndarray]:
    """The images to draw for each class, at least as many as an episode needs.

    Args:
        source: the images.
        classes: class numbers to draw from, such as the unseen ones of a fold.
        task: ways, shots and queries of an episode.
        drawable: [len(source), classes] bool, as from `drawable_images`; by default all images that show a class.
        split: name of the image list in errors.

    Returns:
        {class number: [M] int, indices of its images}, in the order of `classes`.

    Raises:
        InputError: there are fewer classes than ways.
        TooFewImages: a class has fewer images than an episode needs.
    """
    classes = list(classes)
    if len(classes) < task.ways:
        raise InputError(
            f'a {task.ways}-way episode needs {task.ways} classes to draw from, but there are {len(classes)}.'
        )
    drawable = source.presence if drawable is None else drawable
    images = {number: np.flatnonzero(drawable[:, number - 1]) for number in classes}
    for number, indices in images.items():
        if len(indices) < task.shots + task.queries:
            raise TooFewImages(
                f'class {number} ({source.classes[number - 1]}) has {len(indices)} images in {split!r}, but an episode '
                f'needs {task.shots} support and {task.queries} query images.'
            )
    return images
