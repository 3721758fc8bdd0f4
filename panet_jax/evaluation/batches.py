"""Batches of images with their masks and truth, read ahead of the devices."""

import dataclasses
import functools
import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from panet_jax.compute import devices
from panet_jax.datasets.source import Source
from panet_jax.disk.read_ahead import in_threads
from panet_jax.episodes.annotations import SupportReader
from panet_jax.images.resize import resize
from panet_jax.method.episode import IGNORE
from panet_jax.method.prototypes import bilinear_matrix

MOST_READERS = 16  # batches that are read at a time, where there are so many cores
# Labels of their own size are padded to a multiple of this: few sizes, few compilations.
SIZE_STEP = 128


@dataclasses.dataclass(frozen=True)
class AnnotatedImages:
    """The images of an evaluation, and what is asked of them.

    Attributes:
        source: where they are from.
        class_ids: the classes that episodes are drawn from, sorted.
        reader: how supports are annotated.
        size: side in pixels of the images that the network sees.
        own_size: whether queries are scored at the size of their label, not at `size`.
    """

    source: Source
    class_ids: list[int]
    reader: SupportReader
    size: int
    own_size: bool


class Batch(NamedTuple):
    """A batch of B images.

    Attributes:
        images: [B, size, size, 3] uint8.
        masks: foreground and background of each class, as `mask_sums` takes them.
        truth: labels, rows and columns, as `count_queries` takes them.
    """

    images: np.ndarray
    masks: np.ndarray
    truth: tuple


class Batches:
    """All images that some episodes need, in batches of one shape: the last one is filled up.

    Args:
        annotated: the AnnotatedImages.
        image_ids: indices of the images needed.
        supports: those of them that are supports, whose masks are needed.
        batch: B.
        grid: side of the network's grid of features.
        used: devices that share a batch.
    """

    def __init__(self, annotated: AnnotatedImages, image_ids: np.ndarray, supports: set, batch: int, grid: int, used):
        self._annotated, self._supports, self._batch, self._grid = annotated, supports, batch, grid
        self._devices = used
        self.image_ids = [image_ids[start : start + batch] for start in range(0, len(image_ids), batch)]

    def read(self, numbers: list[int], *, with_masks: bool) -> Iterator[tuple[int, Batch]]:
        """Yields (number, Batch split over the devices) of some batches; masks that nobody needs are empty."""
        read = functools.partial(self._read, with_masks=with_masks)
        for number, batch in in_threads(read, numbers, threads=min(os.cpu_count() or 1, MOST_READERS), ahead=2):
            yield number, devices.split(batch, self._devices)

    def _read(self, number, with_masks):
        indices = self.image_ids[number].tolist()
        size, own_size = self._annotated.size, self._annotated.own_size
        samples = [self._annotated.source[index] for index in indices]
        resized = [resize(sample, size) for sample in samples]
        supports = self._supports if with_masks else ()
        empty = np.zeros((2, len(self._annotated.class_ids), size, -(-size // 8)), np.uint8)
        masks = [
            self._masks(index, sample.label) if index in supports else empty
            for index, sample in zip(indices, resized, strict=True)
        ]
        labels = [sample.label for sample in (samples if own_size else resized)]
        missing = self._batch - len(indices)
        images = [sample.image for sample in resized]
        return Batch(
            *(np.stack(arrays + arrays[:1] * missing) for arrays in (images, masks)),
            self._truth(labels + labels[:1] * missing),
        )

    def _masks(self, index, label):
        """Foreground and background of each class, packed."""
        annotated = self._annotated
        return np.packbits(annotated.reader.classes(annotated.source, index, label, annotated.class_ids), axis=-1)

    def _truth(self, labels):
        """Labels of any size padded to a square of one, with the matrices that resample features to each."""
        side = max(max(label.shape) for label in labels)
        side = -(-side // SIZE_STEP) * SIZE_STEP if self._annotated.own_size else side
        padded = np.full((len(labels), side, side), IGNORE, np.uint8)
        matrices = np.zeros((2, len(labels), side, self._grid), np.float32)
        for place, label in enumerate(labels):
            padded[place, : label.shape[0], : label.shape[1]] = label
            for matrix, length in zip(matrices[:, place], label.shape, strict=True):
                matrix[:length] = bilinear_matrix(length, self._grid)
        return padded, *matrices
