"""Reads the mask of one class, whatever program painted, resized or compressed it.

There are two kinds. One has numbers of objects, with 255 as void, as in PASCAL VOC. The other is black and white, with gray
edges after resizing. The arrangement of the numbers distinguishes them. Objects are areas, or lie within a rim of void. Soft
edges are slopes, darker on one side and brighter on the other. A mask that fits both kinds, or neither, is refused.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.measure import label as label_regions

from panet_jax.errors import InputError
from panet_jax.images.decode import brightness, mask_numbers
from panet_jax.method.episode import IGNORE

# The bounds below were chosen on the masks of robustness/mask_readings.py.
OPAQUE = 128  # lowest alpha of a pixel of the class
# Largest number of an object or class in an image; larger numbers may be levels of gray.
MOST_OBJECTS = 30
MOST_CONSECUTIVE = 127  # largest number if the numbers have no gap
NEARLY_WHITE = 240  # no object has such a number or a larger one
NEARLY_BLACK = 16  # a palette's color is black if no channel is above this
FEW_LEVELS = 4  # more levels than this suggest an edge
FLAT = 0.3  # lowest `Arrangement.flat` of areas (bands of three pixels have it); edges have less
# The two possible meanings of 255, for an error.
VOID_OR_INSIDE = 'void around objects of these numbers, or the inside of a class whose edges these are'
VOID_OR_OBJECT = 'void or an object'


class Arrangement(NamedTuple):
    """How the numbers between 0 and the largest one are arranged in an image, as fractions in [0, 1].

    Attributes:
        flat: fraction of their pixels whose eight neighbors are equal; the mean over the numbers.
        sloping: fraction of their area in regions that border on lower and on higher numbers about equally.
        enclosed: fraction of their area in regions that border on higher numbers only.
        abrupt: fraction of the pixels at a border whose neighbor differs by more than one level.
    """

    flat: float
    sloping: float
    enclosed: float
    abrupt: float


def mask_of_image(image: Image.Image, where: str) -> tuple[np.ndarray, np.ndarray]:
    """The foreground and the void of a mask image.

    An image with transparent pixels is read by its transparency, a palette of grays by its brightness, any other by
    its numbers.

    Args:
        image: a Pillow image, loaded.
        where: its name in errors.

    Returns:
        Two arrays [H, W] bool, as from `class_mask`.

    Raises:
        InputError: the mask can be read in two ways, or is no mask.
    """
    if image.mode in ('RGBA', 'LA') or 'transparency' in image.info:
        opaque = np.asarray(image.convert('RGBA').getchannel('A'))
        if (opaque < IGNORE).any():
            return opaque >= OPAQUE, np.zeros(opaque.shape, bool)
    numbers = mask_numbers(image, where, largest=65535)
    if image.mode != 'P':
        return class_mask(numbers, where)
    grays = brightness(image)
    if grays is not None:
        return class_mask(grays, where, has_void=(numbers == IGNORE).any())
    _check_black(image, numbers, where)
    return _by_number(numbers, is_void=True)


def class_mask(values: np.ndarray, where: str, *, has_void: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The foreground and the void of a mask of numbers.

    Any number but 0 is foreground: a mask may be black and white, have the values 0 and 1, or number the objects.
    There are two exceptions. 255 beside numbers of objects is void. In a mask with soft edges, a pixel is foreground if it
    is at least half as bright as the brightest pixel.

    Args:
        values: [H, W] bool or integer, not negative.
        where: its name in errors.
        has_void: whether 255 may be void.

    Returns:
        Two arrays [H, W] bool: the foreground and the void.

    Raises:
        InputError: the mask can be read in two ways, or has a negative number.
    """
    levels = np.unique(values)
    if levels.size and levels[0] < 0:
        raise InputError(f'{where} has the number {levels[0]}; wanted 0 outside the class, and no negative number.')
    numbers = levels[levels > 0]
    if len(numbers) < 2 or numbers[-1] <= MOST_OBJECTS:
        return _by_number(values, is_void=False)
    if levels[0] > 0:
        _check_dark(numbers, has_void, where)
    elif numbers[-1] == IGNORE and has_void:
        if _is_void(values, numbers[:-1], where):
            return _by_number(values, is_void=True)
    elif not _is_soft(values, numbers, where):
        if has_void and IGNORE in numbers and len(numbers) < numbers[-1]:
            raise _ambiguous(numbers, where, VOID_OR_OBJECT)
        return _by_number(values, is_void=False)
    return 2 * values.astype(int) >= numbers[-1], np.zeros(values.shape, bool)


def _by_number(values, is_void):
    """Reads any number but 0 as foreground, except 255 if it may be void and stands beside other numbers."""
    void = (values == IGNORE) & (is_void and bool(((values != 0) & (values != IGNORE)).any()))
    return (values != 0) & ~void, void


