"""YOLO's segmentation format: a text file of polygons for each image."""

import math
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml

from panet_jax.disk.atomic import replacing
from panet_jax.errors import InputError
from panet_jax.export.labeled_image import LabeledImage
from panet_jax.export.photos import copy_photo
from panet_jax.export.polygons import center_polygons
from panet_jax.images.objects import Object

VALIDATED = 5  # one image in so many is for validation; its name decides, so that it stays there
DIGITS = 7  # of coordinates


def write_yolo(out: Path, images: Iterable[LabeledImage], classes: Sequence[str]) -> list[str]:
    """Writes YOLO's labels, with copies of the photographs, which YOLO looks for beside them.

    OUT/images/STEM.jpg, OUT/labels/STEM.txt, the lists OUT/train.txt and OUT/val.txt, and OUT/data.yaml. A line of a label
    file is a polygon: the number of the class from 0, and x and y of each point as fractions of the image's width and
    height. Polygons have no holes, and the format has no scores.

    Args:
        out: folder to write to.
        images: the images; one is in memory at a time.
        classes: names of the classes.

    Returns:
        Remarks: photographs that cannot be copied, which are left out, and how many objects lost a hole.
    """
    holes, failed, lists = 0, [], {'train': [], 'val': []}
    for image in images:
        try:
            copied = copy_photo(image.photo, out / 'images', image.stem)
        except InputError as error:
            failed.append(str(error))
            continue
        holes += sum(one.has_hole for one in image.objects)
        lines = [line for one in image.objects for line in _lines(one)]
        _write(out / 'labels' / f'{image.stem}.txt', lines)
        lists['val' if zlib.crc32(image.stem.encode()) % VALIDATED == 0 else 'train'].append(f'./images/{copied.name}')
    for name, other in (('train', 'val'), ('val', 'train')):
        _write(out / f'{name}.txt', lists[name] or lists[other])  # a program that trains wants both
    settings = {'train': 'train.txt', 'val': 'val.txt', 'names': dict(enumerate(classes))}
    _write(out / 'data.yaml', [yaml.safe_dump(settings, sort_keys=False, allow_unicode=True).rstrip()])
    return failed + ([f'labels/: {holes} object(s) have holes, which polygons fill'] if holes else [])


def _lines(one: Object) -> list[str]:
    height, width = one.shape
    polygons = [[_up(x / width) + ' ' + _up(y / height) for x, y in polygon] for polygon in center_polygons(one)]
    return [' '.join([str(one.label - 1), *points]) for points in polygons]


def _up(fraction: float) -> str:
    """A fraction as a text, rounded up: readers that cut off what is behind the point then get the same pixel."""
    return f'{math.ceil(fraction * 10**DIGITS) / 10**DIGITS:.{DIGITS}g}'


def _write(path: Path, lines: Sequence[str]) -> None:
    with replacing(path) as temporary:
        temporary.write_text(''.join(f'{line}\n' for line in lines), encoding='utf-8')
