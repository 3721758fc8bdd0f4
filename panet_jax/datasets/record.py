"""What every layout of files provides: annotated images, one by one."""

from typing import NamedTuple, Protocol

import numpy as np
from scipy import ndimage

from panet_jax.errors import InputError
from panet_jax.images.scribbles import NO_SCRIBBLE
from panet_jax.method.episode import IGNORE


class Record(NamedTuple):
    """One annotated image as it lies on disk.

    Attributes:
        image: bytes of the image file, untouched.
        label: [H, W] uint8, 0 background, 1..len(classes), 255 void.
        instances: [H, W] uint16, 0 for no object, else the object's number within the image.
        scribbles: [H, W] uint16, 0 on the background's scribble, a number of its own on each other scribble, 65535
            elsewhere; None if nobody drew any.
    """

    image: bytes
    label: np.ndarray
    instances: np.ndarray
    scribbles: np.ndarray | None = None


class Layout(Protocol):
    """An image list of a data set whose files lie as VOC's, as COCO's, or as a user's own.

    Attributes:
        classes: names of the classes; label value c is classes[c - 1].
        names: names of the images.
    """

    classes: tuple[str, ...]
    names: list[str]

    def record(self, name: str) -> Record:
        """Reads one image with its masks; an InputError names the file. Safe to call from threads."""

    def where(self, name: str) -> str:
        """How a message calls an image's file."""

    def stamps(self) -> list:
        """Values that change when a file of the list does. Quick: no image and no annotation is read."""

    def class_lists(self) -> dict[int, list[str]]:
        """The images of each class in the order in which the authors' code draws them, where there is one."""


def read_scribbles(values: np.ndarray, where: str, label: np.ndarray) -> np.ndarray:
    """Scribbles as Record has them, from those of a PNG.

    Args:
        values: [H, W] int, 0 on the background's scribble, 255 where there is none, a number on each other scribble.
        where: how an error calls the file.
        label: [H, W] uint8, the class mask, which must have the same size.

    Returns:
        [H, W] uint16.
    """
    if values.shape != label.shape:
        raise InputError(
            f'{where} is {values.shape[::-1]} pixels but the class mask is {label.shape[::-1]} (width, height).'
        )
    return np.where(values == IGNORE, NO_SCRIBBLE, values).astype(np.uint16)


def objects_of(label: np.ndarray) -> np.ndarray:
    """Instances of a mask that has none: the connected regions of each class.

    Args:
        label: [H, W] uint8.

    Returns:
        [H, W] uint16.
    """
    instances, count = np.zeros(label.shape, np.uint16), 0
    for number in np.unique(label[(label > 0) & (label != IGNORE)]):
        regions, regions_of_class = ndimage.label(label == number)
        instances[regions > 0] = regions[regions > 0] + count
        count += regions_of_class
    return instances
