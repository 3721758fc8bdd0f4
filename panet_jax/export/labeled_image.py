"""A photograph with its objects: what every format is written from."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from panet_jax.images.objects import Object


@dataclasses.dataclass(frozen=True, eq=False)
class LabeledImage:
    """A photograph and the objects in it.

    Attributes:
        photo: file of the photograph.
        file_name: its name relative to the folder of all photographs, with forward slashes.
        stem: name of its files in formats of a file for each image; no other image has it.
        number: number of the image, from 1; ids are made of it.
        shape: (H, W) of the image, upright.
        objects: the objects.
    """

    photo: Path
    file_name: str
    stem: str
    number: int
    shape: tuple[int, int]
    objects: tuple[Object, ...]

    @property
    def labels(self) -> np.ndarray:
        """[H, W] uint8, the class number of each pixel, 0 for background."""
        return self._painted(np.uint8, [one.label for one in self.objects])

    @property
    def instances(self) -> np.ndarray:
        """[H, W] uint16, the number of each pixel's object, from 1 in the order of `objects`; 0 for none."""
        return self._painted(np.uint16, range(1, 1 + len(self.objects)))

    def larger_than(self, min_area: int) -> 'LabeledImage':
        """The image without small objects.

        Args:
            min_area: objects with fewer pixels are left out.

        Returns:
            Another LabeledImage.
        """
        return dataclasses.replace(self, objects=tuple(one for one in self.objects if one.area >= min_area))

    def _painted(self, dtype, values):
        image = np.zeros(self.shape, dtype)
        for one, value in zip(self.objects, values, strict=True):
            left, top, right, bottom = one.box
            image[top:bottom, left:right][one.crop] = value
        return image


def coco_rle(mask: np.ndarray) -> dict[str, Any]:
    """COCO's compressed run lengths of a mask.

    Args:
        mask: [H, W] bool.

    Returns:
        {'size': [H, W], 'counts': text}, for a json.
    """
    rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {'size': [int(side) for side in rle['size']], 'counts': rle['counts'].decode('ascii')}
