"""PASCAL VOC's layout with a list of the classes' colors, which CVAT calls Segmentation mask 1.1."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from panet_jax.disk.atomic import replacing
from panet_jax.errors import InputError
from panet_jax.export.labeled_image import LabeledImage
from panet_jax.export.photos import copy_photo
from panet_jax.images.overlays import voc_color

LIST = 'ImageSets/Segmentation/default.txt'
LABEL_MAP = 'labelmap.txt'
MOST_OBJECTS = 254  # of an image, as SegmentationObject has 8 bits, and 255 is void


def write_voc(out: Path, images: Iterable[LabeledImage], classes: Sequence[str]) -> list[str]:
    """Writes a folder in VOC's layout, which CVAT and Datumaro read.

    OUT/JPEGImages/STEM.jpg, copies of the photographs; OUT/SegmentationClass/STEM.png, class numbers with VOC's colors;
    OUT/SegmentationObject/STEM.png, numbers of objects; OUT/ImageSets/Segmentation/default.txt, and OUT/labelmap.txt with
    names and colors. Spaces in names become underscores. The format has no scores.

    Args:
        out: folder to write to.
        images: the images; one is in memory at a time.
        classes: names of the classes.

    Returns:
        Remarks: photographs that cannot be copied, which are left out, and how many objects have no number.

    Raises:
        InputError: a class has a colon in its name.
    """
    if wrong := [name for name in classes if ':' in name or name.startswith('#') or name != name.strip()]:
        raise InputError(
            f"VOC's {LABEL_MAP} cannot hold the name {wrong[0]!r}; leave out colons, # and spaces around it."
        )
    stems, failed, dropped = {}, [], 0
    for image in images:
        stem = _without_spaces(image.stem, stems.values())
        try:
            copy_photo(image.photo, out / 'JPEGImages', stem, only_jpeg=True)
        except InputError as error:
            failed.append(str(error))
            continue
        _write_map(out / 'SegmentationClass' / f'{stem}.png', image.labels)
        dropped += max(0, len(image.objects) - MOST_OBJECTS)
        instances = image.instances
        _write_map(out / 'SegmentationObject' / f'{stem}.png', np.where(instances > MOST_OBJECTS, 0, instances))
        stems[image.stem] = stem
    _write_text(out / LIST, list(stems.values()))
    colors = (f'{name}:{_rgb(number)}::' for number, name in enumerate(('background', *classes)))
    _write_text(out / LABEL_MAP, ['# label:color_rgb:parts:actions', *colors])
    remark = f'SegmentationObject/: {dropped} object(s) of images with more than {MOST_OBJECTS} have no number'
    return [*failed, remark] if dropped else failed


def _without_spaces(stem: str, used: Collection[str]) -> str:
    """A name for a list in which some readers take a space for the end of a name."""
    name = '_'.join(stem.split())
    return name if name not in used else _without_spaces(f'{stem} {len(used)}', used)


def _rgb(number: int) -> str:
    return ','.join(str(value) for value in voc_color(number))


def _write_map(path: Path, numbers: np.ndarray) -> None:
    image = Image.fromarray(numbers.astype(np.uint8))
    image.putpalette(bytes(value for number in range(256) for value in voc_color(number)))
    with replacing(path) as temporary:
        image.save(temporary, 'png')


def _write_text(path: Path, lines: Sequence[str]) -> None:
    with replacing(path) as temporary:
        temporary.write_text(''.join(f'{line}\n' for line in lines), encoding='utf-8')
