"""COCO's json of instances."""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from panet_jax.disk.atomic import replacing
from panet_jax.export.labeled_image import LabeledImage, coco_rle
from panet_jax.export.polygons import edge_polygons
from panet_jax.images.objects import Object

ANNOTATIONS = 'annotations.json'
# An annotation's id is its image's times this, plus its number in the image: it does not depend on other images. A map of
# objects has 16 bits, so no image has more.
IDS_AN_IMAGE = 100_000


def write_coco(
    out: Path, images: Iterable[LabeledImage], classes: Sequence[str], *, image_root: str = '', polygons: bool = False
) -> list[str]:
    """Writes COCO's json of instances, image by image. It appears whole or not at all.

    Args:
        out: folder to write to; the file is OUT/annotations.json.
        images: the images; one is in memory at a time.
        classes: names of the classes; the id of a category is its label, from 1.
        image_root: folder of the photographs, relative to `out`; it is noted under 'info'.
        polygons: whether objects are polygons, which other programs edit more easily; they have no holes. Otherwise they
            are run lengths, which keep every pixel.

    Returns:
        Remarks, such as how many objects lost a hole.
    """
    holes, path = 0, out / ANNOTATIONS
    with replacing(path) as temporary, open(temporary, 'w', encoding='utf-8') as file, _spool() as spool:
        head = {
            'info': {'description': 'made by panet_jax', 'image_root': image_root},
            'categories': [{'id': number, 'name': name} for number, name in enumerate(classes, 1)],
        }
        file.write(json.dumps(head)[:-1] + ', "annotations": [')
        first_image = first_annotation = True
        for image in images:
            first_image = _write_item(spool, _image_entry(image), first_image)
            for number, one in enumerate(image.objects, 1):
                holes += polygons and one.has_hole
                first_annotation = _write_item(file, _annotation(image, number, one, polygons), first_annotation)
        file.write('],\n"images": [')
        spool.seek(0)
        shutil.copyfileobj(spool, file)
        file.write(']}\n')
    return [f'{ANNOTATIONS}: {holes} object(s) have holes, which polygons fill'] if holes else []


@contextlib.contextmanager
def _spool() -> Iterator[TextIO]:
    """A temporary file for the second list of the json, while the first one is written."""
    with tempfile.TemporaryFile('w+', encoding='utf-8') as spool:
        yield spool


def _write_item(file: TextIO, item: dict[str, Any], is_first: bool) -> bool:
    """Writes an item of a list of a json. Returns False, for the next item."""
    file.write(('\n' if is_first else ',\n') + json.dumps(item))
    return False


def _image_entry(image: LabeledImage) -> dict[str, Any]:
    height, width = image.shape
    return {'id': image.number, 'file_name': image.file_name, 'height': height, 'width': width}


def _annotation(image: LabeledImage, number: int, one: Object, polygons: bool) -> dict[str, Any]:
    left, top, right, bottom = one.box
    outline = [polygon.ravel().round(2).tolist() for polygon in edge_polygons(one)] if polygons else coco_rle(one.mask)
    return {
        'id': image.number * IDS_AN_IMAGE + number,
        'image_id': image.number,
        'category_id': one.label,
        'segmentation': outline,
        'area': one.area,
        'bbox': [left, top, right - left, bottom - top],
        'iscrowd': 0,
        'score': round(one.score, 4) if one.score is not None else 1.0,
    }
