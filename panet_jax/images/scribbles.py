"""Scribbles like those of an annotator, made from masks by the rules of the DAVIS challenge's robot.

The mask is opened; the longest path in the spanning tree of its medial axis is smoothed as a Bezier curve, and drawn:
Caelles et al., "The 2018 DAVIS Challenge on Video Object Segmentation", section 4. The constants are from
util/scribbles.py of the authors of PANet.
"""

import numpy as np
from PIL import Image, ImageDraw
from scipy.sparse import coo_array, csgraph
from scipy.stats import binom
from skimage.morphology import isotropic_opening, medial_axis

KERNEL_SIZE = 0.15  # diameter of the opening's disc, as a fraction of the square root of the mask's area
MOST_RADIUS = 16.0  # largest radius of that disc, in pixels
FEWEST_POINTS = 4  # shorter paths are dropped, unless all paths are shorter
MOST_CURVE_POINTS = 1000  # a longer path is not smoothed

ROBOT_VERSION = 1  # version of this algorithm; cached scribbles of another version are made again
NO_SCRIBBLE = 65535  # value of a map of scribbles outside all scribbles


def draw_scribbles(label: np.ndarray, instances: np.ndarray, seed: int = 0) -> np.ndarray:
    """A scribble on every object of an image, and one on its background.

    Args:
        label: [H, W] uint8, 0 background, 255 void.
        instances: [H, W] int, 0 for no object, else the object's number, below 65535.
        seed: seed of the choice between equally good medial axes.

    Returns:
        [H, W] uint16: 0 on the scribble of the background, n on that of object n, 65535 elsewhere. Every
        object has a scribble, however small.
    """
    scribbles = np.full(label.shape, NO_SCRIBBLE, np.uint16)
    scribbles[scribble(label == 0, seed)] = 0
    for number in np.unique(instances[instances > 0]):
        scribbles[scribble(instances == number, seed)] = number
    return scribbles


def scribble(mask: np.ndarray, seed: int = 0) -> np.ndarray:
    """One scribble inside a mask: a curve along the longest path of each of its parts.

    Args:
        mask: [H, W] bool.
        seed: seed of the choice between equally good medial axes.

    Returns:
        [H, W] bool, within the mask; empty only if the mask is.
    """
    if not mask.any():
        return np.zeros(mask.shape, bool)
    window = tuple(slice(max(places.min() - 1, 0), places.max() + 2) for places in np.nonzero(mask))
    part = mask[window]
    axis = medial_axis(np.pad(_opened(part), 1), rng=seed)[1:-1, 1:-1]
    scribbled = np.zeros(mask.shape, bool)
    for path in longest_paths(axis):
        curve = _draw(bezier(path), part.shape) & part
        scribbled[window] |= curve if curve.any() else _draw(path, part.shape) & part
    return scribbled


def _opened(mask):
    """The morphological opening of a mask by a disc, which shrinks until the result is not empty.

    The outside of the image does not count as background: an object at the edge is not eroded there.
    """
    radius = min(KERNEL_SIZE * np.sqrt(mask.sum()) / 2, MOST_RADIUS)
    while radius > 1 and not mask.all():
        opened = isotropic_opening(mask, radius)
        if opened.any():
            return opened
        radius *= 0.9
    return mask


def longest_paths(axis: np.ndarray) -> list[np.ndarray]:
    """The longest path of each connected part of a medial axis; a ring is cut at its longest edge.

    Args:
        axis: [H, W] bool, not empty.

    Returns:
        A list of paths [points, 2] int, rows and columns, without those of fewer than four points, unless all have
        fewer.
    """
    points = np.argwhere(axis)
    tree = csgraph.minimum_spanning_tree(_neighbors(axis, points))
    tree = tree + tree.T
    number, part = csgraph.connected_components(tree, directed=False)
    paths = [points[_longest_path(tree, np.flatnonzero(part == p)[0])] for p in range(number)]
    long = [path for path in paths if len(path) >= FEWEST_POINTS]
    return long or [max(paths, key=len)]


def _neighbors(axis, points):
    """The graph of neighboring points, [points, points] sparse, weighted by distance."""
    numbers = np.zeros(np.add(axis.shape, 2), int)
    numbers[1:-1, 1:-1][axis] = np.arange(1, len(points) + 1)
    edges = []
    for step in ((0, 1), (1, -1), (1, 0), (1, 1)):
        other = numbers[tuple((points + 1 + step).T)]
        first = np.flatnonzero(other)
        edges.append(np.stack([first, other[first] - 1, np.full(len(first), np.hypot(*step))]))
    first, second, lengths = np.concatenate(edges, 1)
    return coo_array((lengths, (first.astype(int), second.astype(int))), (len(points), len(points))).tocsr()


def _longest_path(tree, start):
    """The points along the longest path of the tree that contains `start`.

    It ends at the point farthest from `start`, and begins at the point farthest from that one.
    """
    end = csgraph.breadth_first_order(tree, start, directed=False)[0][-1]
    order, before = csgraph.breadth_first_order(tree, end, directed=False)
    path = [order[-1]]
    while path[-1] != end:
        path.append(before[path[-1]])
    return np.array(path)


def bezier(path: np.ndarray) -> np.ndarray:
    """The Bezier curve that has all points of a path as control points, from its last to its first.

    Args:
        path: [points, 2] int.

    Returns:
        [points, 2] float; a path of more than a thousand points is returned as it is, as in the reference.
    """
    if len(path) > MOST_CURVE_POINTS:
        return path
    at = np.linspace(0, 1, max(2, len(path)))[:, None]
    return binom.pmf(np.arange(len(path)), len(path) - 1, at) @ path


def _draw(points, shape):
    canvas = Image.new('1', shape[::-1])
    corners = [(int(column), int(row)) for row, column in np.round(points)]
    ImageDraw.Draw(canvas).line(corners if len(corners) > 1 else corners * 2, fill=1)
    return np.asarray(canvas)
