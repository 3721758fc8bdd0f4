"""Label Studio's json of predictions, with its own run lengths for brushes."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from panet_jax.disk.atomic import replacing
from panet_jax.export.labeled_image import LabeledImage
from panet_jax.images.objects import Object
from panet_jax.images.overlays import way_color

TASKS, INTERFACE = 'label_studio.json', 'label_studio.xml'
WORD = 8  # bits of a value
SIZES = (3, 4, 8, 16)  # bits in which the length of a run is stored; each run names one of these


def write_label_studio(out: Path, images: Iterable[LabeledImage], classes: Sequence[str]) -> list[str]:
    """Writes tasks with predictions, and the labeling interface that they need.

    OUT/label_studio.json is imported in Label Studio, and OUT/label_studio.xml pasted under Labeling Interface, Code. The
    tasks name photographs as /data/local-files/?d=NAME, relative to LOCAL_FILES_DOCUMENT_ROOT.

    Args:
        out: folder to write to.
        images: the images; one is in memory at a time.
        classes: names of the classes.

    Returns:
        No remarks: masks have holes and scores.
    """
    with replacing(out / TASKS) as temporary, open(temporary, 'w', encoding='utf-8') as file:
        for number, image in enumerate(images):
            file.write((',\n' if number else '[\n') + json.dumps(_task(image)))
        file.write('\n]\n')
    with replacing(out / INTERFACE) as temporary:
        temporary.write_text(_interface(classes), encoding='utf-8')
    return []


def brush_rle(mask: np.ndarray) -> list[int]:
    """Label Studio's run lengths of a mask; they are not COCO's.

    The format is that of the package rle-pack of thi.ng: the number of values in 32 bits, the bits of a value - 1 in 5, the
    four sizes - 1 in 4 bits each; then for each run a bit 1, the number of a size in 2 bits, the length - 1 in as many bits,
    and the value. The values are those of an RGBA image: four of each pixel.

    Args:
        mask: [H, W] bool.

    Returns:
        Bytes, as a list for a json.
    """
    flat = mask.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=~flat[0]))
    lengths = 4 * np.diff(starts, append=flat.size)
    head = f'{4 * flat.size:032b}{WORD - 1:05b}' + ''.join(f'{size - 1:04b}' for size in SIZES)
    bits = head + ''.join(_run(length, value) for length, value in zip(lengths.tolist(), flat[starts], strict=True))
    padded = bits + '0' * (-len(bits) % 8)
    return list(int(padded, 2).to_bytes(len(padded) // 8, 'big'))


def _run(length: int, value: bool) -> str:
    """The bits of a run; one that is too long for the largest size is divided."""
    longest = 1 << SIZES[-1]
    whole, rest = divmod(length, longest)
    return _piece(longest, value) * whole + (_piece(rest, value) if rest else '')


def _piece(length: int, value: bool) -> str:
    number = next(number for number, size in enumerate(SIZES) if length <= 1 << size)
    return f'1{number:02b}{length - 1:0{SIZES[number]}b}{255 * bool(value):0{WORD}b}'


def _interface(classes: Sequence[str]) -> str:
    """The labeling interface: an image, and a brush for each class in the color of the overlays."""
    colors = {name: bytes(way_color(label).tolist()).hex() for label, name in enumerate(classes, 1)}
    brushes = [f'    <Label value={quoteattr(name)} background="#{color}"/>' for name, color in colors.items()]
    top = [
        '<View>',
        '  <Image name="image" value="$image" zoom="true"/>',
        '  <BrushLabels name="labels" toName="image">',
    ]
    return '\n'.join([*top, *brushes, '  </BrushLabels>', '</View>', ''])


def _task(image: LabeledImage) -> dict[str, Any]:
    scores = [one.score for one in image.objects if one.score is not None]
    return {
        'data': {'image': f'/data/local-files/?d={quote(image.file_name)}'},
        'predictions': [
            {
                'model_version': 'panet_jax',
                'score': round(min(scores), 4) if scores else 0.0,
                'result': [_region(image, number, one) for number, one in enumerate(image.objects, 1)],
            }
        ],
    }


def _region(image: LabeledImage, number: int, one: Object) -> dict[str, Any]:
    height, width = image.shape
    return {
        'id': f'{image.number}-{number}',
        'from_name': 'labels',
        'to_name': 'image',
        'type': 'brushlabels',
        'original_width': width,
        'original_height': height,
        'image_rotation': 0,
        'score': one.score,
        'value': {'format': 'rle', 'rle': brush_rle(one.mask), 'brushlabels': [one.name]},
    }
