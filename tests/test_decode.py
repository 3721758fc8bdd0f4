"""Photographs and masks as cameras and programs write them: read rightly, or refused in one sentence."""

import contextlib
import io
import re
import struct
import zlib

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from PIL import Image

from panet_jax.errors import InputError
from panet_jax.images.decode import decode_mask, decode_photo

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
GREY = RGB[..., 0]


def encode(array, mode=None, format='PNG', **options):
    image = Image.fromarray(array)
    file = io.BytesIO()
    (image.convert(mode) if mode else image).save(file, format, **options)
    return file.getvalue()


def stacked(gray):
    return np.stack([gray] * 3, -1)


@pytest.mark.parametrize('format', ['PNG', 'BMP', 'TIFF'])
def test_color_photographs_keep_their_values(format):
    np.testing.assert_array_equal(decode_photo(encode(RGB, format=format), 'a'), RGB)


def test_gray_palette_alpha_and_deep_photographs():
    np.testing.assert_array_equal(decode_photo(encode(GREY), 'a'), stacked(GREY))
    few = RGB // 128 * 128
    np.testing.assert_array_equal(
        decode_photo(encode(few, 'P'), 'a'), np.asarray(Image.fromarray(few).convert('P').convert('RGB'))
    )
    clear = np.concatenate([RGB, np.zeros((6, 9, 1), np.uint8)], -1)
    np.testing.assert_array_equal(decode_photo(encode(clear), 'a'), RGB)
    clear = Image.fromarray(few).convert('P')
    file = io.BytesIO()
    clear.save(file, 'PNG', transparency=0)
    assert decode_photo(file.getvalue(), 'a').shape == (6, 9, 3)
    deep = GREY.astype(np.uint16) * 257
    np.testing.assert_array_equal(decode_photo(encode(deep), 'a'), stacked(GREY))
    np.testing.assert_array_equal(decode_photo(encode(deep.astype(np.int32), format='TIFF'), 'a'), stacked(GREY))
    np.testing.assert_array_equal(decode_photo(encode(GREY > 99), 'a'), stacked(255 * (GREY > 99)))


