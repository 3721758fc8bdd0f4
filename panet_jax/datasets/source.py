"""The interface of a data set to the rest of the program: images by index, with their label maps."""

from typing import Protocol

import numpy as np

from panet_jax.images.sample import Sample

__all__ = ['Sample', 'Source']


class Source(Protocol):
    """A random-access data set. `source[i]` is a pure function of i, and safe to call from threads.

    Attributes:
        classes: names of the classes; label value c is classes[c - 1].
        presence: [len(source), len(classes)] bool, which images show which class.
        areas: [len(source), len(classes)] int32, number of pixels of each class, before any resizing.
        fingerprint: a text that changes when a class, a name, an image or a mask changes; it does not depend on the
            times of files or the machine.
        skipped: [(name, reason)] of the unreadable images that were left out.
        class_lists: {class number: indices of its images, in the order of the authors' lists}; {} without such lists.
        shortened: numbers of the classes whose list in `class_lists` lacks images of the authors' list.
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
        """The objects of an image.

        Args:
            index: index of the image.

        Returns:
            [H, W] int32, 0 for no object, else the object's number within the image.
        """

    def scribbles(self, index: int, seed: int = 0) -> np.ndarray:
        """The scribbles of an image.

        Args:
            index: index of the image.
            seed: seed of scribbles that are generated.

        Returns:
            [H, W] uint16, 0 on the scribble of the background, n on that of object n, 65535 elsewhere.
        """

    def name(self, index: int) -> str:
        """The name of image `index` in messages and pictures."""
