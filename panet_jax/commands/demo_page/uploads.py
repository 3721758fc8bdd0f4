"""Images that visitors of the page upload: how large they may be, and how large they are kept."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from panet_jax.errors import InputError
from panet_jax.images.decode import open_image

LARGEST = 1200  # pixels of the longer side of an image that is drawn on; the network sees fewer
MOST_PIXELS = 64_000_000  # of an image; cameras have up to 50 million, and a small file can hold any number


def read_mask(path: str | Path) -> Image.Image:
    """Reads a mask that was uploaded, shrunk as its photograph was.

    Args:
        path: file to read; errors call it by its name alone.

    Returns:
        A Pillow image.

    Raises:
        InputError: it has too many pixels, or is no image.
    """
    path = Path(path)
    if has_too_many_pixels(path):
        raise InputError(too_large(path))
    mask = open_image(path.read_bytes(), path.name)
    resized = mask.resize(fitting(mask.size[::-1], LARGEST), Image.Resampling.NEAREST)
    resized.format = mask.format  # by which a JPEG, which is no mask, is recognized
    return resized


def has_too_many_pixels(path: Path) -> bool:
    """Whether an image has more than MOST_PIXELS, as its header says; it is not decoded.

    Args:
        path: file of the image.

    Returns:
        False too for a file that is no image.
    """
    try:
        with Image.open(path) as image:
            return image.width * image.height > MOST_PIXELS
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return True
    except Exception:  # of many kinds, for a damaged file; decoding it later reports the damage
        return False


def shrunk(photo: np.ndarray) -> np.ndarray:
    """A photograph that is small enough to draw on: each stroke travels with it to the server.

    Args:
        photo: [H, W, C] uint8.

    Returns:
        [h, w, C] uint8, at most LARGEST pixels a side.
    """
    return np.asarray(Image.fromarray(photo).resize(fitting(photo.shape, LARGEST)))


def fitting(shape: Sequence[int], side: int) -> tuple[int, int]:
    """The size of an image that is made to fit a square; it is never enlarged.

    Args:
        shape: its (H, W, ...).
        side: side of the square in pixels.

    Returns:
        (width, height).
    """
    scale = min(1, side / max(shape[:2]))
    return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))


def too_large(path: Path) -> str:
    """The sentence on an image with too many pixels.

    Args:
        path: file of the image.

    Returns:
        The sentence.
    """
    return f'{path.name} has more than {MOST_PIXELS // 10**6} million pixels; make it smaller.'
