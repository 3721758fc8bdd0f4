"""Malformed images, masks and annotations: each must be read correctly or refused in one sentence.

    python robustness/malformed_inputs.py [--count 2000] [--seed 0]

Writes a folder with one photograph in one of three layouts, damages it, and reads it as for a preparation. Prints how many
were read and how many refused, for each kind of damage. Fails if one was read wrongly, raised anything but an InputError,
was refused without its name, or took 10 seconds.
"""

import io
import json
import time

import numpy as np
from cases import main
from PIL import Image

from panet_jax.datasets.coco import CocoLayout
from panet_jax.datasets.custom import open_custom
from panet_jax.datasets.prepare import checked_example
from panet_jax.datasets.voc import VocLayout
from panet_jax.errors import InputError
from panet_jax.images.decode import decode_photo

READ, REFUSED, EITHER = 'read', 'refused', 'either'


def encode(array, format='PNG', mode=None, **options):
    file, image = io.BytesIO(), Image.fromarray(array)
    (image.convert(mode) if mode else image).save(file, format, **options)
    return file.getvalue()


def turned(rgb, rng):
    """An upright photograph in the orientation of a camera that was held sideways, with an EXIF tag."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(np.rot90(rgb).copy(), exif=exif)


def with_changed_bytes(data, rng):
    data = bytearray(data)
    for place in rng.integers(0, len(data), rng.integers(1, 6)):
        data[place] = rng.integers(256)
    return bytes(data)


def bomb(rng):
    """The header of a PNG of 60,000 x 60,000 pixels."""
    return encode(np.zeros((1, 1), np.uint8)).replace(b'IHDR\0\0\0\1\0\0\0\1', b'IHDR\0\0\xea\x60\0\0\xea\x60')


def with_alpha(rgb, rng):
    return np.concatenate([rgb, rng.integers(0, 256, (*rgb.shape[:2], 1), dtype=np.uint8)], -1)


def three_channels(gray):
    return np.stack([gray] * 3, -1)


# Kind -> (bytes of the photograph, expected outcome, expected pixels if it is read; None for any).
PHOTOS = {
    'undamaged': lambda rgb, rng: (encode(rgb), READ, rgb),
    'truncated': lambda rgb, rng: (encode(rgb)[: rng.integers(1, 800)], REFUSED, None),
    'truncated JPEG': lambda rgb, rng: (encode(rgb, 'JPEG')[: rng.integers(1, 500)], REFUSED, None),
    'zero bytes': lambda rgb, rng: (b'', REFUSED, None),
    'noise': lambda rgb, rng: (rng.bytes(int(rng.integers(1, 5000))), REFUSED, None),
    'a web page': lambda rgb, rng: (b'<html><body>404 Not Found</body></html>', REFUSED, None),
    'a few bytes changed': lambda rgb, rng: (
        with_changed_bytes(encode(rgb, str(rng.choice(['PNG', 'JPEG']))), rng),
        EITHER,
        None,
    ),
    '16-bit gray': lambda rgb, rng: (encode(rgb[..., 0].astype(np.uint16) * 257), READ, three_channels(rgb[..., 0])),
    'gray': lambda rgb, rng: (encode(rgb[..., 0]), READ, three_channels(rgb[..., 0])),
    'CMYK': lambda rgb, rng: (encode(rgb, 'TIFF', 'CMYK'), READ, rgb),
    'palette': lambda rgb, rng: (encode(rgb // 200 * 200, mode='P'), READ, None),
    'alpha': lambda rgb, rng: (encode(with_alpha(rgb, rng)), READ, rgb),
    'EXIF-rotated': lambda rgb, rng: (turned(rgb, rng), READ, rgb),
    'TIFF called .png': lambda rgb, rng: (encode(rgb, 'TIFF'), READ, rgb),
    'floating point': lambda rgb, rng: (encode(rgb[..., 0].astype(np.float32), 'TIFF'), REFUSED, None),
    'huge': lambda rgb, rng: (bomb(rng), REFUSED, None),
    'one pixel': lambda rgb, rng: (encode(rgb[:1, :1]), REFUSED, None),
}
# Kind -> (bytes of the mask, whose values are 0..2 and 255; expected outcome; expected values if it is read).
MASKS = {
    'truncated': lambda label, rng: (encode(label)[: rng.integers(1, 70)], REFUSED, None),
    'zero bytes': lambda label, rng: (b'', REFUSED, None),
    'a few bytes changed': lambda label, rng: (with_changed_bytes(encode(label), rng), EITHER, None),
    'of another size': lambda label, rng: (encode(label[: rng.integers(1, 20)]), REFUSED, None),
    'value out of range': lambda label, rng: (
        encode(np.where(label == 1, rng.integers(30, 250), label).astype(np.uint8)),
        REFUSED,
        None,
    ),
    '16-bit': lambda label, rng: (encode(label.astype(np.uint16)), READ, label),
    '16-bit out of range': lambda label, rng: (encode(label.astype(np.uint16) * 300), REFUSED, None),
    'palette': lambda label, rng: (encode(label, mode='P'), READ, label),
    'gray saved as RGB': lambda label, rng: (encode(three_channels(label)), READ, label),
    'colors': lambda label, rng: (encode(rng.integers(0, 3, (*label.shape, 3), dtype=np.uint8)), REFUSED, None),
    'transparent': lambda label, rng: (encode(np.stack([label] * 3 + [label * 0], -1)), REFUSED, None),
    'JPEG': lambda label, rng: (encode(label, 'JPEG'), REFUSED, None),
    'CMYK': lambda label, rng: (encode(three_channels(label), 'TIFF', 'CMYK'), REFUSED, None),
    'all void': lambda label, rng: (encode(np.full_like(label, 255)), READ, np.full_like(label, 255)),
}
JUNK = (
    None,
    -1,
    0,
    10**9,
    1e300,
    float('nan'),
    'x',
    '',
    [],
    {},
    [[]],
    [[1, 2]],
    True,
    {'size': [9, 9], 'counts': 'zz'},
)


def picture(rng):
    """A photograph of 30 x 40 pixels and its label."""
    label = np.zeros((30, 40), np.uint8)
    label[5:20, 5:20], label[12:25, 22:35], label[0] = 1, 2, 255
    return rng.integers(0, 256, (30, 40, 3), dtype=np.uint8), label


def write_own(root, photo, mask):
    for folder, data in (('images', photo), ('masks', mask)):
        (root / folder).mkdir(parents=True)
        (root / folder / 'broken.png').write_bytes(data)
    (root / 'classes.txt').write_text('cat\ndog\n')
    return open_custom(root, 'all')


def write_voc(root, photo, mask):
    for folder, name, data in (('JPEGImages', 'broken.jpg', photo), ('SegmentationClass', 'broken.png', mask)):
        (root / folder).mkdir(parents=True)
        (root / folder / name).write_bytes(data)
    (root / 'ImageSets/Segmentation').mkdir(parents=True)
    (root / 'ImageSets/Segmentation/trainval.txt').write_text('broken\n')
    return VocLayout(root, 'trainval')


def write_coco(root, content):
    (root / 'images').mkdir(parents=True)
    (root / 'images' / 'fine.png').write_bytes(encode(np.zeros((30, 40, 3), np.uint8)))
    (root / 'broken.json').write_text(content)
    return CocoLayout(root, 'broken')


def annotations():
    square = [5.0, 5.0, 20.0, 5.0, 20.0, 20.0, 5.0, 20.0]
    return {
        'images': [{'id': 1, 'file_name': 'fine.png', 'height': 30, 'width': 40}],
        'categories': [{'id': 1, 'name': 'cat'}],
        'annotations': [
            {'id': 1, 'image_id': 1, 'category_id': 1, 'iscrowd': 0, 'segmentation': [square]},
            {
                'id': 2,
                'image_id': 1,
                'category_id': 1,
                'iscrowd': 1,
                'segmentation': {'size': [30, 40], 'counts': [1000, 200]},
            },
        ],
    }


def damaged_json(rng):
    """COCO's json, cut off, or with one value replaced or removed."""
    if rng.random() < 0.2:
        text = json.dumps(annotations())
        return 'json cut off', text[: rng.integers(0, len(text))], REFUSED
    content = annotations()
    node = content
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = keys[rng.integers(len(keys))]
        if not isinstance(node[key], dict | list) or not node[key] or rng.random() < 0.15:
            break
        node = node[key]
    if rng.random() < 0.3:
        del node[key]
        return 'json with something missing', json.dumps(content), EITHER
    node[key] = JUNK[rng.integers(len(JUNK))]
    return 'json with a wrong value', json.dumps(content), EITHER


