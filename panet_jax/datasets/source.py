"""What a data set is to the rest of the program, and how its files are read."""

import functools
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image

from panet_jax.errors import InputError


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
    """

    classes: tuple[str, ...]
    presence: np.ndarray

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    def instances(self, index: int) -> np.ndarray:
        """[H, W] int32: 0 for no object, else the object's number within the image."""

    def name(self, index: int) -> str:
        """What to call image `index` in messages and pictures."""


def read_image(path):
    """Opens and decodes an image file; an InputError names the file if that fails."""
    try:
        image = Image.open(path)
        image.load()
    except FileNotFoundError as error:
        raise InputError(f'there is no file {path}.') from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f'{path} cannot be read as an image ({error}); replace it or take it off the list.') from error
    return image


@functools.cache
def list_folder(folder):
    """The names in a folder, as a set; one system call in place of one per file."""
    return frozenset(path.name for path in Path(folder).iterdir()) if Path(folder).is_dir() else frozenset()
