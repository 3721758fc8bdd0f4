"""Decoding one photograph or mask, whatever camera or program wrote it; an InputError names the file."""

import contextlib
import io
from collections.abc import Iterable

import numpy as np
from PIL import ExifTags, Image, ImageOps

from panet_jax.errors import InputError

# Endings of the file names of photographs.
ENDINGS = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
DEPTHS = (8, 10, 12, 14, 16)  # bits that a camera's gray values may have
HALVED = 'upper 8 of 16 bits'  # key of `info` for color images of 16 bits, of which Pillow keeps the upper 8
DEEP = ('I', 'I;16', 'I;16B', 'I;16L')  # Pillow's modes of 16 bits


def open_image(data: bytes, where: str) -> Image.Image:
    """Decodes the bytes of an image file.

    Args:
        data: content of the file.
        where: the file's name in errors.

    Returns:
        A Pillow image, loaded.

    Raises:
        InputError: the file is damaged, not an image, or too large.
    """
    with _told(data, where):
        image = Image.open(io.BytesIO(data))
        halved = image.mode in ('RGB', 'RGBA') and ';16' in str(image.tile)
        image.load()
    image.info[HALVED] = halved
    return image


def upright_shape(data: bytes, where: str) -> tuple[int, int]:
    """Height and width of an image; a JPEG is decoded at an eighth of its size, which finds out whether it is whole.

    Args:
        data: content of the file.
        where: the file's name in errors.

    Returns:
        (H, W) in pixels, after the EXIF orientation.

    Raises:
        InputError: the file is damaged, not an image, or too large.
    """
    with _told(data, where):
        image = Image.open(io.BytesIO(data))
        width, height = image.size
        # Pillow turns a TIFF itself, already when it opens the file.
        turned = image.format != 'TIFF' and image.getexif().get(ExifTags.Base.Orientation, 1) in SIDEWAYS
        image.draft('RGB', (1, 1))
        image.load()
    return (width, height) if turned else (height, width)


@contextlib.contextmanager
def _told(data, where):
    """Turns what Pillow raises into InputErrors."""
    try:
        yield
    except Image.UnidentifiedImageError as error:
        what = 'is empty' if not data else 'is no image that Pillow knows'
        raise InputError(f'{where} {what}; replace it or leave it out.') from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f'{where} is too large ({error}); make it smaller or leave it out.') from error
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError, OverflowError) as error:
        raise InputError(f'{where} cannot be read as an image ({error}); replace it or leave it out.') from error


def decode_photo(data: bytes, where: str, shape: tuple[int, int] | None = None) -> np.ndarray:
    """A photograph as [H, W, 3] uint8 RGB, upright.

    Gray, palette, CMYK and 16-bit images are converted; transparency is dropped. The EXIF orientation is applied, unless
    the mask fits only the image as stored.

    Args:
        data: content of the image file.
        where: the file's name in errors.
        shape: (H, W) of the mask, if there is one.

    Returns:
        [H, W, 3] uint8.

    Raises:
        InputError: the file cannot be decoded, or has another shape than its mask.
    """
    image = open_image(data, where)
    upright = ImageOps.exif_transpose(image)
    if shape is None or upright.size == shape[::-1] or image.size != shape[::-1]:
        image = upright
    if shape is not None and image.size != shape[::-1]:
        raise InputError(
            f'{where} is {image.size} pixels but its mask is {shape[::-1]} (width, height); repair it or leave it out.'
        )
    return np.asarray(to_rgb(image, where))


def to_rgb(image: Image.Image, where: str) -> Image.Image:
    """A Pillow image of any mode as one of 8-bit RGB; transparency is dropped.

    16-bit gray values are scaled from the smallest depth that holds the largest value: 8, 10, 12, 14 or 16 bits. Cameras
    and microscopes write 12 bits, which would otherwise be almost black.

    Args:
        image: a Pillow image.
        where: its name in errors.

    Returns:
        A Pillow image of mode RGB.

    Raises:
        InputError: its values have no defined brightness.
    """
    if image.mode in DEEP:
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise InputError(f'{where} has gray values from {values.min()} to {values.max()}; wanted 0 to 65535.')
        return Image.fromarray(_in_8_bits(values)).convert('RGB')
    if image.info.get(HALVED) and max(most for _, most in image.getextrema()) < 16:
        raise InputError(
            f'{where} has 16-bit colors that use only the lower 12 bits and would be almost black; save it with 8 bits a '
            'channel.'
        )
    if image.mode == 'F':
        raise InputError(f'{where} has floating-point gray values; save it with 8 or 16 bits.')
    if 'transparency' in image.info:  # without this step Pillow warns
        image = image.convert('RGBA')
    return image.convert('RGB')


