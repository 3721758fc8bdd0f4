"""Masks as programs paint, resize, index and compress them, compared with the truth: none may be inverted or hollow.

    python robustness/mask_readings.py [--count 2000] [--seed 0]

Draws classes, writes masks of them in a random format, and reads these as references of the Segmenter, on the page, as
arrays, or in a user's folder. Prints how many were read and how many refused, for each format. Fails if the IoU of a mask
with the truth is below 0.9, or if an unambiguous mask was refused.
"""

import io
import struct
import zlib
from typing import NamedTuple

import numpy as np
from cases import main
from PIL import Image
from scipy import ndimage

from panet_jax.commands.demo_page.uploads import read_mask
from panet_jax.datasets.custom import open_custom
from panet_jax.errors import InputError
from panet_jax.images.resize import resize_map
from panet_jax.segmenter.references import read_marks

SIZE = 97
VOID = 255
FILTERS = ('NEAREST', 'BOX', 'BILINEAR', 'HAMMING', 'BICUBIC', 'LANCZOS')
FACTORS = (0.25, 0.33, 0.5, 0.7, 1, 1.3, 1.5, 2, 3, 4, 8)


class Painted(NamedTuple):
    """A mask in a file.

    Attributes:
        data: bytes of a PNG.
        truth: [H, W] int, 0 background, 1 class, 255 void.
        array: the same mask as an array; None if it has no such form.
        two_ways: whether the mask is ambiguous and may be refused.
    """

    data: bytes
    truth: np.ndarray
    array: np.ndarray | None = None
    two_ways: bool = False


def encode(image):
    file = io.BytesIO()
    image.save(file, 'PNG')
    return file.getvalue()


def gray_png(levels, bits):
    """A gray PNG of 1, 2 or 4 bits, which Pillow cannot write, from [H, W] levels below 2 ** bits."""
    height, width = levels.shape
    unpacked = (levels[..., None] >> np.arange(bits)[::-1] & 1).reshape(height, width * bits).astype(np.uint8)
    rows = np.pad(np.packbits(unpacked, axis=1), ((0, 0), (1, 0)))
    parts = (
        (b'IHDR', struct.pack('>IIBBBBB', width, height, bits, 0, 0, 0, 0)),
        (b'IDAT', zlib.compress(rows.tobytes())),
    )
    chunks = (
        struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
        for name, data in (*parts, (b'IEND', b''))
    )
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunks)


def random_mask(rng):
    """A random mask: [H, W] bool, objects of several pixels with smooth or ragged outlines."""
    height, width = rng.integers(60, 140, 2)
    rows, columns = np.mgrid[:height, :width]
    shape = rng.integers(3)
    if shape == 0:
        noise = ndimage.gaussian_filter(rng.normal(size=(height, width)), rng.choice([3, 6, 12]))
        return noise > np.quantile(noise, rng.uniform(0.4, 0.9))
    mask = np.zeros((height, width), bool)
    for _ in range(rng.integers(1, 4)):
        y, x, r = rng.integers(12, height - 12), rng.integers(12, width - 12), rng.integers(10, 25)
        disc, box = np.hypot(rows - y, columns - x) <= r, (abs(rows - y) <= r) & (abs(columns - x) <= r / 1.5)
        mask |= disc if shape == 1 else box
    return mask


def soft(rng):
    """A white mask on black, resized or blurred or both: [h, w] float in 0..1."""
    levels = Image.fromarray(random_mask(rng).astype(np.float32))
    if rng.random() < 0.8:
        factor = rng.choice(FACTORS) if rng.random() < 0.7 else rng.uniform(0.3, 4)
        size = [max(16, round(side * factor)) for side in levels.size]
        levels = levels.resize(size, Image.Resampling[rng.choice(FILTERS)])
    levels = np.clip(np.asarray(levels), 0, 1)
    return ndimage.gaussian_filter(levels, rng.uniform(0.3, 4)) if rng.random() < 0.3 else levels


def edged(rng):
    """A soft mask that reaches almost 0 and 1, and its truth."""
    while True:
        levels = soft(rng)
        truth = levels >= 0.5
        if levels.max() > 0.98 and levels.min() < 0.05 and 0.02 < truth.mean() < 0.95:
            return levels, truth.astype(int)


def in_levels(levels, top):
    return np.floor(levels * top + 0.5).astype(int)