@pytest.mark.parametrize('bits', [8, 10, 12, 14])
def test_photographs_of_fewer_bits_than_16_are_as_bright_as_of_16(bits):
    gray = GREY.astype(int)
    gray[0, 0] = 255
    deep = gray * (2**bits - 1) // 255
    for dtype, format in ((np.uint16, 'PNG'), (np.int32, 'TIFF')):
        read = decode_photo(encode(deep.astype(dtype), format=format), 'a')
        assert np.abs(read[..., 0].astype(int) - gray).max() <= 1
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(decode_photo(encode(ramp), 'a'), stacked(ramp // 257))


def deep_colors(values):
    """A PNG of 16-bit colors, which Pillow reads and does not write: [H, W, 3] uint16."""
    height, width, _ = values.shape
    rows = np.pad(values.astype('>u2').reshape(height, -1).view(np.uint8), ((0, 0), (1, 0)))
    parts = (b'IHDR', struct.pack('>IIBBBBB', width, height, 16, 2, 0, 0, 0)), (b'IDAT', zlib.compress(rows.tobytes()))
    chunks = (
        struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
        for name, data in (*parts, (b'IEND', b''))
    )
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunks)


def test_deep_colors_of_12_bits_are_refused_and_of_16_read():
    np.testing.assert_array_equal(decode_photo(deep_colors(RGB.astype(np.uint16) * 257), 'a'), RGB)
    np.testing.assert_array_equal(decode_photo(encode(RGB // 32), 'a'), RGB // 32)  # dark, of 8 bits
    with pytest.raises(InputError, match=r'x\.png has 16-bit colors that use only the lower 12 bits'):
        decode_photo(deep_colors(RGB.astype(np.uint16) * 16), 'x.png')


def test_cmyk_photographs_are_converted():
    flat = np.full((8, 8, 3), (200, 30, 60), np.uint8)
    assert np.abs(decode_photo(encode(flat, 'CMYK', 'JPEG', quality=95), 'a').astype(int) - flat).max() < 8


@pytest.mark.parametrize('orientation', range(1, 9))
def test_exif_orientation_is_applied_unless_the_mask_is_as_stored(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(RGB, exif=exif)
    turns = {1: RGB, 2: RGB[:, ::-1], 3: RGB[::-1, ::-1], 4: RGB[::-1], 5: RGB.swapaxes(0, 1)}
    turns |= {6: np.rot90(RGB, -1), 7: np.rot90(RGB, 2).swapaxes(0, 1), 8: np.rot90(RGB)}
    upright = turns[orientation]
    np.testing.assert_array_equal(decode_photo(data, 'a'), upright)
    np.testing.assert_array_equal(decode_photo(data, 'a', upright.shape[:2]), upright)
    if orientation > 4:
        np.testing.assert_array_equal(decode_photo(data, 'a', RGB.shape[:2]), RGB)


def test_photographs_that_are_refused():
    for data, message in (
        (b'', 'x.jpg is empty'),
        (b'<html>', 'no image that Pillow knows'),
        (encode(RGB)[:90], 'x.jpg cannot be read'),
        (encode(GREY.astype(np.float32), format='TIFF'), 'floating-point'),
        (encode(GREY.astype(np.int32) - 9999, format='TIFF'), 'gray values from -'),
    ):
        with pytest.raises(InputError, match=message):
            decode_photo(data, 'x.jpg')
    with pytest.raises(InputError, match=re.escape('x.jpg is (9, 6) pixels but its mask is (6, 6)')):
        decode_photo(encode(RGB), 'x.jpg', (6, 6))
    file = io.BytesIO()
    Image.new('1', (20_000, 9_000)).save(file, 'png')
    with pytest.raises(InputError, match='too large'):
        decode_photo(file.getvalue(), 'x.png')


def test_masks_in_every_honest_form():
    numbers = GREY % 21
    palette = Image.fromarray(numbers).convert('P')
    palette.putpalette(list(range(256)) * 3)
    file = io.BytesIO()
    palette.save(file, 'PNG')
    clear = np.concatenate([stacked(numbers), np.full((6, 9, 1), 255, np.uint8)], -1)
    for data in (
        file.getvalue(),
        encode(numbers),
        encode(stacked(numbers)),
        encode(clear),
        encode(numbers.astype(np.uint16)),
        encode(numbers, 'LA'),
        encode(numbers, format='TIFF'),
    ):
        np.testing.assert_array_equal(decode_mask(data, 'a'), numbers)
    np.testing.assert_array_equal(decode_mask(encode(numbers > 3), 'a'), numbers > 3)
    big = numbers.astype(np.uint16) * 2000
    np.testing.assert_array_equal(decode_mask(encode(big), 'a', 65535), big)


def test_masks_that_are_refused():
    clear = np.concatenate([stacked(GREY), GREY[..., None]], -1)
    for data, message in (
        (encode(RGB), 'painted in colors'),
        (encode(clear), 'transparent pixels'),
        (encode(GREY, format='JPEG'), 'is a JPEG'),
        (encode(RGB, 'CMYK', 'TIFF'), 'the mode CMYK'),
        (encode(GREY.astype(np.uint16) * 257), 'values from 257 to 63736; wanted 0 to 255'),
        (encode(GREY)[:70], 'cannot be read'),
    ):
        with pytest.raises(InputError, match=f'x.png.*{message}'):
            decode_mask(data, 'x.png')


@hypothesis.given(st.sampled_from(['PNG', 'JPEG', 'BMP', 'TIFF', 'GIF', 'WEBP']), st.data())
@hypothesis.settings(max_examples=300)
@pytest.mark.filterwarnings('ignore')  # Pillow on what it could mend
def test_damaged_bytes_are_read_or_refused_never_anything_else(format, data):
    content = bytearray(encode(RGB, format=format))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.integers(0, len(content)))])
    for decode in (decode_photo, decode_mask):
        with contextlib.suppress(InputError):
            assert decode(content, 'x.png').ndim == (3 if decode is decode_photo else 2)
