"""What a user hands to the Segmenter: photographs, and annotations that say where a class is.

All of it is checked here, before anything is computed. Annotations become Marks, masks at the size of the network.
"""

import dataclasses
import numbers
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image, ImageOps
from scipy import ndimage

from panet_jax.errors import InputError
from panet_jax.images.class_masks import class_mask, mask_of_image
from panet_jax.images.decode import label_numbers, open_image, to_rgb, upright_shape
from panet_jax.images.resize import resize_map
from panet_jax.method.episode import IGNORE

POINT_RADIUS = 0.01  # of a point's disc, as a fraction of the network's side: 4 pixels of 417
FAR = 0.25  # fraction of an image that is background if strokes or points mark none


@dataclasses.dataclass(frozen=True)
class Box:
    """A box around an object of the class.

    It covers left <= x < right and top <= y < bottom: Box(0, 0, W, H) is the whole image. (A box of COCO is
    left, top, width, height.)

    Attributes:
        left, top, right, bottom: edges in pixels, from the upper left corner.
    """

    left: float
    top: float
    right: float
    bottom: float


@dataclasses.dataclass(frozen=True)
class Points:
    """Points on objects of the class and, if there are any, on the background.

    Attributes:
        points: (x, y) pairs in pixels, x to the right and y down, from the upper left corner.
        background: the same, where the class is not.
    """

    points: Sequence[tuple[float, float]]
    background: Sequence[tuple[float, float]] = ()


@dataclasses.dataclass(frozen=True)
class Scribble:
    """Strokes, drawn on a map of the image's size.

    Attributes:
        strokes: [H, W] integers, 0 on strokes on the background, 255 where there is no stroke, another number on
            strokes on the class; or the path or the Pillow image of such a PNG.
    """

    strokes: np.ndarray | str | Path | Image.Image


Photo = str | Path | Image.Image | np.ndarray
Annotation = Photo | Box | Points | Scribble | Sequence[float] | Sequence[tuple[float, float]]
MarksKind = Literal['mask', 'box', 'points', 'scribble']


class Marks(NamedTuple):
    """An annotation at the size S of the network.

    Attributes:
        foreground: [S, S] bool, pixels of the class.
        background: [S, S] bool, pixels that are not of the class.
        drawn: whether the background is marked by strokes or points, and not merely what the foreground leaves.
        kind: what was annotated. It does not matter once features are pooled, and files do not keep it.
    """

    foreground: np.ndarray
    background: np.ndarray
    drawn: bool = False
    kind: MarksKind = 'mask'


def read_photo(photo: Photo, source_name: str) -> np.ndarray:
    """A photograph as RGB.

    Args:
        photo: path or Pillow image of any mode; its EXIF orientation is applied and its transparency dropped. Or an
            array [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] uint8.
        source_name: what errors call the photograph; a file is called by its path.

    Returns:
        [H, W, 3] uint8.

    Raises:
        InputError: there is no such file, or it is no image, or the array has another shape or dtype.
    """
    if isinstance(photo, str | Path | Image.Image):
        image, source_name = _open(photo, source_name)
        return np.asarray(to_rgb(ImageOps.exif_transpose(image), source_name))
    pixels = np.asarray(photo)
    if pixels.dtype != np.uint8:
        raise InputError(
            f'{source_name} must be a path, a Pillow image or an array of uint8 with values 0..255, got '
            f'{_described(photo, pixels)}.'
        )
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3, 4) or not pixels.size:
        raise InputError(f'{source_name} must be an array [H, W], [H, W, 3] or [H, W, 4], got shape {np.shape(photo)}.')
    return np.ascontiguousarray(np.broadcast_to(pixels[..., :3], (*pixels.shape[:2], 3)))


def read_marks(annotation: Annotation, shape: tuple[int, int], size: int, source_name: str) -> Marks:
    """An annotation of any kind at the size of the network.

    Args:
        annotation: a mask (a path, a Pillow image or an array, see `class_mask`), a Box or four numbers,
            Points or a list of (x, y), or a Scribble.
        shape: (H, W) of the photograph, upright.
        size: side in pixels of the images that the network sees.
        source_name: what errors call the annotation, such as "the mask of cat.jpg".

    Returns:
        Marks; at least one pixel is foreground.

    Raises:
        InputError: the annotation does not fit the photograph, marks nothing, or cannot be read.
    """
    annotation = _named(annotation)
    if isinstance(annotation, Box):
        return _box_marks(annotation, shape, size, source_name)
    if isinstance(annotation, Points):
        return _point_marks(annotation, shape, size, source_name)
    if isinstance(annotation, Scribble):
        return _stroke_marks(annotation, shape, size, source_name)
    return _mask_marks(annotation, shape, size, source_name)


