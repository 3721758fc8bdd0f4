"""A file for each image that keeps its objects: an export reads these, and an interrupted run sees what is done."""

import functools
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from panet_jax.disk.atomic import replacing
from panet_jax.errors import InputError
from panet_jax.export.labeled_image import LabeledImage, coco_rle
from panet_jax.images.objects import Object

FOLDER = 'objects'  # below the folder of the results


def record_path(out: Path, stem: str) -> Path:
    """The file of an image's record.

    Args:
        out: folder of the results.
        stem: name of the image's results.

    Returns:
        OUT/objects/STEM.json.
    """
    return out / FOLDER / f'{stem}.json'


def write_record(out: Path, image: LabeledImage, root: Path, more: dict[str, Any]) -> None:
    """Writes the record of an image. Its file appears whole or not at all.

    Args:
        out: folder of the results. Paths in the record are relative to it, so that all can be moved together.
        image: the image.
        root: folder of the photographs, to which file names in exports are relative.
        more: further entries, as for a json.
    """
    record = {
        'photo': relative_path(image.photo, out),
        'root': relative_path(root, out),
        'id': image.number,
        'height': image.shape[0],
        'width': image.shape[1],
        'objects': [_object_entry(one) for one in image.objects],
        **more,
    }
    with replacing(record_path(out, image.stem)) as temporary:
        temporary.write_text(json.dumps(record), encoding='utf-8')


def read_entries(out: Path, stem: str) -> dict[str, Any] | None:
    """The entries of an image's record.

    Args:
        out: folder of the results.
        stem: name of the image's results.

    Returns:
        The entries; None if there is no record that can be read.
    """
    try:
        record = json.loads(record_path(out, stem).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def read_record(out: Path, stem: str, root: Path) -> LabeledImage:
    """An image with its objects, as they were written.

    Args:
        out: folder of the results.
        stem: name of the image's results.
        root: folder to which its file name is relative.

    Returns:
        The LabeledImage.

    Raises:
        InputError: there is no record, or it is damaged.
    """
    record = read_entries(out, stem)
    try:
        photo = Path(os.path.normpath(out.absolute() / record['photo']))
        shape = record['height'], record['width']
        objects = tuple(_object(entry, shape) for entry in record['objects'])
        file_name = Path(os.path.relpath(photo, root.absolute())).as_posix()
        return LabeledImage(photo, file_name, stem, record['id'], shape, objects)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f'{record_path(out, stem)} is missing or damaged; segment that image again, with the same command.'
        ) from error


class Records:
    """The images of a folder of results, one in memory at a time; each call gives them anew, for `export_labels`.

    File names are relative to the folder that the runs named, or to the one above all of them if they named several.

    Args:
        out: folder of the results.
        stems: names of the images' results, in the order of the exports.
        min_area: objects with fewer pixels are left out.
    """

    def __init__(self, out: Path, stems: Sequence[str], min_area: int = 1):
        self._out, self._stems, self._min_area = out, stems, min_area

    def __len__(self):
        return len(self._stems)

    @property
    def image_root(self) -> str:
        """The folder of the photographs, relative to that of the results."""
        return relative_path(self._root, self._out)

    @functools.cached_property
    def _root(self):
        records = (read_entries(self._out, stem) for stem in self._stems)
        roots = {
            os.path.normpath(self._out.absolute() / record['root']) for record in records if 'root' in (record or {})
        }
        return Path(os.path.commonpath(roots)) if roots else self._out

    def __call__(self) -> Iterator[LabeledImage | InputError]:
        """Yields each image; an InputError in its place if its record is missing or damaged."""
        for stem in self._stems:
            try:
                yield read_record(self._out, stem, self._root).larger_than(self._min_area)
            except InputError as error:
                yield error


def relative_path(path: Path, out: Path) -> str:
    """A path relative to the folder of the results, so that all can be moved together.

    Args:
        path: a file or folder.
        out: folder of the results.

    Returns:
        The path, with forward slashes; it is absolute if there is no relative one.
    """
    try:
        return Path(os.path.relpath(path.absolute(), out.absolute())).as_posix()
    except ValueError:  # another drive of Windows
        return path.absolute().as_posix()


def _object_entry(one: Object) -> dict[str, Any]:
    entry = {'class': one.name, 'label': one.label, 'box': one.box, 'area': one.area, 'score': one.score}
    return {**entry, 'crop': coco_rle(one.crop)}


def _object(entry: dict[str, Any], shape: tuple[int, int]) -> Object:
    crop = coco_mask.decode(entry['crop']).astype(bool)
    return Object(entry['class'], entry['label'], tuple(entry['box']), entry['area'], entry['score'], crop, shape)
