"""Sheets of episodes: support, its mask, query, truth and prediction side by side."""

import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from panet_jax.episode import IGNORE

# Colours of ways 1, 2, ... (Okabe and Ito's, told apart by colour-blind people too), and of void.
WAY_COLOURS = np.array(
    [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [213, 94, 0], [204, 121, 167], [0, 114, 178]]
)
VOID_COLOUR = np.array([255, 255, 255])
# More supports than this and only the first shot of each way is drawn.
MOST_SUPPORTS = 5


def overlay(image, label, strength=0.65):
    """An image with its label map in colours.

    Args:
        image: [H, W, 3] uint8.
        label: [H, W] int, 0 stays as it is (a little darker), n gets way n's colour, 255 white.
        strength: of the colour, in 0..1.

    Returns:
        [H, W, 3] uint8.
    """
    blended = image * 0.6
    for way in np.unique(label[(label > 0) & (label != IGNORE)]):
        colour = WAY_COLOURS[(way - 1) % len(WAY_COLOURS)]
        blended[label == way] = (1 - strength) * image[label == way] + strength * colour
    blended[label == IGNORE] = VOID_COLOUR
    return blended.astype(np.uint8)


def episode_panels(names, episode, predictions):
    """The panels of one episode's row, its first query: a list of (title, [H, W, 3] uint8).

    Args:
        names: class name of each way.
        episode: a compact Episode.
        predictions: [Q, H, W] int in 0..N.
    """
    ways, shots = episode.support_images.shape[:2]
    shown = shots if ways * shots <= MOST_SUPPORTS else 1
    panels = []
    for way in range(ways):
        for shot in range(shown):
            image = episode.support_images[way, shot]
            panels.append((f'support: {names[way]}', image))
            mask = episode.support_foreground[way, shot]
            title = 'mask' if mask.any() else f'mask: empty at {image.shape[0]} px'
            panels.append((title, overlay(image, (way + 1) * mask.astype(int))))
    query, truth, prediction = episode.query_images[0], episode.query_labels[0], predictions[0]
    score = _query_iou(truth, prediction, ways)
    panels.append(('query', query))
    panels.append(('truth (white: void)', overlay(query, truth)))
    panels.append((f'prediction, IoU {score}', overlay(query, prediction)))
    return panels


def save_sheet(path, rows):
    """Draws episodes one below the other into a PNG, which appears whole or not at all.

    Args:
        path: of the PNG.
        rows: list of (names, episode, predictions) as for `episode_panels`.
    """
    rows = [episode_panels(*row) for row in rows]
    figure = Figure(figsize=(2 * len(rows[0]), 2.25 * len(rows)), layout='constrained')
    axes = figure.subplots(len(rows), len(rows[0]), squeeze=False)
    for row, panels in zip(axes, rows, strict=True):
        for axis, (title, image) in zip(row, panels, strict=True):
            axis.imshow(image)
            axis.set_title(title, fontsize=9)
            axis.set_axis_off()
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    figure.savefig(temporary, format='png', dpi=100)
    temporary.replace(path)


def _query_iou(truth, prediction, ways):
    """IoU of each way in one query, as text in percent; '-' where truth and prediction lack it."""
    texts = []
    for way in range(1, ways + 1):
        valid = truth != IGNORE
        union = (((truth == way) | (prediction == way)) & valid).sum()
        both = ((truth == way) & (prediction == way)).sum()
        texts.append(f'{100 * both / union:.0f}' if union else '-')
    return ' / '.join(texts)