def _named(annotation):
    """The annotation; four numbers become a Box, a list of pairs becomes Points."""
    if not isinstance(annotation, list | tuple) or not len(annotation):
        return annotation
    if len(annotation) == 4 and all(isinstance(edge, numbers.Real) for edge in annotation):
        return Box(*annotation)
    if all(isinstance(point, list | tuple | np.ndarray) and len(point) == 2 for point in annotation):
        return Points(annotation)
    return annotation


def _mask_marks(mask, shape, size, source_name):
    if isinstance(mask, str | Path | Image.Image):
        image, source_name = _open(mask, source_name)
        foreground, void = mask_of_image(image, source_name)
    else:
        values = np.asarray(mask)
        if values.dtype != bool and not np.issubdtype(values.dtype, np.integer):
            raise InputError(
                f'{source_name} must be a mask of bool or integers, the path of a PNG, a Pillow image, pj.Box, pj.Points or '
                f'pj.Scribble, got {_described(mask, values)}.'
            )
        values = values[..., 0] if values.ndim == 3 and values.shape[-1] == 1 else values
        _check_shape(values, shape, source_name)
        foreground, void = class_mask(values, source_name)
    _check_shape(foreground, shape, source_name)
    if not foreground.any():
        raise InputError(f'{source_name} is empty: no pixel is of the class; mark some, or leave this reference out.')
    resized = resize_map(foreground, size) > 0
    if not resized.any():  # the object lies between the pixels that the resizing takes
        resized = _cells(foreground, size)
    return Marks(resized, ~resized & (resize_map(void, size) == 0))


def _box_marks(box, shape, size, source_name):
    edges = (box.left, box.top, box.right, box.bottom)
    if not all(isinstance(edge, numbers.Real) for edge in edges):
        raise InputError(f'{source_name} must be a box of four numbers left, top, right, bottom, got {edges}.')
    inside = 0 <= box.left < box.right <= shape[1] and 0 <= box.top < box.bottom <= shape[0]
    if not inside:
        raise InputError(
            f'{source_name} must lie in the image of {shape[::-1]} pixels (width, height) with left < right and top < bottom, '
            f'got left {box.left:g}, top {box.top:g}, right {box.right:g}, bottom {box.bottom:g}; a box of COCO is left, top, '
            'width, height: give left + width and top + height.'
        )
    if box.right - box.left < 1 or box.bottom - box.top < 1:
        raise InputError(
            f'{source_name} is a box less than a pixel wide or high: left {box.left:g}, top {box.top:g}, right {box.right:g}, bottom '
            f'{box.bottom:g}. Its edges are counted in pixels: multiply shares of the image by its {shape[1]} x {shape[0]}.'
        )
    foreground = np.zeros((size, size), bool)
    rows, columns = _cover(box.top, box.bottom, shape[0], size), _cover(box.left, box.right, shape[1], size)
    foreground[rows, columns] = True
    return Marks(foreground, ~foreground, kind='box')


def _cover(first, last, length, size):
    """The slice of the network's pixels whose centers lie between two edges; at least one pixel."""
    scale = size / length
    start = min(round(first * scale), size - 1)
    return slice(start, max(start + 1, round(last * scale)))


def _point_marks(points, shape, size, source_name):
    if not len(points.points):
        raise InputError(f'{source_name} must have a point on the class, got none.')
    foreground, background = (_discs(marked, shape, size, source_name) for marked in (points.points, points.background))
    return _drawn_marks(foreground, background, 'points')