def _check_dark(numbers, has_void, where):
    """Refuses a mask without a 0 whose darkest gray may not be meant as black."""
    objects_and_void = has_void and numbers[-1] == IGNORE and _may_be_objects(numbers[:-1])
    if objects_and_void or 4 * int(numbers[0]) > numbers[-1]:
        raise InputError(
            f'{where} has no pixel of 0, but numbers from {numbers[0]} to {numbers[-1]}; save the class as 255 and all else '
            'as 0.'
        )


def _is_void(values, between, where):
    """Whether 255 is void around objects with these numbers, and not the inside of a class with this soft edge."""
    arrangement = _arrangement(values)
    if _may_be_objects(between):
        mostly_objects = np.count_nonzero(values) > 2 * np.count_nonzero(values == IGNORE)
        if mostly_objects or arrangement.flat >= FLAT or arrangement.enclosed >= 0.5:
            return True
        raise _ambiguous(between, where, VOID_OR_INSIDE)
    thin_edge = arrangement.flat < FLAT and (arrangement.sloping >= 0.3 or between[-1] >= NEARLY_WHITE)
    if thin_edge or _wide_edge(arrangement, between):
        return False
    if arrangement.enclosed >= 0.5 and between[-1] < NEARLY_WHITE:
        return True
    raise _ambiguous(between, where, VOID_OR_INSIDE)


def _is_soft(values, numbers, where):
    """Whether these numbers are the levels of a soft edge and not objects; none of them is void."""
    arrangement = _arrangement(values)
    if (arrangement.flat < FLAT and arrangement.sloping >= 0.5) or _wide_edge(arrangement, numbers[:-1]):
        return True
    if len(numbers) == 2 and arrangement.sloping >= 0.9 and arrangement.abrupt < 0.1:
        raise InputError(
            f'{where} has an area of {numbers[0]} around those of {numbers[1]}, which may be an object or a wide edge; '
            'save the class as 255 and all else as 0.'
        )
    if _may_be_objects(numbers) or arrangement.flat >= FLAT:
        return False
    return len(numbers) > MOST_OBJECTS or (len(numbers) > FEW_LEVELS and arrangement.sloping >= 0.3)


def _wide_edge(arrangement, between):
    """Whether the levels are nested bands, several pixels wide. One band alone does not count: it may be an object."""
    return len(between) > 1 and arrangement.sloping >= 0.7 and arrangement.abrupt < 0.1


def _may_be_objects(numbers):
    """Whether the numbers are small enough for objects: at most 30, or 1, 2, 3, ... without a gap."""
    return numbers[-1] <= MOST_OBJECTS or len(numbers) == numbers[-1] <= MOST_CONSECUTIVE


def _arrangement(values):
    """The Arrangement of a mask that has at least one number between 0 and its largest one."""
    rows, columns = (np.flatnonzero((values > 0).any(axis)) for axis in (1, 0))
    values = values[max(rows[0] - 1, 0) : rows[-1] + 2, max(columns[0] - 1, 0) : columns[-1] + 2]
    values = np.searchsorted(np.union1d(values, 0), values)  # ranks: only the order of the numbers counts
    top = values.max()
    cross = ndimage.generate_binary_structure(2, 1)
    lowest, highest = (around(values, footprint=cross) for around in (ndimage.minimum_filter, ndimage.maximum_filter))
    inside = ndimage.minimum_filter(values, 3) == ndimage.maximum_filter(values, 3)
    between = (values > 0) & (values < top)
    numbers, regions = values[between], label_regions(values, background=0)[between]
    pixels, flat = np.bincount(numbers), np.bincount(numbers, weights=inside[between])
    sizes = np.bincount(regions)
    darker = np.bincount(regions, weights=(lowest < values)[between])
    brighter = np.bincount(regions, weights=(highest > values)[between])
    sloping = 4 * np.minimum(darker, brighter) > np.maximum(darker, brighter)
    enclosed = (4 * darker <= brighter) & (brighter > 0)
    steps = np.maximum(highest - values, values - lowest)
    return Arrangement(
        flat=(flat[pixels > 0] / pixels[pixels > 0]).mean(),
        sloping=sizes[sloping].sum() / sizes.sum(),
        enclosed=sizes[enclosed].sum() / sizes.sum(),
        abrupt=(steps[steps > 0] > 1).mean(),
    )


def _check_black(image, numbers, where):
    """Refuses a palette of colors in which another number than 0 is black."""
    palette = np.reshape(image.getpalette(), (-1, 3))
    used = np.unique(numbers)
    black = [number for number in used if number < len(palette) and palette[number].max() <= NEARLY_BLACK]
    if black and black[0] > 0 and palette[0].max() > NEARLY_BLACK:
        raise InputError(
            f'{where} has a palette in which number 0 has the color {tuple(palette[0].tolist())} and number {black[0]} is '
            'black, and either may be the background; save the class as white and all else as black.'
        )


def _ambiguous(between, where, readings):
    listed = ', '.join(str(number) for number in between[:5]) + (', ...' if len(between) > 5 else '')
    return InputError(
        f'{where} has 255 beside {listed}, and it may be {readings}; save the class as 255 and all else as 0, or give an array '
        'of bool.'
    )
