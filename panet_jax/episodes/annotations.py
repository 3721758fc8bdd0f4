"""How supports are annotated: with dense masks, with scribbles or with boxes. Section 4.4 of the paper.

The rules are the reference's: dataloaders/customized.py, getMask, and util/utils.py, get_bbox.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from panet_jax.images.resize import resize_map
from panet_jax.images.scribbles import NO_SCRIBBLE
from panet_jax.method.episode import IGNORE


class Marks(NamedTuple):
    """What is drawn on one image, at the size of the network.

    Attributes:
        label: [H, W] uint8 in the data set's class numbers, 0 background, 255 void.
        instances: [H, W] int, 0 for no object, else the object's number; None if the kind needs none.
        scribbles: [H, W] int, 0 on the background's scribble, n on that of object n, 65535 elsewhere;
            None if the kind needs none.
        seed: which of several scribbles of a class is taken.
    """

    label: np.ndarray
    instances: np.ndarray | None = None
    scribbles: np.ndarray | None = None
    seed: tuple = (0,)


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of annotation.

    Attributes:
        name: as it stands in settings and results.
        masks: (marks, class number, whether void is background) -> foreground and background of an
            episode that has this class alone, [H, W] bool each.
        needs: the field of Marks that it reads beside the label, if any.
        others_excluded: whether the foreground of an episode's other ways is taken out of a way's
            background. Where it is, it lies within that background.
    """

    name: str
    masks: Callable
    needs: str
    others_excluded: bool


def dense_masks(marks, number, void_is_background):
    """Foreground is the class; background everything else."""
    foreground = marks.label == number
    return foreground, ~foreground & (void_is_background | (marks.label != IGNORE))


def scribble_masks(marks, number, _):
    """Foreground is one scribble of the class, drawn from those that show; background the one of label 0."""
    own = np.where(marks.label == number, marks.scribbles, NO_SCRIBBLE)
    numbers = np.unique(own[(own != 0) & (own != NO_SCRIBBLE)])
    taken = np.random.default_rng((*marks.seed, number)).choice(numbers) if numbers.size else -1
    return own == taken, marks.scribbles == 0


def box_masks(marks, number, _):
    """Foreground is the box of the class's largest object; background what none of its objects' boxes covers."""
    own = np.where(marks.label == number, marks.instances, 0)
    numbers, areas = np.unique(own[own > 0], return_counts=True)
    foreground, background = np.zeros(own.shape, bool), np.ones(own.shape, bool)
    for instance in numbers:
        background[_box(own == instance)] = False
    if numbers.size:
        foreground[_box(own == numbers[areas.argmax()])] = True
    return foreground, background


KINDS = {
    'dense': Kind('dense', dense_masks, needs='', others_excluded=True),
    'scribble': Kind('scribble', scribble_masks, needs='scribbles', others_excluded=False),
    'box': Kind('box', box_masks, needs='instances', others_excluded=False),
}


@dataclasses.dataclass(frozen=True)
class SupportReader:
    """Reads the masks of support images.

    Attributes:
        kind: 'dense', 'scribble' or 'box'.
        void_is_background: whether dense masks count void as background, as the authors' do.
        seed: of scribbles that are made, and of the one that is taken where a class has several.
    """

    kind: str = 'dense'
    void_is_background: bool = True
    seed: int = 0

    def classes(self, source, index, label, classes):
        """Foreground and background of each class, for an episode that has it alone.

        Args:
            source: a Source.
            index: of the image.
            label: [H, W] uint8, the image's label at the size wanted.
            classes: [U] class numbers.

        Returns:
            Two arrays [U, H, W] bool.
        """
        kind = KINDS[self.kind]
        found = {
            'instances': lambda: source.instances(index),
            'scribbles': lambda: source.scribbles(index, self.seed),
        }
        needed = {kind.needs: resize_map(found[kind.needs](), label.shape[0])} if kind.needs else {}
        marks = Marks(label, **needed, seed=(self.seed, int(index)))
        masks = [kind.masks(marks, int(number), self.void_is_background) for number in classes]
        foreground, background = (np.array(part) for part in zip(*masks, strict=True))
        return foreground, background

    def way(self, source, index, label, way, classes):
        """Foreground and background of way 0..N-1 of an episode of the [N] `classes`: two arrays [H, W] bool."""
        foreground, background = self.classes(source, index, label, classes)
        if KINDS[self.kind].others_excluded:
            background[way] &= ~np.delete(foreground, way, 0).any(0)
        return foreground[way], background[way]


def _box(mask):
    """The slices of a mask's bounding box."""
    return tuple(slice(found.min(), found.max() + 1) for found in np.nonzero(mask))
