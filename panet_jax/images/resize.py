"""Resizes one image with its label map, bit for bit like the authors' transforms."""

import numpy as np
from PIL import Image

from panet_jax.images.sample import Sample


def resize(sample: Sample, size: int) -> Sample:
    """Resizes a sample: the image bilinearly with PIL's antialiasing, the label by nearest neighbor.

    Args:
        sample: a Sample with image [H, W, 3] uint8 and label [H, W] uint8.
        size: new side in pixels.

    Returns:
        A Sample with image [size, size, 3] uint8 and label [size, size] uint8.
    """
    if sample.label.shape == (size, size):
        return sample
    label = Image.fromarray(sample.label).resize((size, size), Image.Resampling.NEAREST)
    return sample._replace(image=resize_image(sample.image, size), label=np.asarray(label))


def resize_image(image: np.ndarray, size: int) -> np.ndarray:
    """Resizes an image bilinearly, with PIL's antialiasing.

    Args:
        image: [H, W, 3] uint8.
        size: new side in pixels.

    Returns:
        [size, size, 3] uint8.
    """
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))


def resize_map(numbers: np.ndarray, size: int) -> np.ndarray:
    """Resizes a map of numbers by nearest neighbor.

    Args:
        numbers: [H, W] int.
        size: new side in pixels.

    Returns:
        [size, size] int32.
    """
    return np.asarray(Image.fromarray(numbers.astype(np.int32)).resize((size, size), Image.Resampling.NEAREST))


def resize_mask(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resizes a mask by nearest neighbor.

    Args:
        mask: [H, W] bool.
        shape: (height, width) of the result in pixels.

    Returns:
        [height, width] bool.
    """
    return np.asarray(Image.fromarray(mask).resize(shape[::-1], Image.Resampling.NEAREST))


def mirror(sample: Sample) -> Sample:
    """Flips a sample left to right.

    Args:
        sample: a Sample with image [H, W, 3] and label [H, W].

    Returns:
        A Sample of views.
    """
    return sample._replace(image=sample.image[:, ::-1], label=sample.label[:, ::-1])
