"""Malformed images, masks and annotations: each is read rightly or refused in one sentence.

    python robustness/malformed_inputs.py [--count 2000] [--seed 0]

Writes a folder of one photograph in one of three layouts, damages it, and reads it as a preparation
does. Prints, for each kind of damage, how many were read and how many refused; fails if anything was
read wrongly, raised something else than an InputError, did not name the file, or took 10 seconds.
"""

import argparse
import collections
import io
import json
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
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
    """An upright photograph as a camera held sideways stores it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(np.rot90(rgb).copy(), exif=exif)


def flipped(data, rng):
    data = bytearray(data)
    for place in rng.integers(0, len(data), rng.integers(1, 6)):
        data[place] = rng.integers(256)
    return bytes(data)


def bomb(rng):
    """The header of a PNG of 60,000 x 60,000 pixels."""
    return encode(np.zeros((1, 1), np.uint8)).replace(b'IHDR\0\0\0\1\0\0\0\1', b'IHDR\0\0\xea\x60\0\0\xea\x60')


def opaque(rgb, rng):
    return np.concatenate([rgb, rng.integers(0, 256, (*rgb.shape[:2], 1), dtype=np.uint8)], -1)


def grey3(grey):
    return np.stack([grey] * 3, -1)


# Kind -> (bytes of the photograph rgb, what must happen, the pixels if it is read; None: any).
PHOTOS = {
    'as it should be': lambda rgb, rng: (encode(rgb), READ, rgb),
    'truncated': lambda rgb, rng: (encode(rgb)[: rng.integers(1, 800)], REFUSED, None),
    'truncated JPEG': lambda rgb, rng: (encode(rgb, 'JPEG')[: rng.integers(1, 500)], REFUSED, None),
    'zero bytes': lambda rgb, rng: (b'', REFUSED, None),
    'noise': lambda rgb, rng: (rng.bytes(int(rng.integers(1, 5000))), REFUSED, None),
    'a web page': lambda rgb, rng: (b'<html><body>404 Not Found</body></html>', REFUSED, None),
    'a few bytes changed': lambda rgb, rng: (flipped(encode(rgb, str(rng.choice(['PNG', 'JPEG']))), rng), EITHER, None),
    '16-bit grey': lambda rgb, rng: (encode(rgb[..., 0].astype(np.uint16) * 257), READ, grey3(rgb[..., 0])),
    'grey': lambda rgb, rng: (encode(rgb[..., 0]), READ, grey3(rgb[..., 0])),
    'CMYK': lambda rgb, rng: (encode(rgb, 'TIFF', 'CMYK'), READ, rgb),
    'palette': lambda rgb, rng: (encode(rgb // 200 * 200, mode='P'), READ, None),
    'alpha': lambda rgb, rng: (encode(opaque(rgb, rng)), READ, rgb),
    'EXIF-rotated': lambda rgb, rng: (turned(rgb, rng), READ, rgb),
    'TIFF called .png': lambda rgb, rng: (encode(rgb, 'TIFF'), READ, rgb),
    'floating point': lambda rgb, rng: (encode(rgb[..., 0].astype(np.float32), 'TIFF'), REFUSED, None),
    'huge': lambda rgb, rng: (bomb(rng), REFUSED, None),
    'one pixel': lambda rgb, rng: (encode(rgb[:1, :1]), REFUSED, None),
}
# Kind -> (bytes of the mask label, whose values are 0..2 and 255, what must happen, the values if read).
MASKS = {
    'truncated': lambda label, rng: (encode(label)[: rng.integers(1, 70)], REFUSED, None),
    'zero bytes': lambda label, rng: (b'', REFUSED, None),
    'a few bytes changed': lambda label, rng: (flipped(encode(label), rng), EITHER, None),
    'of another size': lambda label, rng: (encode(label[: rng.integers(1, 20)]), REFUSED, None),
    'value out of range': lambda label, rng: (
        encode(np.where(label == 1, rng.integers(30, 250), label).astype(np.uint8)),
        REFUSED,
        None,
    ),
    '16-bit': lambda label, rng: (encode(label.astype(np.uint16)), READ, label),
    '16-bit out of range': lambda label, rng: (encode(label.astype(np.uint16) * 300), REFUSED, None),
    'palette': lambda label, rng: (encode(label, mode='P'), READ, label),
    'grey saved as RGB': lambda label, rng: (encode(grey3(label)), READ, label),
    'colours': lambda label, rng: (encode(rng.integers(0, 3, (*label.shape, 3), dtype=np.uint8)), REFUSED, None),
    'transparent': lambda label, rng: (encode(np.stack([label] * 3 + [label * 0], -1)), REFUSED, None),
    'JPEG': lambda label, rng: (encode(label, 'JPEG'), REFUSED, None),
    'CMYK': lambda label, rng: (encode(grey3(label), 'TIFF', 'CMYK'), REFUSED, None),
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
    """COCO's json cut off, or with one value replaced or removed."""
    if rng.random() < 0.2:
        text = json.dumps(annotations())
        return 'json cut off', text[: rng.integers(0, len(text))], REFUSED
    content = annotations()
    place = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = keys[rng.integers(len(keys))]
        if not isinstance(place[key], dict | list) or not place[key] or rng.random() < 0.15:
            break
        place = place[key]
    if rng.random() < 0.3:
        del place[key]
        return 'json with something missing', json.dumps(content), EITHER
    place[key] = JUNK[rng.integers(len(JUNK))]
    return 'json with a wrong value', json.dumps(content), EITHER


