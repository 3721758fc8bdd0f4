"""Resizing one image with its label map. The same as the reference's transforms, to the bit."""

import numpy as np
from PIL import Image


def resize(sample, size):
    """Squashes a sample to size x size: image bilinear (antialiased, as PIL does), label nearest.

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


def resize_image(image, size):
    """The image of a sample alone: [H, W, 3] uint8 -> [size, size, 3] uint8."""
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))


def resize_map(numbers, size):
    """A map of numbers at another size, nearest: [H, W] int -> [size, size] int32."""
    return np.asarray(Image.fromarray(numbers.astype(np.int32)).resize((size, size), Image.Resampling.NEAREST))


def mirror(sample):
    """The sample flipped left to right."""
    return sample._replace(image=sample.image[:, ::-1], label=sample.label[:, ::-1])