def examples(layout):
    """Yields (label, photograph) of all images of a layout."""
    for name in layout.names:
        checked_example(layout, name)
        record = layout.record(name)
        yield record.label, decode_photo(record.image, name, record.label.shape)


def one_case(rng, root):
    """One random case, as for `cases.main`."""
    rgb, label = picture(rng)
    expected_photo = expected_label = None
    choice = rng.integers(3)
    if choice == 0:
        kind, content, expected = damaged_json(rng)
        make = lambda: write_coco(root, content)  # noqa: E731
        file_name = 'broken.json'
    else:
        kinds, subject = ((PHOTOS, 'photograph'), (MASKS, 'mask'))[choice - 1]
        kind = list(kinds)[rng.integers(len(kinds))]
        photo, mask = encode(rgb), encode(label)
        if choice == 1:
            photo, expected, expected_photo = kinds[kind](rgb, rng)
        else:
            mask, expected, expected_label = kinds[kind](label, rng)
        kind, file_name = f'{subject}: {kind}', 'broken'
        write = (write_own, write_voc)[rng.integers(2)]
        make = lambda: write(root, photo, mask)  # noqa: E731
    started = time.perf_counter()
    try:
        ((read_label, read_photo),) = list(examples(make()))
    except InputError as error:
        outcome, problem = REFUSED, '' if file_name in str(error) and '\n' not in str(error) else f'unclear: {error}'
    except Exception as error:
        outcome, problem = 'crashed', f'{type(error).__name__}: {error}'
    else:
        outcome, problem = READ, ''
        if expected_photo is not None and not np.array_equal(read_photo, expected_photo):
            problem = 'wrong pixels in the photograph'
        if expected_label is not None and not np.array_equal(read_label, expected_label):
            problem = 'wrong values in the label'
    if expected != EITHER and outcome != expected:
        problem = problem or f'must be {expected}'
    if time.perf_counter() - started > 10:
        problem = 'too slow'
    return kind, outcome, problem


if __name__ == '__main__':
    main(one_case, __doc__, 'inputs')
