"""Decoding one photograph or mask, whatever camera or program wrote it; an InputError names the file."""

import io

import numpy as np
from PIL import Image, ImageOps

from panet_jax.errors import InputError

# Of the files that are taken for photographs.
ENDINGS = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
DEPTHS = (8, 10, 12, 14, 16)  # bits that a camera's grey values may have
HALVED = 'upper 8 of 16 bits'  # what Pillow keeps of deep colours
DEEP = ('I', 'I;16', 'I;16B', 'I;16L')  # Pillow's modes of 16 bits


def open_image(data, where):
    """Decodes the bytes of an image file.

    Args:
        data: bytes.
        where: what to call the file in an error.
    """
    try:
        image = Image.open(io.BytesIO(data))
        halved = image.mode in ('RGB', 'RGBA') and ';16' in str(image.tile)
        image.load()
    except Image.UnidentifiedImageError as error:
        what = 'is empty' if not data else 'is no image that Pillow knows'
        raise InputError(f'{where} {what}; replace it or leave it out.') from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f'{where} is too large ({error}); make it smaller or leave it out.') from error
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError, OverflowError) as error:
        raise InputError(f'{where} cannot be read as an image ({error}); replace it or leave it out.') from error
    image.info[HALVED] = halved
    return image


def decode_photo(data, where, shape=None):
    """A photograph as [H, W, 3] uint8 RGB, upright.

    Grey, palette, CMYK and 16-bit images are converted; transparency is dropped. A camera's EXIF
    orientation is applied, unless only the image as stored has the shape of its mask.

    Args:
        data: bytes of an image file.
        where: what to call the file in an error.
        shape: (H, W) of the mask, where there is one.
    """
    image = open_image(data, where)
    upright = ImageOps.exif_transpose(image)
    if shape is None or upright.size == shape[::-1] or image.size != shape[::-1]:
        image = upright
    if shape is not None and image.size != shape[::-1]:
        raise InputError(
            f'{where} is {image.size} pixels but its mask is {shape[::-1]} (width, height); mend it or leave it out.'
        )
    return np.asarray(to_rgb(image, where))


def to_rgb(image, where):
    """A Pillow image of any mode as one of 8-bit RGB; transparency is dropped.

    Deep grey values are taken to have as many of 8, 10, 12, 14 or 16 bits as the largest of them needs: cameras and
    microscopes write 12 bits into 16, which would be almost black.

    Args:
        image: a Pillow image.
        where: what to call it in an error.
    """
    if image.mode in DEEP:
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise InputError(f'{where} has grey values from {values.min()} to {values.max()}; wanted 0 to 65535.')
        return Image.fromarray(_in_8_bits(values)).convert('RGB')
    if image.info.get(HALVED) and max(most for _, most in image.getextrema()) < 16:
        raise InputError(
            f'{where} has colours of 16 bits that use the lower 12 alone and would be almost black; save it with 8 bits a '
            'channel.'
        )
    if image.mode == 'F':
        raise InputError(f'{where} has floating-point grey values; save it with 8 or 16 bits.')
    if 'transparency' in image.info:  # Pillow warns otherwise
        image = image.convert('RGBA')
    return image.convert('RGB')


def _in_8_bits(values):
    """Grey values [H, W] of 0..65535 as uint8."""
    largest = next(2**bits - 1 for bits in DEPTHS if values.max() < 2**bits)
    return (values.astype(np.int64) * 255 // largest).astype(np.uint8)


def decode_mask(data, where, largest=255):
    """A map of numbers as [H, W] uint16: a palette or grey PNG, or colours whose channels agree.

    Args:
        data: bytes of an image file.
        where: what to call the file in an error.
        largest: the largest number allowed.
    """
    return mask_numbers(open_image(data, where), where, largest)


def mask_numbers(image, where, largest=255):
    """The numbers of a mask that Pillow has opened; arguments and result as of `decode_mask`."""
    if image.format == 'JPEG':
        raise InputError(f'{where} is a JPEG, whose compression changes class numbers; save masks as PNG.')
    values = np.asarray(image)
    if image.mode in ('RGB', 'RGBA', 'LA'):
        if image.mode != 'RGB' and (values[..., -1] != 255).any():
            raise InputError(f'{where} has transparent pixels; a mask is a palette or grey PNG of class numbers.')
        colours = values[..., : 1 if image.mode == 'LA' else 3]
        if (colours != colours[..., :1]).any():
            raise InputError(
                f'{where} is painted in colours; a mask is a palette or grey PNG whose values are class numbers.'
            )
        values = values[..., 0]
    elif image.mode not in ('P', 'L', '1', *DEEP):
        raise InputError(f'{where} has the mode {image.mode}; a mask is a palette or grey PNG of class numbers.')
    if values.size and (values.min() < 0 or values.max() > largest):
        raise InputError(f'{where} has values from {values.min()} to {values.max()}; wanted 0 to {largest}.')
    return values.astype(np.uint16)


def brightness(image):
    """The brightness of a palette image [H, W] uint8; None unless all colours that it uses are greys, and not all one.

    Args:
        image: a Pillow image of mode P.
    """
    numbers, palette = np.asarray(image), np.reshape(image.getpalette(), (-1, 3)).astype(np.uint8)
    used = np.unique(numbers)
    if used[-1] >= len(palette) or (palette[used] != palette[used, :1]).any():
        return None
    if len(used) > 1 and not np.ptp(palette[used, 0]):
        return None
    return palette[numbers, 0]


def object_numbers(image, where):
    """The numbers of a map in which 0 is no object: [H, W] uint16; of a palette of greys black is none.

    Args:
        image: a Pillow image.
        where: what to call it in an error.
    """
    numbers = mask_numbers(image, where, 65535)
    greys = brightness(image) if image.mode == 'P' else None
    if greys is None or ((greys == 0) == (numbers == 0)).all():
        return numbers
    return greys.astype(np.uint16)


def label_numbers(image, where, allowed):
    """The numbers of a map in which each means something: of a palette of greys, its indices or its brightness.

    A palette with a colour shows what the numbers look like, as PASCAL VOC's does; one of greys alone may come from a
    program that gave the greys 0, 1, 2, ... indices of its own.

    Args:
        image: a Pillow image.
        where: what to call it in an error.
        allowed: the numbers that have a meaning.

    Returns:
        [H, W] uint16.

    Raises:
        InputError: the indices and the brightness differ, and all are allowed.
    """
    numbers = mask_numbers(image, where)
    greys = brightness(image) if image.mode == 'P' else None
    if greys is None or (greys == numbers).all() or np.ptp(np.reshape(image.getpalette(), (-1, 3)), 1).any():
        return numbers
    if not np.isin(greys, allowed).all():
        return numbers
    if np.isin(numbers, allowed).all():
        raise InputError(
            f'{where} has a palette of greys in which number {numbers[greys != numbers][0]} is the grey '
            f'{greys[greys != numbers][0]}, and either may be meant; save it as a grey PNG (mode L) of the numbers.'
        )
    return greys.astype(np.uint16)
