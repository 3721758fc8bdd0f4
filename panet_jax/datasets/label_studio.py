"""Label Studio's json of tasks, as exported with JSON, or as predictions."""

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from panet_jax.datasets.files import Files
from panet_jax.datasets.mask_folders import ALL
from panet_jax.datasets.outlines import Outlines, polygon_mask
from panet_jax.errors import InputError
from panet_jax.images.decode import ENDINGS

UPLOADED = re.compile(r'[0-9a-f]{8}-')  # Label Studio puts eight digits before the name of an uploaded file
OPAQUE = 128  # lowest alpha of a pixel inside a brush region


def label_studio_json(root: Path, files: Files) -> str | None:
    """The json of tasks in a folder.

    Args:
        root: the folder.
        files: its files.

    Returns:
        The name of the first one; None if there is none.
    """
    for name in sorted(files.listing('')):
        if name.endswith('.json'):
            with open(root / name, 'rb') as file:
                head = file.read(4096).lstrip()
            if (head.startswith(b'[') and b'"data"' in head) or (head.startswith(b'[') and b'"annotations"' in head):
                return name
    return None


def read_label_studio(root: Path, files: Files) -> Outlines:
    """Reads the annotations in Label Studio's json of tasks; of a task without annotation, the first prediction.

    Args:
        root: the folder of the json, with the photographs in it or in images/.
        files: its files.

    Returns:
        Outlines.

    Raises:
        InputError: the json cannot be read, or a photograph is missing.
    """
    name = label_studio_json(root, files)
    regions, photos = {}, {}
    try:
        for task in json.loads(files.read_text(name)):
            shown = [region for region in _regions(task) if _labels(region)]
            if shown:
                photo = _photo(task, files)
                stem = PurePosixPath(photo).with_suffix('').as_posix().removeprefix('images/')
                photos[stem], regions[stem] = photo, shown
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{files.where(name)} is no json of Label Studio's tasks ({type(error).__name__}: {error}); export it with JSON, not "
            'JSON-MIN.'
        ) from error
    classes = tuple(sorted({_labels(region)[0] for shown in regions.values() for region in shown}))

    def masks(stem, shape):
        where = f'a region of {photos[stem]} in {files.where(name)}'
        return [(1 + classes.index(_labels(region)[0]), _mask(region, shape, where)) for region in regions[stem]]

    return Outlines(classes, photos, dict.fromkeys(photos, name), masks, {ALL: list(photos)})


def _regions(task: dict[str, Any]) -> list[dict[str, Any]]:
    """The regions of the first annotation that was not cancelled, else those of the first prediction."""
    annotations = [entry for entry in task.get('annotations') or [] if not entry.get('was_cancelled')]
    chosen = annotations or task.get('predictions') or []
    return [region for region in chosen[0]['result'] if 'value' in region] if chosen else []


def _labels(region: dict[str, Any]) -> list[str]:
    """The labels of a region; [] for a relation of regions, or a choice for the whole image."""
    value = region['value']
    return value.get('brushlabels') or value.get('polygonlabels') or value.get('rectanglelabels') or []


def _photo(task: dict[str, Any], files: Files) -> str:
    """The file of a task's photograph, wherever Label Studio kept it."""
    addresses = [value for value in task['data'].values() if isinstance(value, str)]
    address = next((value for value in addresses if unquote(value).lower().endswith(ENDINGS)), '')
    parts = urlsplit(address)
    path = PurePosixPath(parse_qs(parts.query).get('d', [unquote(parts.path)])[0].lstrip('/'))
    names = [path.as_posix(), path.name, UPLOADED.sub('', path.name, count=1)]
    photo = files.find(*(f'{folder}{name}' for name in names for folder in ('', 'images/')))
    if not photo:
        raise InputError(
            f'the photograph {path.name or address} of a task of Label Studio is neither beside the json nor in images/; copy it '
            'there.'
        )
    return photo


def _mask(region: dict[str, Any], shape: tuple[int, int], where: str) -> np.ndarray:
    value = region['value']
    if 'rle' in value:
        size = region['original_height'], region['original_width']
        if size != shape:
            raise InputError(f'{where} is for {size[::-1]} pixels, its photograph has {shape[::-1]} (width, height).')
        return decode_brush(value['rle'], where).reshape(*shape, 4)[..., 3] >= OPAQUE
    if 'points' in value:
        return polygon_mask(np.array(value['points'], float) / 100 * shape[::-1], shape, where)
    raise InputError(f'{where} is a rectangle; wanted a brush or a polygon around the object.')


def decode_brush(data: list[int], where: str) -> np.ndarray:
    """The values of Label Studio's run lengths; `brush_rle` describes the format.

    Args:
        data: bytes, as a list.
        where: name of the region in errors.

    Returns:
        [4 H W] uint8, RGBA of each pixel.

    Raises:
        InputError: the run lengths end early.
    """
    try:
        bits = _Bits(bytes(data))
        count, word = bits.number(32), bits.number(5) + 1
        sizes = [bits.number(4) + 1 for _ in range(4)]
        values, place = np.zeros(count, np.uint8), 0
        while place < count:
            is_run = bits.number(1)
            end = place + 1 + bits.number(sizes[bits.number(2)])
            values[place:end] = bits.number(word) if is_run else [bits.number(word) for _ in range(place, end)]
            place = end
        return values
    except (ValueError, OverflowError) as error:
        raise InputError(f'{where} has damaged run lengths ({error}).') from error


class _Bits:
    """Reads numbers of any number of bits, the highest bit first."""

    def __init__(self, data: bytes):
        self._text = f'{int.from_bytes(data, "big"):0{8 * len(data)}b}'
        self._place = 0

    def number(self, size: int) -> int:
        self._place += size
        return int(self._text[self._place - size : self._place], 2)
