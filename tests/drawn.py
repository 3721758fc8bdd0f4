"""Photographs that are drawn: a disc on a noisy ground."""

import numpy as np


def draw_disc(seed, shape=(40, 60), color=(220, 40, 30), center=(20, 30), radius=10):
    """An image [H, W, 3] uint8 and the mask [H, W] bool of its disc."""
    rng = np.random.default_rng(seed)
    image = rng.integers(60, 130, (*shape, 3)).astype(np.uint8)
    y, x = np.mgrid[: shape[0], : shape[1]]
    mask = np.hypot(y - center[0], x - center[1]) < radius
    image[mask] = color
    return image, mask


def color_params(like):
    """Parameters of an encoder that sees colors alone: how far red and blue are above and below their means."""
    params = {}
    for name, layer in like.items():
        kernel, bias = np.zeros(layer['kernel'].shape, np.float32), np.zeros(layer['bias'].shape, np.float32)
        if name == 'conv1_1':
            kernel[1, 1, [0, 0, 2, 2], range(4)] = 1, -1, 1, -1
        else:
            kernel[1, 1, range(4), range(4)] = 1
        params[name] = {'kernel': kernel, 'bias': bias}
    return params
