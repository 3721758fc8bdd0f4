"""A contact sheet: small photographs with their masks, for a check by eye."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from panet_jax.disk.atomic import replacing
from panet_jax.images.overlays import outlined, overlay
from panet_jax.method.episode import IGNORE

COLUMNS = 6
MOST_IMAGES = 24
SIDE = 300  # pixels of a photograph's longer side
MOST_NAMES = 3  # classes named below a photograph


def save_contact_sheet(path: Path, images: list[tuple], classes: Sequence[str]) -> None:
    """Draws photographs with their masks over them, and names and classes below, into one picture.

    Args:
        path: picture to write, which appears complete or not at all; its ending sets the format.
        images: list of (name, [H, W, 3] uint8, label [H, W] uint8 in 0..len(classes) or 255).
        classes: names of the classes.
    """
    rows = -(-len(images) // COLUMNS)
    columns = min(COLUMNS, len(images))
    figure = Figure(figsize=(2.4 * columns, 2.5 * rows), layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (name, image, label) in zip(axes, images, strict=False):
        axis.imshow(_small_overlay(image, label))
        style = {'transform': axis.transAxes, 'ha': 'center', 'va': 'top', 'fontsize': 7, 'parse_math': False}
        axis.text(0.5, -0.03, f'{name}\n{_class_names(label, classes)}', **style)
    for axis in axes:
        axis.set_axis_off()
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:].lower(), dpi=130)


def _small_overlay(image, label):
    """The image with its mask, at the size of the sheet: [h, w, 3] uint8."""
    scale = min(1, SIDE / max(label.shape))
    size = tuple(max(1, round(length * scale)) for length in label.shape[::-1])
    small = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
    small_label = Image.fromarray(label).resize(size, Image.Resampling.NEAREST)
    small_label = np.asarray(small_label)
    return outlined(overlay(np.asarray(small), small_label), small_label)


def _class_names(label, classes):
    """The names of the classes in a label map, the one with the most pixels first."""
    counts = np.bincount(label.ravel(), minlength=IGNORE + 1)[1 : len(classes) + 1]
    largest = np.argsort(-counts, kind='stable')[: np.count_nonzero(counts)]
    more = ', ...' if len(largest) > MOST_NAMES else ''
    return ', '.join(classes[number] for number in largest[:MOST_NAMES]) + more or 'no class'
