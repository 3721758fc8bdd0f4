"""labelme's format: a json of shapes for each photograph."""

import base64
import io
import json
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from panet_jax.datasets.files import Files
from panet_jax.datasets.mask_folders import ALL
from panet_jax.datasets.outlines import Outlines, polygon_mask
from panet_jax.errors import InputError
from panet_jax.images.decode import ENDINGS

NOT_CLASSES = ('__ignore__', '_background_')  # labels that labelme's own tools skip


def labelme_files(root: Path, files: Files) -> list[str]:
    """The files of labelme in a folder.

    Args:
        root: the folder.
        files: its files.

    Returns:
        Names of the json files with shapes, in the folder or in images/ below it.
    """
    folder = 'images' if any(name.endswith('.json') for name in files.listing('images')) else ''
    names = [f'{folder}/{name}'.lstrip('/') for name in sorted(files.listing(folder)) if name.endswith('.json')]
    return [name for name in names if b'"shapes"' in files.read(name)]


def read_labelme(root: Path, files: Files) -> Outlines:
    """Reads labelme's files.

    Args:
        root: the folder.
        files: its files.

    Returns:
        Outlines.

    Raises:
        InputError: a json cannot be read, or a photograph is missing.
    """
    photos, sources, classes = {}, {}, set()
    for name in labelme_files(root, files):
        labels = {shape['label'] for shape in _shapes(files, name)}
        if labels:
            stem = PurePosixPath(name).stem
            photos[stem], sources[stem] = _photo(files, name), name
            classes |= labels
    ordered = tuple(sorted(classes))

    def masks(stem, shape):
        shapes = _shapes(files, sources[stem])
        where = files.where(sources[stem])
        return [
            (1 + ordered.index(one['label']), _mask(one, shape, f'shape {number} of {where}'))
            for number, one in enumerate(shapes, 1)
        ]

    return Outlines(ordered, photos, sources, masks, {ALL: list(photos)})


def _content(files: Files, name: str) -> dict[str, Any]:
    try:
        content = json.loads(files.read_text(name))
        for shape in content['shapes']:
            np.array(shape['points'], float).reshape(-1, 2)
            _ = shape['label'] + shape.get('shape_type', '')
        return content
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f'{files.where(name)} is no file of labelme ({type(error).__name__}: {error}).') from error


def _shapes(files: Files, name: str) -> list[dict[str, Any]]:
    return [shape for shape in _content(files, name)['shapes'] if shape['label'] not in NOT_CLASSES]


def _photo(files: Files, name: str) -> str:
    """The photograph of a json: the one that it names, or one with the same name as the json."""
    home, stem = PurePosixPath(name).parent, PurePosixPath(name).stem
    named = str(_content(files, name).get('imagePath') or '').replace('\\', '/')
    names = [named, PurePosixPath(named).name, *(stem + ending for ending in ENDINGS)]
    photo = files.find(*((home / one).as_posix() for one in names if one))
    if not photo:
        raise InputError(f'the photograph {named or stem} of {files.where(name)} is not beside it; copy it there.')
    return photo


def _mask(one: dict[str, Any], shape: tuple[int, int], where: str) -> np.ndarray:
    points, kind = np.array(one['points'], float).reshape(-1, 2), one.get('shape_type') or 'polygon'
    if kind == 'polygon':
        return polygon_mask(points, shape, where)
    if kind == 'mask':
        return _pasted(one['mask'], points, shape, where)
    if kind == 'circle' and len(points) == 2:
        y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
        return np.hypot(x - points[0, 0], y - points[0, 1]) <= np.hypot(*(points[1] - points[0]))
    raise InputError(f'{where} is a {kind}; wanted a polygon, a mask or a circle around the object.')


def _pasted(text: str, points: np.ndarray, shape: tuple[int, int], where: str) -> np.ndarray:
    """The mask of a part of the image, which labelme keeps as a PNG in base64."""
    try:
        crop = np.array(Image.open(io.BytesIO(base64.b64decode(text))).convert('L')) > 0
        mask, (left, top) = np.zeros(shape, bool), points[0].astype(int)
        mask[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
        return mask
    except (ValueError, OSError, IndexError) as error:
        raise InputError(f'{where} has a mask that cannot be read ({error}).') from error
