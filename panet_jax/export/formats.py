"""The one function that writes all formats. A new one is a module beside this, an entry here and a name in names.py."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from panet_jax.errors import InputError
from panet_jax.export.coco import write_coco
from panet_jax.export.label_studio import write_label_studio
from panet_jax.export.labeled_image import LabeledImage
from panet_jax.export.names import FORMATS
from panet_jax.export.tiff import write_tiff
from panet_jax.export.voc import write_voc
from panet_jax.export.yolo import write_yolo


def export_labels(
    out: str | Path,
    images: Callable[[], Iterable[LabeledImage | InputError]],
    classes: Sequence[str],
    *,
    formats: Sequence[str] = ('coco',),
    image_root: str = '',
    polygons: bool = False,
) -> list[str]:
    """Writes the labels of images in formats that other programs read.

    Every file appears whole or not at all, and one image is in memory at a time.

    Args:
        out: folder to write to.
        images: gives the images anew each time that it is called, once for each format; an InputError in place of an
            image that cannot be had is passed over.
        classes: names of the classes; label n is classes[n - 1].
        formats: 'coco', 'yolo', 'voc', 'label-studio', 'tiff'.
        image_root: folder of the photographs relative to `out`, for 'coco', whose file names are relative to it.
        polygons: whether 'coco' has polygons, without holes, in place of run lengths.

    Returns:
        Remarks: what a format cannot hold, and what went wrong with single images.

    Raises:
        InputError: there is no such format, or it cannot hold the name of a class.
    """
    if unknown := [name for name in formats if name not in FORMATS]:
        raise InputError(f'there is no format {unknown[0]!r}; wanted {", ".join(FORMATS)}.')
    writers = {
        'coco': functools.partial(write_coco, image_root=image_root, polygons=polygons),
        'yolo': write_yolo,
        'voc': write_voc,
        'label-studio': write_label_studio,
        'tiff': write_tiff,
    }
    remarks = []
    for name in dict.fromkeys(formats):
        remarks += writers[name](Path(out), _without_errors(images(), remarks), classes)
    return list(dict.fromkeys(remarks))


def _without_errors(images: Iterable[LabeledImage | InputError], remarks: list[str]) -> Iterator[LabeledImage]:
    """Yields the images, and notes the sentences of errors."""
    for image in images:
        if isinstance(image, InputError):
            remarks.append(str(image))
        else:
            yield image
