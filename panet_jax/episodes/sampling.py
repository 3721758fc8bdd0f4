"""Which episode is number i of a seed, and the episode itself."""

import dataclasses

import numpy as np

from panet_jax.datasets.source import Source
from panet_jax.episodes.annotations import SupportReader
from panet_jax.errors import InputError
from panet_jax.images.resize import mirror, resize
from panet_jax.method.episode import IGNORE, Episode


def drawable_images(source, *, smallest_object=1, without=()):
    """Which images an episode may draw for which class.

    Args:
        source: a Source.
        smallest_object: an image counts for a class if it shows it on that many pixels; 1 as PANet, and
            2048 (2 * 32 * 32) as PFENet, HSNet and BAM.
        without: class numbers; images that show any of them count for no class, as in BAM's training.
            PANet keeps them, and labels those pixels background.

    Returns:
        [len(source), classes] bool.
    """
    drawable = source.presence if smallest_object <= 1 else source.areas >= smallest_object
    others = [c - 1 for c in without]
    return drawable & ~source.presence[:, others].any(1, keepdims=True)


@dataclasses.dataclass(frozen=True)
class Draw:
    """What episode i consists of, before any image is read.

    Attributes:
        classes: [N] int, the class number of each way.
        supports: [N, K] int, indices of images that show the way's class.
        queries: [Q] int, indices of images; each shows one of the classes. In our own draws no support is
            among them; in the authors' one of another way may be.
        support_flips, query_flips: [N, K] and [Q] bool, which images are mirrored.
    """

    classes: np.ndarray
    supports: np.ndarray
    queries: np.ndarray
    support_flips: np.ndarray
    query_flips: np.ndarray


class TooFewImages(InputError):
    """A class has fewer images than an episode takes."""


class Episodes:
    """The endless sequence of episodes of a seed: `episodes[i]` is a pure function of (seed, i).

    Args:
        source: the images.
        classes: class numbers to draw from (a fold's seen or unseen ones).
        ways, shots, queries: N, K and Q.
        seed: of the sequence.
        size: side of the images in pixels.
        flip: mirror each image with probability 1/2 (the paper's augmentation).
        drawable: [len(source), classes] bool, which images may be drawn for which class; by default all
            that show it.
        split: how to name the images in an error.
        reader: how supports are annotated; by default with dense masks.

    Attributes:
        images: {class number: indices of the images that may be drawn for it}.

    Raises:
        InputError: there are fewer classes than ways, or a class has too few images.
    """

    def __init__(
        self,
        source: Source,
        classes,
        *,
        ways,
        shots,
        queries,
        seed,
        size,
        flip=False,
        drawable=None,
        split='data',
        reader=None,
    ):
        if len(classes) < ways:
            raise InputError(f'a {ways}-way episode needs {ways} classes to draw from, but there are {len(classes)}.')
        self.source, self.classes = source, np.asarray(classes)
        self.ways, self.shots, self.queries = ways, shots, queries
        self.seed, self.size, self.flip = seed, size, flip
        self.reader = reader or SupportReader()
        drawable = source.presence if drawable is None else drawable
        self.images = {c: np.flatnonzero(drawable[:, c - 1]) for c in classes}
        for c, images in self.images.items():
            if len(images) < shots + queries:
                raise TooFewImages(
                    f'class {c} ({source.classes[c - 1]}) has {len(images)} images in {split!r}, but an episode '
                    f'needs {shots} support and {queries} query images.'
                )

    def draw(self, index):
        """The Draw of episode `index`, by numpy's default_rng((seed, index)).

        Queries come first, each from a way drawn at random, and without repetition; supports then come
        from the images left. So whatever the classes share, a class with K + Q images always suffices.
        """
        rng = np.random.default_rng((self.seed, index))
        classes = rng.choice(self.classes, self.ways, replace=False)
        queries = []
        for way in rng.integers(self.ways, size=self.queries):
            queries.append(rng.choice(np.setdiff1d(self.images[classes[way]], queries)))
        supports = [rng.choice(np.setdiff1d(self.images[c], queries), self.shots, replace=False) for c in classes]
        flips = rng.random(self.ways * self.shots + self.queries) < (0.5 if self.flip else 0)
        return Draw(
            classes,
            np.array(supports),
            np.array(queries),
            flips[: -self.queries].reshape(self.ways, self.shots),
            flips[-self.queries :],
        )

    def assemble(self, draw):
        """Reads, annotates, resizes and mirrors a draw's images: a compact Episode of numpy arrays."""
        supports = [
            [self._support(way, draw.classes, i, flip) for i, flip in zip(images, flips, strict=True)]
            for way, (images, flips) in enumerate(zip(draw.supports, draw.support_flips, strict=True))
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

    def _support(self, way, classes, index, flip):
        """Image, foreground and background of one support."""
        sample = resize(self.source[index], self.size)
        parts = (sample.image, *self.reader.way(self.source, index, sample.label, way, classes))
        return [part[:, ::-1] for part in parts] if flip else parts

    def _read(self, index, flip):
        sample = resize(self.source[index], self.size)
        return mirror(sample) if flip else sample

    def __getitem__(self, index):
        return self.assemble(self.draw(index))


def episode_label(label, classes):
    """A label map in the data set's class numbers -> 0 background, n for way n, 255 void (uint8)."""
    table = np.zeros(256, np.uint8)
    table[np.asarray(classes)] = np.arange(1, len(classes) + 1)
    table[IGNORE] = IGNORE
    return table[label]
