"""References with their annotations drawn on them, and with what was understood from these."""

from pathlib import Path

import numpy as np
from PIL import Image

from panet_jax.disk.atomic import replacing
from panet_jax.images.overlays import annotated, outlined, overlay
from panet_jax.images.resize import resize_mask
from panet_jax.segmenter.references import Marks

DRAWN_AS = {'mask': 'dense', 'box': 'box', 'points': 'scribble', 'scribble': 'scribble'}


def reference_picture(photo: np.ndarray, drawn: Marks, region: np.ndarray, way: int) -> np.ndarray:
    """A photograph with the region that an annotation stands for in color, and the annotation itself above it.

    Args:
        photo: [H, W, 3] uint8.
        drawn: the annotation as it was drawn, [S, S] bool each.
        region: [S, S] bool or [H, W] bool, what was understood.
        way: number of the class, 1..N; it gives the color.

    Returns:
        [H, W, 3] uint8.
    """
    shape, kind = photo.shape[:2], DRAWN_AS[drawn.kind]
    foreground, background = (resize_mask(mask, shape) for mask in (drawn.foreground, drawn.background))
    region = resize_mask(region, shape)
    if kind == 'dense':
        return annotated(photo, region, background, way, kind)
    background = background & drawn.drawn if kind == 'scribble' else ~foreground
    label = way * region.astype(int)
    filled = photo if (region == foreground).all() else outlined(overlay(photo, label, rest=1), label)
    return annotated(filled, foreground, background, way, kind)


def write_picture(picture: Image.Image, path: Path) -> None:
    """Writes a picture as a JPEG; it appears whole or not at all.

    Args:
        picture: an RGB image.
        path: file to write, in a folder that is made if it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        picture.save(temporary, 'jpeg', quality=90)
