"""Batches of images with their masks and labels, read before the devices need them."""

import dataclasses
import functools
import os
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from panet_jax.compute import devices
from panet_jax.datasets.source import Source
from panet_jax.disk.read_ahead import in_threads
from panet_jax.episodes.annotations import SupportReader
from panet_jax.images.resize import resize
from panet_jax.method.episode import IGNORE
from panet_jax.method.prototypes import bilinear_matrix

MOST_READERS = 16  # threads that read batches, at most one a core
# Labels of their own size are padded to a multiple of this: few sizes, few compilations.
SIZE_STEP = 128


@dataclasses.dataclass(frozen=True)
class AnnotatedImages:
    """The images of an evaluation, their classes, and how they are annotated and scored.

    Attributes:
        source: the images.
        class_ids: U class numbers that episodes are drawn from, sorted.
        reader: reads the masks of supports.
        size: side in pixels of the square images for the network.
        own_size: whether queries are scored at the size of their own label. Otherwise they are scored at `size`.
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
        masks: [B, 2, U, size, ceil(size / 8)] uint8, foreground and background of each class, as for `mask_sums`.
        truth: labels, rows and columns, as for `count_queries`.
    """

    images: np.ndarray
    masks: np.ndarray
    truth: tuple[np.ndarray, ...]


class Batches:
    """All images of some episodes, in batches of one shape. The last batch repeats its first image.

    Args:
        annotated: the images of the evaluation.
        image_ids: [I] int, indices of the images of the episodes.
        supports: indices of the images that are supports. Only these need masks.
        batch: B, number of images in a batch.
        grid: side of the network's feature grid.
        used: devices that share a batch.

    Attributes:
        image_ids: list of [B] int, indices of the images of each batch; the last one may be shorter.
    """

    def __init__(
        self,
        annotated: AnnotatedImages,
        image_ids: np.ndarray,
        supports: set[int],
        batch: int,
        grid: int,
        used: list[jax.Device],
    ):
        self._annotated, self._supports, self._batch, self._grid = annotated, supports, batch, grid
        self._devices = used
        self.image_ids = [image_ids[start : start + batch] for start in range(0, len(image_ids), batch)]

    def read(self, numbers: list[int], *, with_masks: bool) -> Iterator[tuple[int, Batch]]:
        """Reads batches in threads.

        Args:
            numbers: numbers of the batches, from 0.
            with_masks: whether the masks of supports are read. All other masks are zeros.

        Yields:
            (number, Batch) in the order of `numbers`; the arrays of the Batch are split over the devices.

        Raises:
            InputError: an image cannot be read.
        """
        read_batch = functools.partial(self._read, with_masks=with_masks)
        for number, batch in in_threads(read_batch, numbers, threads=min(os.cpu_count() or 1, MOST_READERS), ahead=2):
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
        """[2, U, H, ceil(H / 8)] uint8: foreground and background of each class, eight pixels a byte."""
        annotated = self._annotated
        return np.packbits(annotated.reader.classes(annotated.source, index, label, annotated.class_ids), axis=-1)

    def _truth(self, labels):
        """Labels padded to squares of one size, and the matrices that resample features to the size of each label."""
        side = max(max(label.shape) for label in labels)
        side = -(-side // SIZE_STEP) * SIZE_STEP if self._annotated.own_size else side
        padded = np.full((len(labels), side, side), IGNORE, np.uint8)
        matrices = np.zeros((2, len(labels), side, self._grid), np.float32)
        for index, label in enumerate(labels):
            padded[index, : label.shape[0], : label.shape[1]] = label
            for matrix, length in zip(matrices[:, index], label.shape, strict=True):
                matrix[:length] = bilinear_matrix(length, self._grid)
        return padded, *matrices
