"""Label maps that name their classes: a PNG whose numbers keep their meaning when references come in another order."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from panet_jax.disk.atomic import replacing
from panet_jax.errors import InputError
from panet_jax.segmenter.outputs import palette

CLASSES = 'classes'  # key of the text in the file


def write_labels(path: Path, labels: np.ndarray, classes: Sequence[str]) -> None:
    """Writes a label map; it appears whole or not at all.

    Args:
        path: PNG file to write.
        labels: [H, W] uint8, 0 is background and n is classes[n - 1].
        classes: names of the classes.
    """
    text = PngInfo()
    text.add_itxt(CLASSES, json.dumps(list(classes)))
    image = Image.fromarray(labels)
    image.putpalette(palette())
    with replacing(path) as temporary:
        image.save(temporary, 'png', pnginfo=text)


def read_classes(path: Path) -> list[str]:
    """The names of the classes in a label map.

    Args:
        path: file that `write_labels` wrote.

    Returns:
        The names; label n is the n-th.

    Raises:
        InputError: it is another file.
    """
    try:
        with Image.open(path) as image:
            return json.loads(image.info[CLASSES])
    except (OSError, LookupError, ValueError) as error:
        raise InputError(
            f'{path} is missing or damaged; restore it, or remove its folder to begin that image anew.'
        ) from error


def read_labels(path: Path, classes: Sequence[str]) -> np.ndarray:
    """Reads a label map.

    Args:
        path: PNG file to read. One without names, as `panet-jax predict` writes it, is taken as it is.
        classes: names of the classes, which have all that the file names.

    Returns:
        [H, W] uint8, 0 is background and n is classes[n - 1].

    Raises:
        InputError: there is no such file, or it is damaged.
    """
    try:
        with Image.open(path) as image:
            labels, names = np.array(image, np.uint8), json.loads(image.info.get(CLASSES, 'null'))
    except (OSError, ValueError) as error:
        raise InputError(f'{path} is missing or damaged; segment that image again.') from error
    if names is None:
        return labels
    numbers = np.zeros(256, np.uint8)
    numbers[1 : 1 + len(names)] = [1 + classes.index(name) for name in names]
    return numbers[labels]
