"""What is drawn on an image means for its labels: a region, which a class gets or loses."""

import json
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from panet_jax.errors import InputError
from panet_jax.segmenter.references import Points

Tool = Literal['brush', 'outline', 'click']
TOOLS = ('brush', 'outline', 'click')
ADD, REMOVE = MODES = ('add', 'remove')


class Stroke(NamedTuple):
    """What was drawn on an image, as the browser tells it.

    Attributes:
        number: number of the stroke, by which the browser knows it again.
        stem: name of the image.
        tool: how it was drawn, one of TOOLS.
        mode: 'add' or 'remove'.
        points: (x, y) pairs as fractions of the image's width and height.
        width: diameter of the brush as a fraction of the image's width.
    """

    number: int
    stem: str
    tool: Tool
    mode: str
    points: list[tuple[float, float]]
    width: float


def read_stroke(text: str) -> Stroke:
    """Reads a stroke.

    Args:
        text: JSON object of the attributes of a Stroke.

    Returns:
        The Stroke.

    Raises:
        InputError: it is something else.
    """
    try:
        stroke = Stroke(**json.loads(text))
        points = [(float(x), float(y)) for x, y in stroke.points]
        if not points or not np.isfinite([*np.ravel(points), float(stroke.width)]).all():
            raise ValueError
        if stroke.tool not in TOOLS or stroke.mode not in MODES:
            raise ValueError
    except (TypeError, ValueError) as error:
        raise InputError('What was drawn could not be read; reload the page, and draw it again.') from error
    return stroke._replace(points=points)


def drawn_region(
    stroke: Stroke, shape: tuple[int, int], understand: Callable[[list[tuple[float, float]]], np.ndarray]
) -> np.ndarray:
    """The region that a stroke stands for.

    Args:
        stroke: 'brush' is the line with its width; 'outline' the polygon of its points; 'click' what looks like the place
            of each point.
        shape: (H, W) of the image.
        understand: gives the region [H, W] bool of points.

    Returns:
        [H, W] bool.
    """
    if stroke.tool == 'click':
        return understand(stroke.points)
    height, width = shape
    points = [(x * width - 0.5, y * height - 0.5) for x, y in stroke.points]  # Pillow counts from the centers of pixels
    image = Image.new('1', (width, height))
    draw = ImageDraw.Draw(image)
    if stroke.tool == 'outline':
        if len(points) > 2:
            draw.polygon(points, fill=1, outline=1)
        return np.array(image)
    radius = max(0.5, stroke.width * width / 2)
    draw.line(points, fill=1, width=max(1, round(2 * radius)))
    for x, y in points:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)
    return np.array(image)


def points_in(shape: tuple[int, int], points: list[tuple[float, float]]) -> Points:
    """Points of an image, as the Segmenter takes them.

    Args:
        shape: (H, W) of the image.
        points: (x, y) pairs as fractions of width and height.

    Returns:
        Points in pixels, inside the image.
    """
    height, width = shape
    return Points([(min(max(x, 0), 1) * (width - 1), min(max(y, 0), 1) * (height - 1)) for x, y in points])


def changed_labels(labels: np.ndarray, region: np.ndarray, label: int, mode: str) -> np.ndarray:
    """A label map in which a class has gained or lost a region; other classes lose what it gains.

    Args:
        labels: [H, W] uint8.
        region: [H, W] bool.
        label: number of the class.
        mode: 'add' or 'remove'.

    Returns:
        [H, W] uint8.
    """
    if mode == ADD:
        return np.where(region, np.uint8(label), labels)
    return np.where(region & (labels == label), np.uint8(0), labels)
