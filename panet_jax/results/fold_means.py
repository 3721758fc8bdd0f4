"""The rows of a benchmark's table: results by fold, their mean, and the paper's value."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from panet_jax.datasets.folds import FOLDS
from panet_jax.results.paper import SOURCES, Published, published
from panet_jax.results.result import SCORES

# Fields in which the four folds of a mean may differ, besides their scores.
OF_FOLD = ('fold', 'episodes_hash', 'left_out_classes', 'checkpoint', 'network_hash', 'training')
OF_TRAINING = ('data.fold', 'seed')


@dataclasses.dataclass(frozen=True)
class TableRow:
    """The results of one network, annotation of supports, and number of shots.

    Attributes:
        name: name of the row.
        folds: {fold: results as in results.json} of the finished folds.
    """

    name: str
    folds: dict[int, dict]

    @functools.cached_property
    def mean_or_reason(self) -> tuple[dict | None, str]:
        """The mean and '', or None and the reason, as from `mean_over_folds`."""
        return mean_over_folds(list(self.folds.values())) if self.folds else (None, 'no fold has results')

    @functools.cached_property
    def paper_or_reason(self) -> tuple[Published | None, str]:
        """The paper's values and '', if all folds compare with them; else None and the reason."""
        published_rows = [published(row) for row in self.folds.values()]
        reasons = [reason for values, reason in published_rows if values is None]
        if reasons or not published_rows:
            return None, reasons[0] if reasons else ''
        return published_rows[0]

    def mean_beside_paper(self) -> dict:
        """The mean over folds, the paper's mean and the difference, as fractions; 'why' if there is no mean."""
        mean, reason = self.mean_or_reason
        values, _ = self.paper_or_reason
        paper = values and round(values.mean / 100, 3)
        return {
            **(mean or {'mean_iou': None, 'why': reason}),
            'paper': paper,
            'paper_source': values and SOURCES[values.mean_source],
            'difference': mean['mean_iou'] - paper if mean and values else None,
        }


def table_rows(cells: Iterable[Any], done: Mapping[Any, dict[str, Any]]) -> list[TableRow]:
    """The rows of a table; a row may have no results yet.

    Args:
        cells: all requested Cells.
        done: {Cell: results}.

    Returns:
        The rows, in the order of `cells`.
    """
    rows = {cell.row: {} for cell in cells}
    for cell in cells:
        if cell in done:
            rows[cell.row][cell.fold] = done[cell]
    return [TableRow(name, folds) for name, folds in rows.items()]


def mean_over_folds(rows: list[dict]) -> tuple[dict | None, str]:
    """Mean and standard deviation over runs of the mean over all four folds, of mean-IoU and binary-IoU.

    Args:
        rows: results, one a fold.

    Returns:
        {'mean_iou', 'mean_iou_std', 'binary_iou', 'binary_iou_std'} as fractions, and ''; or None and the reason: a fold
        is missing, has no score, or was evaluated or trained unlike the others.
    """
    missing = sorted(set(range(FOLDS)) - {row['fold'] for row in rows})
    if missing:
        return None, f'it needs all four folds, but {", ".join(map(str, missing))} is missing'
    if difference := _difference(rows):
        return None, difference
    if any(None in (row['mean_iou'], row['binary_iou']) for row in rows):
        return None, 'a fold has no score'
    mean = {}
    for name in ('mean_iou', 'binary_iou'):
        by_run = np.mean([row[f'{name}_by_run'] for row in rows], axis=0)
        mean |= {name: float(by_run.mean()), f'{name}_std': float(by_run.std())}
    return mean, ''


def _difference(rows):
    """The first field in which the folds differ although they must agree, with its values; '' if they agree."""
    settings = {str(row['fold']): _settings(row) for row in rows}
    for name in dict.fromkeys(name for of_fold in settings.values() for name in of_fold):
        values = {fold: of_fold.get(name) for fold, of_fold in settings.items()}
        if any(value != values[str(rows[0]['fold'])] for value in values.values()):
            return f'the folds differ in {name}: {values}'
    return ''


def _settings(row):
    """The fields in which the folds of a mean must agree: those of the evaluation and of the network's training."""
    training = row.get('training', {})
    of_training = {f"training's {name}": value for name, value in training.items() if name not in OF_TRAINING}
    return {name: value for name, value in row.items() if name not in (*OF_FOLD, *SCORES)} | of_training


def paper_of_fold(row: dict) -> dict:
    """The paper's mean-IoU of one fold.

    Args:
        row: results of the fold.

    Returns:
        {'paper': fraction, 'paper_source': its source}; None for both if the paper has no such value.
    """
    values, _ = published(row)
    if not values or not values.folds:
        return {'paper': None, 'paper_source': None}
    return {'paper': round(values.folds[row['fold']] / 100, 3), 'paper_source': SOURCES[values.folds_source]}
