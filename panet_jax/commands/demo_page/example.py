"""Images with which the demonstration page can be tried at once: drawn scenes of the data set `shapes`."""

from pathlib import Path

import numpy as np
from PIL import Image

from panet_jax.datasets.shapes import CLASSES, SPLITS, render, scene
from panet_jax.images.scribbles import draw_scribbles
from panet_jax.segmenter.references import Box, Scribble

# Numbers of images of the list 'test': a heart and a gear; then a heart and a gear, a heart, a gear.
SUPPORT, QUERIES = 1, (72, 46, 7)
SIDE = 417
NO_STROKE = 255


def example_references() -> list[tuple[str, np.ndarray, Scribble | Box]]:
    """Two classes on one image, one marked by a scribble and the other by a box.

    Returns:
        List of (name, image [SIDE, SIDE, 3] uint8, annotation).
    """
    objects, (image, label, instances) = _drawn(SUPPORT)
    scribbles = draw_scribbles(label, instances, 0)
    (heart,), (gear,) = (_numbers(objects, name) for name in ('heart', 'gear'))
    strokes = np.where(scribbles == heart, 1, np.where(scribbles == 0, 0, NO_STROKE)).astype(np.uint8)
    rows, columns = np.nonzero(instances == gear)
    box = Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    return [('heart', image, Scribble(strokes)), ('gear', image, box)]


def example_queries(folder: Path) -> list[Path]:
    """Writes images in which the classes of `example_references` can be found.

    Args:
        folder: folder to write to.

    Returns:
        Paths of the images.
    """
    paths = [folder / f'shapes-{number}.png' for number in QUERIES]
    for number, path in zip(QUERIES, paths, strict=True):
        Image.fromarray(_drawn(number)[1][0]).save(path)
    return paths


def _drawn(number):
    """The objects of an image, and the arrays that `render` returns."""
    rng = np.random.default_rng((SPLITS['test'][0], number))
    objects = scene(rng)
    return objects, render(objects, SIDE, rng)


def _numbers(objects, name):
    """The numbers of the objects of a class in a scene, from 1."""
    label = 1 + list(CLASSES).index(name)
    return [number for number, item in enumerate(objects, 1) if item.label == label]
