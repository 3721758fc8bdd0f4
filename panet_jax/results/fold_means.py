"""One row of a benchmark's table: the results of its folds, their mean, and the paper's value for it."""

import dataclasses
import functools

import numpy as np

from panet_jax.datasets.folds import FOLDS
from panet_jax.results.paper import SOURCES, Published, published
from panet_jax.results.result import SCORES

# In what the four folds of a mean may differ, besides their scores.
OF_FOLD = ('fold', 'episodes_hash', 'left_out_classes', 'checkpoint', 'network_hash', 'training')
OF_TRAINING = ('data.fold', 'seed')


@dataclasses.dataclass(frozen=True)
class TableRow:
    """The results of one network, kind of support and number of shots.

    Attributes:
        name: what the row is called.
        folds: {fold: results as in results.json} of the folds that are done.
    """

    name: str
    folds: dict[int, dict]

    @functools.cached_property
    def mean_or_reason(self) -> tuple[dict | None, str]:
        """As from `mean_over_folds`."""
        return mean_over_folds(list(self.folds.values())) if self.folds else (None, 'no fold is there')

    @functools.cached_property
    def paper_or_reason(self) -> tuple[Published | None, str]:
        """The paper's row, with which all folds must compare, and ''; or None and why there is none."""
        published_rows = [published(row) for row in self.folds.values()]
        refused = [why for known, why in published_rows if known is None]
        if refused or not published_rows:
            return None, refused[0] if refused else ''
        return published_rows[0]

    def mean_beside_paper(self) -> dict:
        """The mean over folds, the paper's and the difference, as fractions; 'why' if there is no mean."""
        mean, why = self.mean_or_reason
        known, _ = self.paper_or_reason
        paper = known and round(known.mean / 100, 3)
        return {
            **(mean or {'mean_iou': None, 'why': why}),
            'paper': paper,
            'paper_source': known and SOURCES[known.mean_source],
            'difference': mean['mean_iou'] - paper if mean and known else None,
        }


def table_rows(cells, done) -> list[TableRow]:
    """The rows of a table, in the order of `cells`; a row may have no results yet.

    Args:
        cells: all Cells that are asked for.
        done: {Cell: results}.
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
        {'mean_iou', 'mean_iou_std', 'binary_iou', 'binary_iou_std'} and ''; or None and the reason why there
        is no mean: a fold is missing, has no score, or was not made like the others.
    """
    lacking = sorted(set(range(FOLDS)) - {row['fold'] for row in rows})
    if lacking:
        return None, f'it would be of all four folds, and {", ".join(map(str, lacking))} is not there'
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
    """In what the folds of a mean differ although they must not; '' if in nothing."""
    settings = {str(row['fold']): _settings(row) for row in rows}
    for name in dict.fromkeys(name for of_fold in settings.values() for name in of_fold):
        values = {fold: of_fold.get(name) for fold, of_fold in settings.items()}
        if any(value != values[str(rows[0]['fold'])] for value in values.values()):
            return f'the folds differ in {name}: {values}'
    return ''


def _settings(row):
    """All in which the folds of a mean must agree: what was evaluated, and how the network was trained."""
    training = row.get('training', {})
    of_training = {f"training's {name}": value for name, value in training.items() if name not in OF_TRAINING}
    return {name: value for name, value in row.items() if name not in (*OF_FOLD, *SCORES)} | of_training


def paper_of_fold(row: dict) -> dict:
    """The paper's mean-IoU of one fold as a fraction, and its source: {'paper', 'paper_source'}, None if unknown."""
    known, _ = published(row)
    if not known or not known.folds:
        return {'paper': None, 'paper_source': None}
    return {'paper': round(known.folds[row['fold']] / 100, 3), 'paper_source': SOURCES[known.folds_source]}