def read(layout):
    """All examples of a layout: (label, photograph)."""
    for name in layout.names:
        checked_example(layout, name)
        record = layout.record(name)
        yield record.label, decode_photo(record.image, name, record.label.shape)


def one_case(rng, root):
    """Returns (kind, 'read' or 'refused', what is wrong or '')."""
    rgb, label = picture(rng)
    wanted_photo = wanted_label = None
    choice = rng.integers(3)
    if choice == 0:
        kind, content, must = damaged_json(rng)
        make = lambda: write_coco(root, content)  # noqa: E731
        named = 'broken.json'
    else:
        kinds, subject = ((PHOTOS, 'photograph'), (MASKS, 'mask'))[choice - 1]
        kind = list(kinds)[rng.integers(len(kinds))]
        photo, mask = encode(rgb), encode(label)
        if choice == 1:
            photo, must, wanted_photo = kinds[kind](rgb, rng)
        else:
            mask, must, wanted_label = kinds[kind](label, rng)
        kind, named = f'{subject}: {kind}', 'broken'
        write = (write_own, write_voc)[rng.integers(2)]
        make = lambda: write(root, photo, mask)  # noqa: E731
    started = time.perf_counter()
    try:
        ((got_label, got_photo),) = list(read(make()))
    except InputError as error:
        outcome, wrong = REFUSED, '' if named in str(error) and '\n' not in str(error) else f'unclear: {error}'
    except Exception as error:
        outcome, wrong = 'crashed', f'{type(error).__name__}: {error}'
    else:
        outcome, wrong = READ, ''
        if wanted_photo is not None and not np.array_equal(got_photo, wanted_photo):
            wrong = 'the photograph is another'
        if wanted_label is not None and not np.array_equal(got_label, wanted_label):
            wrong = 'the label is another'
    if must != EITHER and outcome != must:
        wrong = wrong or f'must be {must}'
    if time.perf_counter() - started > 10:
        wrong = 'too slow'
    return kind, outcome, wrong


def run(count, seed=0):
    """Counts by kind and outcome, and a list of failures."""
    counts, failures = collections.Counter(), []
    warnings.simplefilter('ignore')  # Pillow on what it could mend
    with tempfile.TemporaryDirectory() as folder:
        for case in range(count):
            root = Path(folder) / str(case)
            kind, outcome, wrong = one_case(np.random.default_rng((seed, case)), root)
            counts[kind, outcome] += 1
            if wrong:
                failures.append(f'case {case}, {kind}: {outcome}, {wrong}')
            shutil.rmtree(root, ignore_errors=True)
    return counts, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--count', type=int, default=2000)
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args()
    counts, failures = run(arguments.count, arguments.seed)
    for kind in sorted({kind for kind, _ in counts}):
        print(f'{kind:40} read {counts[kind, READ]:4}  refused {counts[kind, REFUSED]:4}')
    print(f'{arguments.count} inputs, {len(failures)} failures')
    print('\n'.join(failures[:30]))
    sys.exit(bool(failures))


if __name__ == '__main__':
    main()
