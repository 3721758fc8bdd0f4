"""The annotations of supports: dense masks, scribbles or boxes (section 4.4 of the paper).

The rules are those of the reference: dataloaders/customized.py, getMask, and util/utils.py, get_bbox.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from panet_jax.datasets.source import Source
from panet_jax.images.resize import resize_map
from panet_jax.images.scribbles import NO_SCRIBBLE
from panet_jax.method.episode import IGNORE

Masks = tuple[np.ndarray, np.ndarray]  # foreground and background, bool


class Marks(NamedTuple):
    """The annotations of one image, at the size of the network's images.

    Attributes:
        label: [H, W] uint8 in the data set's class numbers, 0 background, 255 void.
        instances: [H, W] int, 0 for no object, else the object's number; None if the kind needs none.
        scribbles: [H, W] int, 0 on the scribble of the background, n on that of object n, 65535 elsewhere; None if the
            kind needs none.
        seed: seed of the choice among several scribbles of a class.
    """

    label: np.ndarray
    instances: np.ndarray | None = None
    scribbles: np.ndarray | None = None
    seed: tuple[int, ...] = (0,)


@dataclasses.dataclass(frozen=True)
class AnnotationKind:
    """A kind of annotation.

    Attributes:
        name: its name in settings and results.
        masks: (marks, class number, whether void is background) -> foreground and background, [H, W] bool each, of an
            episode with this class alone.
        needs: field of Marks that it reads in addition to the label; '' for none.
        others_excluded: whether the foreground of an episode's other ways is removed from the background of a way.
    """

    name: str
    masks: Callable
    needs: str
    others_excluded: bool


def dense_masks(marks: Marks, number: int, void_is_background: bool) -> Masks:
    """Dense masks: foreground is the class, background everything else.

    Args:
        marks: annotations of the image.
        number: class number.
        void_is_background: whether void counts as background.

    Returns:
        Foreground and background, [H, W] bool.
    """
    foreground = marks.label == number
    return foreground, ~foreground & (void_is_background | (marks.label != IGNORE))


def scribble_masks(marks: Marks, number: int, _: bool) -> Masks:
    """Scribbles: foreground is one scribble of the class, chosen at random; background is the scribble of label 0.

    Args:
        marks: annotations of the image, with scribbles.
        number: class number.

    Returns:
        Foreground and background, [H, W] bool.
    """
    own = np.where(marks.label == number, marks.scribbles, NO_SCRIBBLE)
    numbers = np.unique(own[(own != 0) & (own != NO_SCRIBBLE)])
    choice = np.random.default_rng((*marks.seed, number)).choice(numbers) if numbers.size else -1
    return own == choice, marks.scribbles == 0


def box_masks(marks: Marks, number: int, _: bool) -> Masks:
    """Boxes: foreground is the box of the largest object of the class, background is outside the boxes of all of them.

    Args:
        marks: annotations of the image, with instances.
        number: class number.

    Returns:
        Foreground and background, [H, W] bool.
    """
    own = np.where(marks.label == number, marks.instances, 0)
    numbers, areas = np.unique(own[own > 0], return_counts=True)
    foreground, background = np.zeros(own.shape, bool), np.ones(own.shape, bool)
    for instance in numbers:
        background[_box(own == instance)] = False
    if numbers.size:
        foreground[_box(own == numbers[areas.argmax()])] = True
    return foreground, background


KINDS = {
    'dense': AnnotationKind('dense', dense_masks, needs='', others_excluded=True),
    'scribble': AnnotationKind('scribble', scribble_masks, needs='scribbles', others_excluded=False),
    'box': AnnotationKind('box', box_masks, needs='instances', others_excluded=False),
}


@dataclasses.dataclass(frozen=True)
class SupportReader:
    """Reads the masks of support images.

    Attributes:
        kind: 'dense', 'scribble' or 'box'.
        void_is_background: whether void counts as background of dense masks, as in the authors' code.
        seed: seed of generated scribbles, and of the choice among several scribbles of a class.
    """

    kind: str = 'dense'
    void_is_background: bool = True
    seed: int = 0

    def classes(self, source: Source, index: int, label: np.ndarray, classes: Sequence[int]) -> Masks:
        """Foreground and background of each class, for an episode with that class alone.

        Args:
            source: the images.
            index: index of the image.
            label: [H, W] uint8, label of the image at the size of the network's images.
            classes: [U] class numbers.

        Returns:
            Two arrays [U, H, W] bool.
        """
        kind = KINDS[self.kind]
        readers = {
            'instances': lambda: source.instances(index),
            'scribbles': lambda: source.scribbles(index, self.seed),
        }
        maps = {kind.needs: resize_map(readers[kind.needs](), label.shape[0])} if kind.needs else {}
        marks = Marks(label, **maps, seed=(self.seed, int(index)))
        masks = [kind.masks(marks, int(number), self.void_is_background) for number in classes]
        foreground, background = (np.array(part) for part in zip(*masks, strict=True))
        return foreground, background

    def way(self, source: Source, index: int, label: np.ndarray, way: int, classes: Sequence[int]) -> Masks:
        """Foreground and background of one way of an episode.

        Args:
            source, index, label: as for `classes`.
            way: 0..N-1.
            classes: [N] class numbers of the episode.

        Returns:
            Two arrays [H, W] bool.
        """
        foreground, background = self.classes(source, index, label, classes)
        if KINDS[self.kind].others_excluded:
            background[way] &= ~np.delete(foreground, way, 0).any(0)
        return foreground[way], background[way]


def _box(mask):
    """The slices of the bounding box of a mask."""
    return tuple(slice(places.min(), places.max() + 1) for places in np.nonzero(mask))
