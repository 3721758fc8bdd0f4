"""Pictures of what `panet-jax predict` understood from --support: OUT/references/NUMBER-overlay.jpg."""

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import panet_jax as pj
from panet_jax.commands.supports import Support

FOLDER = 'references'
NAME = re.compile(rf'{FOLDER}/\d+-overlay\.jpg')


def picture_names(supports: Sequence[Support]) -> list[str]:
    """The names that the pictures may have in the folder of the results.

    Args:
        supports: the references in the order in which they were typed.

    Returns:
        A path for each, relative to the folder.
    """
    return [f'{FOLDER}/{number}-overlay.jpg' for number in range(1, 1 + len(supports))]


def drawn_pictures(segmenter: 'pj.Segmenter', supports: Sequence[Support]) -> dict[str, Support]:
    """The references that get a picture: those with a box or points. Masks and scribbles are taken as they are.

    Args:
        segmenter: the Segmenter that has these references.
        supports: the references in the order in which they were typed.

    Returns:
        {path of the picture, relative to the folder of the results: reference}.
    """
    from panet_jax.segmenter.understanding import KINDS

    names = zip(picture_names(supports), supports, strict=True)
    return {name: support for name, support in names if segmenter.understand and support.kind in KINDS}


def remove_pictures(out: Path, earlier: Mapping[str, Any], kept: Iterable[str]) -> None:
    """Removes the pictures of earlier runs, as predictions.json lists them; no other file is touched.

    Args:
        out: folder of the results.
        earlier: results of earlier runs, as from `read_earlier`.
        kept: names of pictures that stay, or are about to be replaced.
    """
    names = {name for run in earlier.get('runs', []) for name in run.get('pictures', [])} - set(kept)
    for name in names:
        if NAME.fullmatch(name):
            (out / name).unlink(missing_ok=True)
    if names:
        with contextlib.suppress(OSError):  # it has other files, or has been removed
            (out / FOLDER).rmdir()


def write_reference_pictures(segmenter: 'pj.Segmenter', pictures: Mapping[str, Support], out: Path) -> None:
    """Writes references with their box or points and the region that these stand for, and prints where the pictures are.

    Args:
        segmenter: the Segmenter that has these references.
        pictures: {path of the picture: reference}, as from `drawn_pictures`.
        out: folder of the results.
    """
    from PIL import Image

    from panet_jax.segmenter.reference_pictures import reference_picture, write_picture
    from panet_jax.segmenter.references import read_marks, read_photo

    for name, support in pictures.items():
        photo = read_photo(support.image, str(support.image))
        marks = read_marks(support.annotation, photo.shape[:2], segmenter.size, f'the annotation of {support.image}')
        region = segmenter.understood(photo, support.annotation)
        picture = reference_picture(photo, marks, region, 1 + segmenter.classes.index(support.name))
        write_picture(Image.fromarray(picture), out / name)
    if pictures:
        print(f'what was understood from boxes and points is drawn in {out / FOLDER}', flush=True)
