"""The tables of a benchmark: a summary with the paper's values below each row, and IoU by class of each fold."""

import dataclasses
from collections.abc import Iterable
from typing import Any, Protocol

from panet_jax.results.fold_means import TableRow, table_rows
from panet_jax.results.names import head_clause
from panet_jax.results.paper import MEANING, Published
from panet_jax.results.tables import Table, classes_scored, percent, remarks, spread, spread_meaning


class Cell(Protocol):
    """One evaluation of a table, as from `evaluation.table`.

    Attributes:
        network: name of the network.
        annotation: annotation of the supports.
        shots: K.
        fold: number of the fold.
        row: name of its row in the table.
    """

    network: str
    annotation: str
    shots: int
    fold: int
    row: str


@dataclasses.dataclass(frozen=True)
class Cells:
    """The cells of a table, and the state of each.

    Attributes:
        folds: numbers of the requested folds.
        wanted: all requested Cells, in order.
        done: {Cell: results}, not empty.
        missing: {Cell: reason why it cannot be evaluated}.
    """

    folds: Iterable[int]
    wanted: list[Cell]
    done: dict[Cell, dict[str, Any]]
    missing: dict[Cell, str]

    def rows(self) -> list[TableRow]:
        """The rows of the table."""
        return table_rows(self.wanted, self.done)


def summary_table(cells: Cells) -> Table:
    """A table of mean-IoU by fold and its mean over the folds, with the paper's values below.

    Args:
        cells: the cells.

    Returns:
        The Table, in percent.
    """
    lines = [line for row in cells.rows() for line in _lines(row, cells)]
    columns = ['network, supports, shots', *(f'fold {fold}' for fold in cells.folds), 'mean', 'binary-IoU']
    return Table(_heading(next(iter(cells.done.values()))), columns, lines, _notes(cells))


def _lines(row, cells):
    """The lines of one row: its scores, then, if they compare, the paper's and the differences."""
    scores = [
        score(row.folds[fold]) if fold in row.folds else _why_empty(row.name, fold, cells) for fold in cells.folds
    ]
    if not row.folds:
        return [[row.name, *scores, '-', '-']]
    mean, _ = row.mean_or_reason
    means = ['-', '-']
    if mean:
        runs = next(iter(row.folds.values()))['runs']
        means = [spread(mean[name], mean[f'{name}_std'], runs) for name in ('mean_iou', 'binary_iou')]
        means[0] += classes_scored(row.folds.values())
    paper, _ = row.paper_or_reason
    return [[row.name, *scores, *means], *(paper_lines(paper, row, cells.folds) if paper else [])]


def paper_lines(known: Published, row: TableRow, folds: Iterable[int]) -> list[list[str]]:
    """The lines below a row of a table: the paper's values, and the differences to them.

    Args:
        known: the paper's values.
        row: the row.
        folds: numbers of the folds.

    Returns:
        Two lists of cells, in percent.
    """
    values = {fold: known.folds[fold] for fold in folds} if known.folds else {}
    paper = [f'{values[fold]:.1f}{known.folds_source}' if values else '-' for fold in folds]
    ours = {fold: results['mean_iou'] for fold, results in row.folds.items()}
    differences = [_difference(ours.get(fold), values.get(fold)) for fold in folds]
    mean, _ = row.mean_or_reason
    return [
        ['the paper', *paper, f'{known.mean:.1f}{known.mean_source}', '-'],
        ['difference to it', *differences, _difference(mean and mean['mean_iou'], known.mean), '-'],
    ]


def _notes(cells):
    """The notes below the summary: unfinished and missing cells, and remarks on the results."""
    rows = [row for row in cells.rows() if row.folds]
    unfinished = len(cells.wanted) - len(cells.done) - len(cells.missing)
    steps = [
        (f'step {results["checkpoint_step"]}', row.name)
        for row in rows
        for results in row.folds.values()
        if results['checkpoint_step']
    ]
    no_mean = [(f'no mean, because {reason}', row.name) for row in rows if (reason := row.mean_or_reason[1])]
    return [
        *(
            [f'unfinished: {unfinished} of {len(cells.wanted)} cells are not evaluated yet; the same command resumes']
            * bool(unfinished)
        ),
        *_notes_on_paper(rows),
        *grouped((remark, cell) for cell, results in cells.done.items() for remark in remarks(results)),
        *grouped(dict.fromkeys(steps)),
        *grouped(no_mean),
        *grouped((f'missing, because {reason}', cell) for cell, reason in cells.missing.items()),
        *_meanings_of_marks(rows),
    ]


