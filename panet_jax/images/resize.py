"""Resizing one image with its label map, bit for bit as the authors' transforms do."""

import numpy as np
from PIL import Image


def resize(sample, size):
    """Resizes a sample to size x size: the image bilinearly (antialiased, as PIL does), the label by nearest pixels.

    Args:
        sample: image [H, W, 3] uint8, label [H, W] uint8.
        size: side in pixels.

    Returns:
        Sample with image [size, size, 3] uint8 and label [size, size] uint8.
    """
    if sample.label.shape == (size, size):
        return sample
    label = Image.fromarray(sample.label).resize((size, size), Image.Resampling.NEAREST)
    return sample._replace(image=resize_image(sample.image, size), label=np.asarray(label))


def resize_image(image: np.ndarray, size: int) -> np.ndarray:
    """The image of a sample alone: [H, W, 3] uint8 -> [size, size, 3] uint8."""
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))


def resize_map(numbers: np.ndarray, size: int) -> np.ndarray:
    """A map of numbers at another size, by nearest pixels: [H, W] int -> [size, size] int32."""
    return np.asarray(Image.fromarray(numbers.astype(np.int32)).resize((size, size), Image.Resampling.NEAREST))


def mirror(sample):
    """The sample flipped left to right."""
    return sample._replace(image=sample.image[:, ::-1], label=sample.label[:, ::-1])