def gray8(rng):
    levels, truth = edged(rng)
    array = in_levels(levels, rng.choice([255, 255, 255, 254, 240, 200])).astype(np.uint8)
    return Painted(encode(Image.fromarray(array)), truth, array)


def as_rgb(rng):
    levels, truth = edged(rng)
    mode = str(rng.choice(['RGB', 'RGBA', 'LA']))
    return Painted(encode(Image.fromarray(in_levels(levels, 255).astype(np.uint8)).convert(mode)), truth)


def gray16(rng):
    levels, truth = edged(rng)
    array = in_levels(levels, rng.choice([65535, 4095, 1023])).astype(np.uint16)
    return Painted(encode(Image.fromarray(array)), truth, array)


def few_bits(rng):
    levels, truth = edged(rng)
    bits = int(rng.choice([1, 2, 4]))
    return Painted(gray_png(in_levels(levels, 2**bits - 1), bits), truth)


def was_jpeg(rng):
    levels, truth = edged(rng)
    file = io.BytesIO()
    Image.fromarray(in_levels(levels, 255).astype(np.uint8)).save(file, 'JPEG', quality=int(rng.integers(60, 100)))
    array = np.asarray(Image.open(file))
    return Painted(encode(Image.fromarray(array)), truth, array, two_ways=0 < array.min() < 30)


def quantized(rng):
    """A soft mask in a few grays of a palette in any order; the truth follows from the visible grays."""
    levels, _ = edged(rng)
    image = Image.fromarray(in_levels(levels, 255).astype(np.uint8))
    image = image.quantize(int(rng.choice([2, 2, 3, 4, 8, 16, 200])))
    grays = np.asarray(image.convert('L')).astype(int)
    # The middle one of three grays may be an object; without black the background is uncertain.
    two_ways = len(np.unique(grays)) == 3 or 4 * grays.min() > grays.max()
    return Painted(encode(reordered(image, rng)), (2 * grays >= grays.max()).astype(int), two_ways=two_ways)


def black_and_white(rng):
    """A mask of two indices, either of which may be white."""
    truth = random_mask(rng)
    black, white = rng.permutation(256)[:2] if rng.random() < 0.5 else rng.permutation(2)
    palette = np.zeros((256, 3), np.uint8)
    palette[white] = 255
    image = Image.fromarray(np.where(truth, white, black).astype(np.uint8))
    image.putpalette(palette.tobytes())
    return Painted(encode(image), truth.astype(int))


def reordered(image, rng):
    """A palette image with its colors in another order."""
    palette = np.reshape(image.getpalette(), (-1, 3))
    order = rng.permutation(len(palette))
    return image.remap_palette(order.tolist()) if rng.random() < 0.7 else image


def alpha(rng):
    levels, truth = edged(rng)
    colors = rng.integers(0, 256, (*truth.shape, 3), dtype=np.uint8)
    opaque = in_levels(levels, 255).astype(np.uint8)
    if rng.random() < 0.5:
        return Painted(encode(Image.fromarray(np.dstack([colors, opaque]))), truth)
    image = Image.fromarray(np.where(truth, rng.integers(1, 9, truth.shape), 9).astype(np.uint8))
    image.putpalette(rng.integers(0, 256, 30, dtype=np.uint8).tobytes())
    image.info['transparency'] = 9
    return Painted(encode(image), truth)


