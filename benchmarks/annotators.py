"""Clicks as a user would make them, drawn at random from masks."""

import numpy as np
from scipy import ndimage

from panet_jax.segmenter.references import Points

INSIDE = 0.5  # least distance of a click from the object's edge, as a share of the largest distance of any pixel
OUTSIDE = 0.2  # the same share for clicks on the background, which is large
CANDIDATES = 8  # random candidates for the next click; the one farthest from the earlier clicks is taken


def clicks(mask: np.ndarray, count: int, rng: np.random.Generator, inside: float = INSIDE) -> list[tuple[float, float]]:
    """Clicks well inside a mask; the first anywhere, the next ones away from the others.

    Args:
        mask: [H, W] bool, not empty.
        count: number of clicks, from 1.
        rng: source of randomness.
        inside: least distance from the edge of the mask, as a share of the largest.

    Returns:
        (x, y) pairs in pixels, at the centers of pixels.
    """
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    places = np.argwhere(depth >= inside * depth.max())
    chosen = [places[rng.integers(len(places))]]
    while len(chosen) < count:
        candidates = places[rng.integers(len(places), size=CANDIDATES)]
        distances = np.min([np.hypot(*(candidates - place).T) for place in chosen], 0)
        chosen.append(candidates[distances.argmax()])
    return [(float(column) + 0.5, float(row) + 0.5) for row, column in chosen]


def points(label: np.ndarray, instances: np.ndarray, number: int, counts: tuple[int, int], seed: tuple) -> Points:
    """Clicks on the largest object of a class and on the background.

    Args:
        label: [H, W] uint8, class numbers.
        instances: [H, W] int, 0 for no object, else the object's number.
        number: class number.
        counts: numbers of clicks on the object and on the background.
        seed: seed of the places.

    Returns:
        Points.
    """
    rng = np.random.default_rng(seed)
    of_class = label == number
    own = np.where(of_class, instances, 0)
    numbers, areas = np.unique(own[own > 0], return_counts=True)
    largest = own == numbers[areas.argmax()] if numbers.size else of_class
    on_object = clicks(largest, counts[0], rng)
    return Points(on_object, clicks(~of_class, counts[1], rng, OUTSIDE) if counts[1] else ())
