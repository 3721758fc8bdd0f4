"""Sheets of episodes, as in the paper's figures: annotated supports, query, truth, prediction, heat map."""

import os
import textwrap
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from panet_jax.disk.atomic import replacing
from panet_jax.images.overlays import annotated, heat_map, overlay
from panet_jax.method.episode import Episode
from panet_jax.method.metrics import iou

# With more supports than this, only the first shot of each way is drawn.
MOST_SUPPORTS = 5
TITLE_WIDTH = 36  # characters that fit above a panel


class Row(NamedTuple):
    """One episode of a sheet.

    Attributes:
        caption: its name on the sheet.
        names: class names of the ways.
        episode: a compact Episode.
        probabilities: [H, W, L] float32, those of the first query, background first.
        confusion: [L, L] int, pixels of the first query by true label (rows) and predicted label (columns).
    """

    caption: str
    names: list[str]
    episode: Episode
    probabilities: np.ndarray
    confusion: np.ndarray


def pictured_episodes(confusions: np.ndarray, number: int, which: str, seed: int) -> list[int]:
    """Chooses the episodes of a run to draw.

    Args:
        confusions: [E, Q, L, L] int, of all E episodes of the run.
        number: number of episodes, at most.
        which: 'random'; 'worst', by IoU of the first query, the mean over the ways in its label or prediction; 'first';
            or the numbers of the episodes, such as '3,17'.
        seed: seed of 'random'.

    Returns:
        The numbers of the episodes.
    """
    episodes = len(confusions)
    if which == 'worst':
        ious = np.ma.masked_invalid([way_ious(confusion[0]) for confusion in confusions])
        return np.argsort(ious.mean(1).filled(np.inf), kind='stable')[:number].tolist()
    if which == 'random':
        return sorted(np.random.default_rng(seed).permutation(episodes)[:number].tolist())
    if which == 'first':
        return list(range(min(number, episodes)))
    return [int(index) for index in which.split(',')]


def way_ious(confusion: np.ndarray) -> np.ndarray:
    """IoU of each way in one query.

    Args:
        confusion: [L, L] int, pixels by true label (rows) and predicted label (columns).

    Returns:
        [N] float in [0, 1]; NaN for a way that neither truth nor prediction contains.
    """
    both = np.diagonal(confusion)
    return iou(np.stack([both, confusion.sum(0) - both, confusion.sum(1) - both]))[1:]


def episode_panels(row: Row, kind: str) -> list[tuple[str, np.ndarray]]:
    """The panels of one episode: supports, and first query with truth, prediction and heat map.

    Args:
        row: the episode.
        kind: annotation of its supports.

    Returns:
        A list of (title, [H, W, 3] uint8).
    """
    episode = row.episode
    ways, shots = episode.support_images.shape[:2]
    drawn_shots = shots if ways * shots <= MOST_SUPPORTS else 1
    panels = []
    for way in range(ways):
        for shot in range(drawn_shots):
            image = episode.support_images[way, shot]
            masks = episode.support_foreground[way, shot], episode.support_background[way, shot]
            suffix = f', 1 of {shots}' if drawn_shots < shots else ''
            suffix += ' (white: background)' if kind == 'scribble' else ''
            title = (
                f'{row.names[way]}{suffix}' if masks[0].any() else f'{row.names[way]}: no pixel at {image.shape[0]} px'
            )
            panels.append((title, annotated(image, *masks, way + 1, kind)))
    query = episode.query_images[0]
    panels.append((f'query, {row.caption}', query))
    panels.append(('truth (white: void)', overlay(query, episode.query_labels[0])))
    panels.append((_prediction_title(row), overlay(query, row.probabilities.argmax(-1))))
    panels.append(('P(foreground): dark 0, bright 1', heat_map(query, row.probabilities)))
    return panels


def _prediction_title(row):
    """A title with the IoU of each class, with names if there are several."""
    scores = ['neither there nor found' if np.isnan(iou) else f'{100 * iou:.0f} %' for iou in way_ious(row.confusion)]
    if len(scores) > 1:
        scores = [f'{name} {score}' for name, score in zip(row.names, scores, strict=True)]
    return textwrap.fill(f'prediction, IoU: {", ".join(scores)}', TITLE_WIDTH, break_long_words=False)


def save_sheet(path: str | os.PathLike, rows: list[Row], kind: str) -> None:
    """Draws episodes one below the other into a PNG, which appears complete or not at all.

    Args:
        path: PNG file to write.
        rows: the episodes.
        kind: annotation of their supports.
    """
    save_panels(path, [episode_panels(row, kind) for row in rows])


def save_panels(path: str | os.PathLike, rows: list[list[tuple[str, np.ndarray]]]) -> None:
    """Draws pictures with their titles, row by row, into a PNG, which appears complete or not at all.

    Args:
        path: PNG file to write.
        rows: lists of (title, [H, W, 3] uint8), all of one length.
    """
    figure = Figure(figsize=(2.2 * len(rows[0]), 2.45 * len(rows)), layout='constrained')
    axes = figure.subplots(len(rows), len(rows[0]), squeeze=False)
    for row, panels in zip(axes, rows, strict=True):
        for axis, (title, image) in zip(row, panels, strict=True):
            axis.imshow(image)
            axis.set_title(title, fontsize=8)
            axis.set_axis_off()
    with replacing(path) as temporary:
        figure.savefig(temporary, format='png', dpi=100)
