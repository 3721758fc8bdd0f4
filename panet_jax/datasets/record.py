"""What a layout of files hands over: annotated images, one by one, checked."""

from typing import NamedTuple, Protocol

import numpy as np
from scipy import ndimage

from panet_jax.errors import InputError
from panet_jax.images.scribbles import NO_SCRIBBLE
from panet_jax.method.episode import IGNORE


class Record(NamedTuple):
    """One annotated image as it is on disk.

    Attributes:
        image: bytes of the image file, untouched.
        label: [H, W] uint8, 0 background, 1..len(classes), 255 void.
        instances: [H, W] uint16, 0 for no object, else the object's number within the image.
        scribbles: [H, W] uint16, 0 on the background's scribble, another number on each other one, 65535
            where there is none; None if nobody drew any.
    """

    image: bytes
    label: np.ndarray
    instances: np.ndarray
    scribbles: np.ndarray | None = None


class Layout(Protocol):
    """An image list of a data set whose files lie in some layout: VOC's, COCO's, one's own.

    Attributes:
        classes: names of the classes; label value c is classes[c - 1].
        names: of the images.
    """

    classes: tuple[str, ...]
    names: list[str]

    def record(self, name: str) -> Record:
        """Reads an image; an InputError names the file. Safe to call from threads."""

    def where(self, name: str) -> str:
        """What to call an image's file in a message."""

    def stamps(self) -> list:
        """What changes when a file of the list does. Quick: no image and no annotation is read."""

    def class_lists(self) -> dict[int, list[str]]:
        """The images of each class in the order in which the authors' code draws them, where there is one."""


def read_scribbles(values, where, label):
    """A PNG of scribbles, 0 background, 255 nothing, as Record has it; an InputError if it has another size."""
    if values.shape != label.shape:
        raise InputError(
            f'{where} is {values.shape[::-1]} pixels but the class mask is {label.shape[::-1]} (width, height).'
        )
    return np.where(values == IGNORE, NO_SCRIBBLE, values).astype(np.uint16)


def objects_of(label):
    """Instances where nobody drew any: the connected regions of each class.

    Args:
        label: [H, W] uint8.

    Returns:
        [H, W] uint16.
    """
    instances, count = np.zeros(label.shape, np.uint16), 0
    for number in np.unique(label[(label > 0) & (label != IGNORE)]):
        regions, found = ndimage.label(label == number)
        instances[regions > 0] = regions[regions > 0] + count
        count += found
    return instances
