"""Photographs that are drawn: a disc on a noisy ground."""

import numpy as np


def draw_disc(seed, shape=(40, 60), colour=(220, 40, 30), centre=(20, 30), radius=10):
    """An image [H, W, 3] uint8 and the mask [H, W] bool of its disc."""
    rng = np.random.default_rng(seed)
    image = rng.integers(60, 130, (*shape, 3)).astype(np.uint8)
    y, x = np.mgrid[: shape[0], : shape[1]]
    mask = np.hypot(y - centre[0], x - centre[1]) < radius
    image[mask] = colour
    return image, mask
