"""The objects of a label map: its connected regions."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from skimage.measure import label as label_regions


@dataclasses.dataclass(frozen=True, eq=False)
class Object:
    """One object of a label map.

    Attributes:
        name: name of its class.
        label: number of its class in the label map, from 1.
        box: (left, top, right, bottom) in pixels; it covers left <= x < right and top <= y < bottom.
        area: number of its pixels.
        score: mean over its pixels of the probability of their label, in [0, 1]; None if that is not known.
        crop: [bottom - top, right - left] bool, the mask inside the box.
        shape: (H, W) of the image.
    """

    name: str
    label: int
    box: tuple[int, int, int, int]
    area: int
    score: float | None
    crop: np.ndarray
    shape: tuple[int, int]

    @property
    def mask(self) -> np.ndarray:
        """[H, W] bool, the pixels of the object without its holes."""
        left, top, right, bottom = self.box
        mask = np.zeros(self.shape, bool)
        mask[top:bottom, left:right] = self.crop
        return mask

    @property
    def has_hole(self) -> bool:
        """Whether the object encloses pixels that do not belong to it."""
        return bool((ndimage.binary_fill_holes(self.crop) != self.crop).any())


def find_objects(
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    confidence: np.ndarray | None = None,
    min_area: int = 1,
    split: bool = True,
) -> list[Object]:
    """The objects of a label map.

    An object is a connected region of one class; pixels that touch at a corner are connected. Two instances that touch are
    one object, because a label map does not distinguish them.

    Args:
        labels: [H, W] uint8, 0 is background and n is classes[n - 1]; other numbers, such as 255 for void, are no object.
        classes: names of the classes.
        confidence: [H, W] float in [0, 1], probability of the label of each pixel; the scores are its means.
        min_area: objects with fewer pixels are left out.
        split: whether connected regions are objects of their own; otherwise all pixels of a class are one object.

    Returns:
        The objects, by class and, in a class, the largest first.
    """
    labels = np.where(labels <= len(classes), labels, 0)
    regions = label_regions(labels, background=0, connectivity=2) if split else labels
    objects = []
    for number, place in enumerate(ndimage.find_objects(regions), 1):
        if place is None:
            continue
        crop = regions[place] == number
        area = int(crop.sum())
        if area < min_area:
            continue
        label = int(labels[place][crop][0])
        (top, bottom), (left, right) = ((part.start, part.stop) for part in place)
        score = None if confidence is None else float(confidence[place][crop].mean(dtype=float))
        objects.append(Object(classes[label - 1], label, (left, top, right, bottom), area, score, crop, labels.shape))
    return sorted(objects, key=lambda item: (item.label, -item.area, item.box[1], item.box[0]))
