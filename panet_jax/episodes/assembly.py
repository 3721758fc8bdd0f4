"""Assembles episodes: reads, annotates, resizes and mirrors the images and masks of a Draw, which `draws` chose."""

from collections.abc import Sequence

import numpy as np

from panet_jax.datasets.source import Sample, Source
from panet_jax.episodes.annotations import SupportReader
from panet_jax.episodes.draws import Draw, Draws
from panet_jax.images.resize import mirror, resize
from panet_jax.method.episode import IGNORE, Episode


class Episodes:
    """The endless sequence of the episodes of a seed: `episodes[i]` is a pure function of (seed, i).

    Attributes:
        source: the images.
        draws: the images of each episode.
        size: side of the images in pixels.
        reader: reads the masks of supports; by default dense ones.
        classes, images, seed: as in the draws.
    """

    def __init__(self, source: Source, draws: Draws, *, size: int, reader: SupportReader | None = None):
        self.source, self.draws, self.size, self.reader = source, draws, size, reader or SupportReader()
        self.classes, self.images, self.seed = draws.classes, draws.images, draws.seed

    def __getitem__(self, index: int) -> Episode:
        return self.assemble(self.draw(index))

    def draw(self, index: int) -> Draw:
        """The Draw of an episode.

        Args:
            index: number of the episode.

        Returns:
            The Draw.
        """
        return self.draws[index]

    def assemble(self, draw: Draw) -> Episode:
        """Reads the images and masks of a draw.

        Args:
            draw: the Draw.

        Returns:
            A compact Episode of numpy arrays.

        Raises:
            InputError: an image cannot be read.
        """
        supports = [
            [self._support(draw, way, shot) for shot in range(draw.supports.shape[1])]
            for way in range(len(draw.classes))
        ]
        images, foreground, background = (np.array([[part[n] for part in way] for way in supports]) for n in range(3))
        queries = [self._read(i, flip) for i, flip in zip(draw.queries, draw.query_flips, strict=True)]
        return Episode(
            support_images=images,
            support_foreground=foreground,
            support_background=background,
            query_images=np.array([sample.image for sample in queries]),
            query_labels=np.array([episode_label(sample.label, draw.classes) for sample in queries]),
        )

    def _support(self, draw, way, shot) -> Sequence[np.ndarray]:
        """Image [H, W, 3], foreground and background [H, W] of one support."""
        index = draw.supports[way, shot]
        sample = self._read(index, flip=False)
        parts = (sample.image, *self.reader.way(self.source, index, sample.label, way, draw.classes))
        return [part[:, ::-1] for part in parts] if draw.support_flips[way, shot] else parts

    def _read(self, index, flip) -> Sample:
        sample = resize(self.source[index], self.size)
        return mirror(sample) if flip else sample


def episode_label(label: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """Converts a label map from the class numbers of the data set to those of an episode.

    Args:
        label: [H, W] uint8, class numbers of the data set, 0 background, 255 void.
        classes: [N] class numbers of the ways.

    Returns:
        [H, W] uint8, 0 background, n for way n, 255 void.
    """
    table = np.zeros(256, np.uint8)
    table[np.asarray(classes)] = np.arange(1, len(classes) + 1)
    table[IGNORE] = IGNORE
    return table[label]
