"""Pictures of what `panet-jax predict` understood from --support: OUT/references/NUMBER-overlay.jpg."""

from collections.abc import Sequence
from pathlib import Path

import panet_jax as pj
from panet_jax.commands.supports import Support

FOLDER = 'references'


def picture_names(supports: Sequence[Support]) -> list[str]:
    """The names that the pictures may have in the folder of the results.

    Args:
        supports: the references in the order in which they were typed.

    Returns:
        A path for each, relative to the folder.
    """
    return [f'{FOLDER}/{number}-overlay.jpg' for number in range(1, 1 + len(supports))]


def write_reference_pictures(segmenter: 'pj.Segmenter', supports: Sequence[Support], out: Path) -> None:
    """Writes each reference with its box or points and the region that they stand for, and prints where these are.

    Masks and scribbles are taken as they are, and have no picture.

    Args:
        segmenter: the Segmenter that has these references.
        supports: the references.
        out: folder of the results.
    """
    from PIL import Image

    from panet_jax.segmenter.reference_pictures import reference_picture, write_picture
    from panet_jax.segmenter.references import read_marks, read_photo
    from panet_jax.segmenter.understanding import KINDS

    names = zip(supports, picture_names(supports), strict=True)
    drawn = [(support, name) for support, name in names if segmenter.understand and support.kind in KINDS]
    for support, name in drawn:
        photo = read_photo(support.image, str(support.image))
        marks = read_marks(support.annotation, photo.shape[:2], segmenter.size, f'the annotation of {support.image}')
        region = segmenter.understood(photo, support.annotation)
        picture = reference_picture(photo, marks, region, 1 + segmenter.classes.index(support.name))
        write_picture(Image.fromarray(picture), out / name)
    if drawn:
        print(f'what was understood from boxes and points is drawn in {out / FOLDER}', flush=True)