def _discs(points, shape, size, source_name):
    """[S, S] bool, a disc around each point."""
    y, x = np.mgrid[:size, :size] + 0.5
    mask = np.zeros((size, size), bool)
    for point in points:
        if len(point) != 2 or not all(isinstance(coordinate, numbers.Real) for coordinate in point):
            raise InputError(f'{source_name} must be points (x, y), got {point}.')
        if not (0 <= point[0] <= shape[1] and 0 <= point[1] <= shape[0]):
            raise InputError(
                f'{source_name} must lie in the image of {shape[::-1]} pixels (width, height), got x {point[0]:g}, y {point[1]:g}; '
                'count pixels from the upper left corner of the image itself, x to the right and y down.'
            )
        center_x, center_y = point[0] * size / shape[1], point[1] * size / shape[0]
        mask |= np.hypot(x - center_x, y - center_y) <= max(1, POINT_RADIUS * size)
    return mask


def _stroke_marks(scribble, shape, size, source_name):
    strokes = scribble.strokes
    if isinstance(strokes, str | Path | Image.Image):
        image, source_name = _open(strokes, source_name)
        values = label_numbers(image, source_name, range(IGNORE + 1))
    else:
        values = np.asarray(strokes)
        if not np.issubdtype(values.dtype, np.integer):
            raise InputError(f'{source_name} must be strokes as integers, got {_described(strokes, values)}.')
    _check_shape(values, shape, source_name)
    foreground = (values != 0) & (values != IGNORE)
    if not foreground.any():
        raise InputError(
            f'{source_name} has no stroke on the class; wanted 0 on strokes on the background, {IGNORE} where there is none, '
            'another number on the class.'
        )
    return _drawn_marks(_cells(foreground, size), _cells(values == 0, size), 'scribble')


def _drawn_marks(foreground, background, kind):
    """Marks of strokes or points. If none is on the background, the background is what lies farthest from them."""
    if background.any():
        return Marks(foreground, background & ~foreground, drawn=True, kind=kind)
    return Marks(foreground, farthest(foreground), kind=kind)


def farthest(foreground: np.ndarray) -> np.ndarray:
    """The quarter of an image that lies farthest from what is marked.

    "All that is not marked" would hold most of the object. With three points, mean-IoU of the ImageNet network on 512
    pairs of COCO's photographs was 12 % with all that, 18 % with the farthest quarter, and 19 % with three points on the
    background.

    Args:
        foreground: [S, S] bool, where points or strokes are.

    Returns:
        [S, S] bool.
    """
    distance = ndimage.distance_transform_edt(~foreground)
    return distance > np.quantile(distance, 1 - FAR)


def _cells(mask, size):
    """[S, S] bool, the network's pixels that hold a pixel of the mask: thin lines stay, which resizing would lose."""
    cells = np.zeros((size, size), bool)
    rows, columns = np.nonzero(mask)
    cells[rows * size // mask.shape[0], columns * size // mask.shape[1]] = True
    return cells


def _open(image, source_name):
    """The Pillow image of a path, or the image itself; loaded; and what errors call it."""
    if isinstance(image, Image.Image):
        try:
            image.load()
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(f'{source_name} cannot be read as an image ({error}).') from error
        return image, source_name
    return open_annotation(image), str(Path(image).expanduser())


def open_annotation(path: str | Path) -> Image.Image:
    """Decodes an image file, such as that of a mask or of strokes.

    Args:
        path: the file.

    Returns:
        The Pillow image, loaded.

    Raises:
        InputError: there is no such file, or it is no image.
    """
    path = Path(path).expanduser()
    return open_image(_bytes(path), str(path))


def photo_shape(path: str | Path) -> tuple[int, int]:
    """Height and width of a photograph; a damaged one is found, in less time than it takes to decode it.

    Args:
        path: the file.

    Returns:
        (H, W) in pixels, upright.

    Raises:
        InputError: there is no such file, or it is no image.
    """
    path = Path(path).expanduser()
    return upright_shape(_bytes(path), str(path))


def _bytes(path):
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f'there is no file {path}.') from error
    except OSError as error:
        raise InputError(f'{path} cannot be read ({error.strerror}).') from error


def _check_shape(mask, shape, source_name):
    if mask.shape != shape:
        raise InputError(
            f'{source_name} must be as large as its image, {shape[::-1]} pixels (width, height, upright), got {mask.shape[::-1]}; '
            "resize it to that without smoothing (nearest neighbors, Pillow's resize(size, 0)), or annotate this image."
        )


def _described(value, array):
    """Describes a value that is no right array, for an error; `array` is what numpy makes of it."""
    return f'an array of {array.dtype}' if hasattr(value, 'dtype') else f'{type(value).__name__} {str(value)[:40]!r}'
