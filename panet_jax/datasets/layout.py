"""The interface of all layouts of files: a Layout gives annotated images, one Record each."""

from typing import NamedTuple, Protocol

import numpy as np
from scipy import ndimage

from panet_jax.errors import InputError
from panet_jax.images.scribbles import NO_SCRIBBLE
from panet_jax.method.episode import IGNORE


class Record(NamedTuple):
    """One annotated image as it is on disk.

    Attributes:
        image: bytes of the image file.
        label: [H, W] uint8, 0 background, 1..len(classes), 255 void.
        instances: [H, W] uint16, 0 for no object, else the object's number within the image.
        scribbles: [H, W] uint16, 0 on the scribble of the background, a number of its own on each other scribble,
            65535 elsewhere; None if the data set has none.
    """

    image: bytes
    label: np.ndarray
    instances: np.ndarray
    scribbles: np.ndarray | None = None


class Layout(Protocol):
    """An image list of a data set in the layout of VOC, of COCO, or of a user's own folder.

    Attributes:
        classes: names of the classes; label value c is classes[c - 1].
        names: names of the images.
    """

    classes: tuple[str, ...]
    names: list[str]

    def record(self, name: str) -> Record:
        """Reads one image with its masks. Safe to call from threads.

        Args:
            name: name of the image.

        Returns:
            The Record.

        Raises:
            InputError: a file is damaged; the message names it.
        """

    def where(self, name: str) -> str:
        """The name of an image's file in messages."""

    def stamps(self) -> list:
        """Values that change when a file of the list changes. Fast: no image and no annotation is read."""

    def class_lists(self) -> dict[int, list[str]]:
        """{class number: names of its images}, in the order of the authors' lists; {} without such lists."""


def read_scribbles(values: np.ndarray, where: str, label: np.ndarray) -> np.ndarray:
    """Converts the scribbles of a PNG to those of a Record.

    Args:
        values: [H, W] int, 0 on the scribble of the background, a number on each other scribble, 255 elsewhere.
        where: name of the file in errors.
        label: [H, W] uint8, the class mask.

    Returns:
        [H, W] uint16, with 65535 in place of 255.

    Raises:
        InputError: the sizes differ.
    """
    if values.shape != label.shape:
        raise InputError(
            f'{where} is {values.shape[::-1]} pixels but the class mask is {label.shape[::-1]} (width, height).'
        )
    return np.where(values == IGNORE, NO_SCRIBBLE, values).astype(np.uint16)


def objects_of(label: np.ndarray) -> np.ndarray:
    """Instances for a mask without any: the connected regions of each class.

    Args:
        label: [H, W] uint8, 0 background, 255 void.

    Returns:
        [H, W] uint16, 0 for no object, else the number of the region.
    """
    instances, count = np.zeros(label.shape, np.uint16), 0
    for number in np.unique(label[(label > 0) & (label != IGNORE)]):
        regions, regions_of_class = ndimage.label(label == number)
        instances[regions > 0] = regions[regions > 0] + count
        count += regions_of_class
    return instances