def _in_8_bits(values):
    """Gray values [H, W] of 0..65535 as uint8."""
    largest = next(2**bits - 1 for bits in DEPTHS if values.max() < 2**bits)
    return (values.astype(np.int64) * 255 // largest).astype(np.uint8)


def decode_mask(data: bytes, where: str, largest: int = 255) -> np.ndarray:
    """The numbers of a mask: a palette or gray PNG, or an RGB one with equal channels.

    Args:
        data: content of the image file.
        where: the file's name in errors.
        largest: largest number that is allowed.

    Returns:
        [H, W] uint16 in 0..largest.

    Raises:
        InputError: the file cannot be decoded, or is no mask of numbers.
    """
    return mask_numbers(open_image(data, where), where, largest)


def mask_numbers(image: Image.Image, where: str, largest: int = 255) -> np.ndarray:
    """The numbers of a mask that Pillow has opened; see `decode_mask`.

    Args:
        image: a Pillow image.
        where: its name in errors.
        largest: largest number that is allowed.

    Returns:
        [H, W] uint16 in 0..largest.

    Raises:
        InputError: it is no mask of numbers.
    """
    if image.format == 'JPEG':
        raise InputError(f'{where} is a JPEG, whose compression changes class numbers; save masks as PNG.')
    values = np.asarray(image)
    if image.mode in ('RGB', 'RGBA', 'LA'):
        if image.mode != 'RGB' and (values[..., -1] != 255).any():
            raise InputError(f'{where} has transparent pixels; a mask is a palette or gray PNG of class numbers.')
        colors = values[..., : 1 if image.mode == 'LA' else 3]
        if (colors != colors[..., :1]).any():
            raise InputError(
                f'{where} is painted in colors; a mask is a palette or gray PNG whose values are class numbers.'
            )
        values = values[..., 0]
    elif image.mode not in ('P', 'L', '1', *DEEP):
        raise InputError(f'{where} has the mode {image.mode}; a mask is a palette or gray PNG of class numbers.')
    if values.size and (values.min() < 0 or values.max() > largest):
        raise InputError(f'{where} has values from {values.min()} to {values.max()}; wanted 0 to {largest}.')
    return values.astype(np.uint16)


def brightness(image: Image.Image) -> np.ndarray | None:
    """The brightness of a palette image.

    Args:
        image: a Pillow image of mode P.

    Returns:
        [H, W] uint8; None if it uses a color, or if all its numbers have the same gray.
    """
    numbers, palette = np.asarray(image), np.reshape(image.getpalette(), (-1, 3)).astype(np.uint8)
    used = np.unique(numbers)
    if used[-1] >= len(palette) or (palette[used] != palette[used, :1]).any():
        return None
    if len(used) > 1 and not np.ptp(palette[used, 0]):
        return None
    return palette[numbers, 0]


def object_numbers(image: Image.Image, where: str) -> np.ndarray:
    """The numbers of a map of objects: the pixel values, or the brightness of a palette of grays in which black is not 0.

    Args:
        image: a Pillow image.
        where: its name in errors.

    Returns:
        [H, W] uint16, 0 for no object.

    Raises:
        InputError: it is no map of numbers.
    """
    numbers = mask_numbers(image, where, 65535)
    grays = brightness(image) if image.mode == 'P' else None
    if grays is None or ((grays == 0) == (numbers == 0)).all():
        return numbers
    return grays.astype(np.uint16)


def label_numbers(image: Image.Image, where: str, allowed: Iterable[int]) -> np.ndarray:
    """The class numbers of a mask: its pixel values, or the brightness of a palette of grays.

    A palette of colors only makes the numbers visible, as in PASCAL VOC. But some programs save the grays 0, 1, 2, ...
    as a palette with indices in another order; then the brightness is the class number.

    Args:
        image: a Pillow image.
        where: its name in errors.
        allowed: valid class numbers.

    Returns:
        [H, W] uint16.

    Raises:
        InputError: indices and brightness differ, and both are allowed numbers.
    """
    numbers = mask_numbers(image, where)
    grays = brightness(image) if image.mode == 'P' else None
    if grays is None or (grays == numbers).all() or np.ptp(np.reshape(image.getpalette(), (-1, 3)), 1).any():
        return numbers
    if not np.isin(grays, allowed).all():
        return numbers
    if np.isin(numbers, allowed).all():
        raise InputError(
            f'{where} has a palette of grays in which number {numbers[grays != numbers][0]} is the gray '
            f'{grays[grays != numbers][0]}, and either may be meant; save it as a gray PNG (mode L) of the numbers.'
        )
    return grays.astype(np.uint16)
