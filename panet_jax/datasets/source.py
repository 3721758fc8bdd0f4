"""What a data set is to the rest of the program: images by index, with their label maps."""

from typing import NamedTuple, Protocol

import numpy as np


class Sample(NamedTuple):
    """One annotated image.

    Attributes:
        image: [H, W, 3] uint8 RGB.
        label: [H, W] uint8, 0 background, 1..len(classes), 255 void.
    """

    image: np.ndarray
    label: np.ndarray


class Source(Protocol):
    """A random-access data set. `source[i]` is a pure function of i, and safe to call from threads.

    Attributes:
        classes: names of the classes; label value c is classes[c - 1].
        presence: [len(source), len(classes)] bool, which images show which class.
        areas: [len(source), len(classes)] int32, number of pixels of each class, before any resizing.
        fingerprint: a text that changes with a class, a name, an image or a mask, and with nothing else, such as
            the times of files or the machine.
        skipped: [(name, reason)] of the images that were left out because they cannot be read.
        class_lists: {class number: indices of its images in the order in which the authors' code draws
            them}, where the data set has one.
        shortened: numbers of the classes whose list in `class_lists` lacks images that the authors' has.
    """

    classes: tuple[str, ...]
    presence: np.ndarray
    areas: np.ndarray
    fingerprint: str
    skipped: list[tuple[str, str]]
    class_lists: dict[int, np.ndarray]
    shortened: frozenset[int]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    def instances(self, index: int) -> np.ndarray:
        """[H, W] int32: 0 for no object, else the object's number within the image."""

    def scribbles(self, index: int, seed: int = 0) -> np.ndarray:
        """[H, W] uint16: 0 on the background's scribble, n on that of object n, 65535 elsewhere."""

    def name(self, index: int) -> str:
        """How messages and pictures call image `index`."""
