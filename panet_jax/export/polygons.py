"""Polygons around objects. They have no holes."""

import numpy as np
from skimage.measure import approximate_polygon, find_contours

from panet_jax.images.objects import Object

# Points that lie within so many pixels of the line between others are left out. With 0.3 the polygons of 447 objects of
# COCO have 3/8 of the points, and give every pixel back; with 0.4 the least IoU is 0.980, with 0.5 it is 0.944.
TOLERANCE = 0.3
# The mask is 1 inside and 0 outside; the contour at this height goes through the centers of the object's own pixels.
INSIDE = 0.999


def edge_polygons(one: Object) -> list[np.ndarray]:
    """The outlines of an object along the edges of its pixels, as in COCO, where pixel x covers x..x+1.

    Args:
        one: the object; it may have several parts.

    Returns:
        [P, 2] float64 for each part, x and y in pixels.
    """
    return [_simplified(outline + 0.5) for outline in _outlines(one, 0.5)]


def center_polygons(one: Object) -> list[np.ndarray]:
    """The outlines of an object through the centers of its outermost pixels, as OpenCV and YOLO have them.

    Args:
        one: the object; it may have several parts.

    Returns:
        [P, 2] float64 for each part, x and y in pixels; pixel x has its center at x. P is at least 3.
    """
    return [_at_least_three(_simplified(np.rint(outline))) for outline in _outlines(one, INSIDE)]


def _outlines(one, height):
    """[P, 2] (x, y) of each closed contour around a part, in pixels with centers at whole numbers; none around a hole."""
    contours = find_contours(
        np.pad(one.crop, 1).astype(float), height, fully_connected='high', positive_orientation='high'
    )
    return [contour[:, ::-1] + np.subtract(one.box[:2], 1) for contour in contours if _turns_around_object(contour)]


def _turns_around_object(contour):
    """Whether a contour (row, column) has the object inside, not a hole: `positive_orientation` gives them opposite turns."""
    rows, columns = contour.T
    return np.sum(rows[:-1] * columns[1:] - rows[1:] * columns[:-1]) > 0


def _simplified(polygon):
    """A closed polygon with fewer points, and without the last one, which is the first again."""
    simple = approximate_polygon(polygon, TOLERANCE)
    return (simple if len(simple) > 3 else polygon)[:-1]


def _at_least_three(polygon):
    """A polygon of one or two points, of an object that is a pixel or a line, with repeated points."""
    different = polygon[np.insert(np.any(np.diff(polygon, axis=0) != 0, axis=1), 0, True)]
    return np.resize(different, (max(3, len(different)), 2))
