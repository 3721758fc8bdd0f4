"""Label maps as TIFF, for napari, QuPath and ImageJ."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from panet_jax.disk.atomic import replacing
from panet_jax.export.labeled_image import LabeledImage


def write_tiff(out: Path, images: Iterable[LabeledImage], classes: Sequence[str]) -> list[str]:
    """Writes two TIFF files for each image, compressed without loss, and the names of the classes.

    OUT/tiff/classes/STEM.tif has class numbers of 8 bits, OUT/tiff/objects/STEM.tif numbers of objects of 16 bits, 0 for
    background. Line n of OUT/tiff/classes.txt is the name of class n.

    Args:
        out: folder to write to.
        images: the images; one is in memory at a time.
        classes: names of the classes.

    Returns:
        No remarks.
    """
    for image in images:
        _write(out / 'tiff/classes' / f'{image.stem}.tif', image.labels)
        _write(out / 'tiff/objects' / f'{image.stem}.tif', image.instances)
    with replacing(out / 'tiff/classes.txt') as temporary:
        temporary.write_text(''.join(f'{name}\n' for name in classes), encoding='utf-8')
    return []


def _write(path: Path, numbers: np.ndarray) -> None:
    with replacing(path) as temporary:
        Image.fromarray(numbers).save(temporary, 'tiff', compression='tiff_adobe_deflate')