def _notes_on_paper(rows):
    """The reasons why rows have no values of the paper; without names of rows if all have the same reason."""
    reasons = [(reason, row.name) for row in rows if (reason := row.paper_or_reason[1])]
    return [reasons[0][0]] if len({reason for reason, _ in reasons}) == 1 else grouped(reasons)


def _meanings_of_marks(rows):
    """The meanings of the marks that stand after the paper's values in the table."""
    papers = [paper for row in rows if (paper := row.paper_or_reason[0])]
    marks = {paper.mean_source for paper in papers} | {paper.folds_source for paper in papers if paper.folds}
    return [f'{mark} {meaning}' for mark, meaning in MEANING.items() if mark in marks]


def grouped(remarks_on: Iterable[tuple[str, Cell | str]]) -> list[str]:
    """Groups equal sentences on cells, and puts the names of the cells before each.

    Args:
        remarks_on: pairs of a sentence and a Cell or the name of a row.

    Returns:
        The sentences.
    """
    places = {}
    for sentence, place in remarks_on:
        row, fold = (place, None) if isinstance(place, str) else (place.row, place.fold)
        places.setdefault(sentence, {}).setdefault(row, []).append(fold)
    return [f'{"; ".join(map(_place, rows, rows.values()))}: {sentence}' for sentence, rows in places.items()]


def _place(row, folds):
    """A row with its folds, such as 'untrained, box, 1-shot, folds 0, 2'."""
    folds = [str(fold) for fold in dict.fromkeys(folds) if fold is not None]
    return row + f', fold{"s" * (len(folds) > 1)} {", ".join(folds)}' * bool(folds)


def fold_table(fold: int, done: dict[Cell, dict[str, Any]]) -> Table:
    """A table of IoU by class on one fold; classes that a cell left out have a dash.

    Args:
        fold: number of the fold.
        done: {Cell: results}.

    Returns:
        The Table, in percent.
    """
    cells = [(cell, row) for cell, row in done.items() if cell.fold == fold]
    names = list(dict.fromkeys(name for _, row in cells for name in row['class_iou']))
    lines = [
        [
            cell.row,
            score(row),
            spread(row['binary_iou'], row['binary_iou_std'], row['runs']),
            *(percent(row['class_iou'].get(name)) for name in names),
        ]
        for cell, row in cells
    ]
    hashes = ', '.join(dict.fromkeys(f'{row["shots"]}-shot {row["episodes_hash"]}' for _, row in cells))
    columns = ['network, supports, shots', 'mean-IoU', 'binary-IoU', *names]
    return Table(f'Fold {fold}, IoU by class in %; episodes {hashes}', columns, lines, [])


def score(row: dict) -> str:
    """Formats the mean-IoU of one row of results.

    Args:
        row: the row.

    Returns:
        The score in percent, and the number of classes unless all have a score.
    """
    return spread(row['mean_iou'], row['mean_iou_std'], row['runs']) + classes_scored([row])


def _heading(row):
    ways = f'{row["ways"]}-way, {row["queries"]} query image(s), {row["size"]} x {row["size"]}'
    draw = " as the authors' code draws them" if row['authors_order'] else ''
    return (
        f'{row["dataset"]} {row["split"]}, folds {row["fold_rule"]}, {ways}\n{row["runs"]} run(s) x {row["episodes"]} '
        f'episodes{draw}, protocol {row["protocol"]}{head_clause(row)}; mean-IoU in %{spread_meaning(row)}'
    )


def _why_empty(name, fold, cells):
    """The text of a cell without a score."""
    cell = next(cell for cell in cells.wanted if (cell.row, cell.fold) == (name, fold))
    return 'missing' if cell in cells.missing else 'not yet'


def _difference(fraction, paper):
    """The difference of a fraction to a percentage of the paper, in points of percent."""
    return '-' if fraction is None or paper is None else f'{100 * fraction - paper:+.1f}'