def numbered(rng):
    """Numbered objects, or the number of a class, with or without a rim and a block of void."""
    mask = random_mask(rng)
    objects, _ = ndimage.label(mask)
    if rng.random() < 0.3:  # objects that touch
        objects = np.where(mask, 1 + np.arange(mask.shape[1]) // 30, 0)
    elif rng.random() < 0.5:
        objects = np.where(mask, rng.integers(1, 21), 0)
    rim = rng.integers(0, 6)
    if rim:
        outline = ndimage.binary_dilation(mask, iterations=(rim + 1) // 2) & ~ndimage.binary_erosion(
            mask, iterations=rim // 2, border_value=1
        )
        objects = np.where(outline, VOID, objects)
    if rng.random() < 0.3:
        y, x = rng.integers(0, 40, 2)
        objects[y : y + 12, x : x + 12] = VOID
    objects[:2, :2] = 0
    truth = np.where(objects == VOID, VOID, (objects > 0).astype(int))
    return (objects, truth) if (truth == 1).any() else numbered(rng)


def object_numbers(rng):
    objects, truth = numbered(rng)
    array = objects.astype(rng.choice([np.uint8, np.uint16, np.int32, np.int64]))
    deep = rng.random() < 0.3
    return Painted(encode(Image.fromarray(objects.astype(np.uint16 if deep else np.uint8))), truth, array)


def colored_numbers(rng):
    objects, truth = numbered(rng)
    image = Image.fromarray(objects.astype(np.uint8))
    palette = rng.integers(20, 256, (256, 3))
    palette[0] = 0
    if rng.random() < 0.3:
        palette[:] = np.arange(256)[:, None]
    image.putpalette(palette.astype(np.uint8).tobytes())
    return Painted(encode(image), truth)


def class_numbers(rng):
    """A map of two classes and void, in indices or grays; with a palette of reordered grays it is ambiguous."""
    height, width = rng.integers(40, 90, 2)
    truth = rng.choice([0, 1, 2, VOID], (1 + height // 10, 1 + width // 10)).repeat(10, 0).repeat(10, 1)
    gray = Image.fromarray(truth.astype(np.uint8))
    palette = rng.integers(0, 256, (256, 3), dtype=np.uint8)
    colored = gray.copy()
    colored.putpalette(palette.tobytes())
    deep = Image.fromarray(truth.astype(np.uint16))
    images = gray, gray.convert('P'), gray.convert('RGB'), deep, colored, reordered(gray.quantize(4), rng)
    number = rng.integers(len(images))
    return Painted(encode(images[number]), truth, two_ways=number == 5)


FORMATS = (
    gray8,
    as_rgb,
    gray16,
    few_bits,
    was_jpeg,
    quantized,
    black_and_white,
    alpha,
    object_numbers,
    colored_numbers,
    class_numbers,
)


def as_reference(painted, folder):
    path = folder / 'mask.png'
    path.write_bytes(painted.data)
    return marked(path, painted)


def as_array(painted, folder):
    return marked(painted.array, painted)


def on_the_page(painted, folder):
    path = folder / 'mask.png'
    path.write_bytes(painted.data)
    return marked(read_mask(path), painted)


def marked(annotation, painted):
    marks = read_marks(annotation, painted.truth.shape, SIZE, 'the mask')
    return np.where(marks.foreground, 1, np.where(marks.background, 0, VOID)), resize_map(painted.truth, SIZE)


def in_a_folder(painted, folder):
    return own_folder(painted, folder, 'masks/cat/one.png'), painted.truth


def among_class_numbers(painted, folder):
    (folder / 'classes.txt').write_text('cat\ndog\n')
    return own_folder(painted, folder, 'masks/one.png'), painted.truth


def own_folder(painted, folder, name):
    """The label from a folder with one image, whose mask has this name."""
    for path, data in (('images/one.png', encode(Image.new('RGB', painted.truth.shape[::-1]))), (name, painted.data)):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_bytes(data)
    return open_custom(folder, 'all').record('one').label


def problem_with(label, truth):
    """A word on how a label differs from the truth, or ''."""
    valid = truth != VOID
    if ((label == VOID) & valid).sum() > 0.02 * valid.sum():
        return 'additional void'
    if (label == VOID).sum() < 0.9 * (truth == VOID).sum():
        return 'void is lost'
    for number in np.unique(truth[valid & (truth > 0)]):
        prediction, target = (label == number) & valid, truth == number
        iou = (prediction & target).sum() / (prediction | target).sum()
        if iou < 0.9:
            return f'IoU {iou:.2f}'
    return ''


def one_case(rng, folder):
    """One random case, as for `cases.main`."""
    paint = FORMATS[rng.integers(len(FORMATS))]
    painted = paint(rng)
    readers = [as_reference, on_the_page, in_a_folder] + [as_array] * (painted.array is not None)
    readers = [among_class_numbers] if paint is class_numbers else readers
    reader = readers[rng.integers(len(readers))]
    kind = f'{paint.__name__}, {reader.__name__}'
    try:
        return kind, 'read', problem_with(*reader(painted, folder))
    except InputError as error:
        return kind, 'refused', '' if painted.two_ways else str(error)


if __name__ == '__main__':
    main(one_case, __doc__, 'masks')
