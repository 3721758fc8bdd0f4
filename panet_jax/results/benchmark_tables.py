"""The tables of a benchmark: a summary with the paper's values below each row, and IoU by class of each fold."""

import dataclasses
from collections.abc import Iterable

from panet_jax.results.fold_means import TableRow, table_rows
from panet_jax.results.names import head_clause
from panet_jax.results.paper import MEANING, Published
from panet_jax.results.rows import Table, classes_scored, percent, remarks, spread, spread_meaning


@dataclasses.dataclass(frozen=True)
class Cells:
    """The cells of a table, and what is known of each.

    Attributes:
        folds: numbers of the folds that are asked for.
        wanted: all Cells that are asked for, in order.
        done: {Cell: results}, not empty.
        missing: {Cell: why it cannot be evaluated}.
    """

    folds: Iterable[int]
    wanted: list
    done: dict
    missing: dict

    def rows(self) -> list[TableRow]:
        """The rows of the table."""
        return table_rows(self.wanted, self.done)


def summary_table(cells: Cells) -> Table:
    """mean-IoU by fold and its mean, with the paper's values below."""
    lines = [line for row in cells.rows() for line in _lines(row, cells)]
    columns = ['network, supports, shots', *(f'fold {fold}' for fold in cells.folds), 'mean', 'binary-IoU']
    return Table(_heading(next(iter(cells.done.values()))), columns, lines, _notes(cells))


def _lines(row, cells):
    """The lines of one row: its scores, and the paper's with the differences to them if they compare."""
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
    known, _ = row.paper_or_reason
    return [[row.name, *scores, *means], *(paper_lines(known, row, cells.folds) if known else [])]


def paper_lines(known: Published, row: TableRow, folds: Iterable[int]) -> list[list[str]]:
    """The paper's values for a row of a table, and the differences to them."""
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
    """What stands below the summary: what is unfinished or missing, and what a reader should know."""
    rows = [row for row in cells.rows() if row.folds]
    left = len(cells.wanted) - len(cells.done) - len(cells.missing)
    steps = [
        (f'step {results["checkpoint_step"]}', row.name)
        for row in rows
        for results in row.folds.values()
        if results['checkpoint_step']
    ]
    no_mean = [(f'no mean, because {why}', row.name) for row in rows if (why := row.mean_or_reason[1])]
    return [
        *([f'unfinished: {left} of {len(cells.wanted)} cells are yet to come; the same command goes on'] * bool(left)),
        *_notes_on_paper(rows),
        *grouped((remark, cell) for cell, results in cells.done.items() for remark in remarks(results)),
        *grouped(dict.fromkeys(steps)),
        *grouped(no_mean),
        *grouped((f'missing, because {why}', cell) for cell, why in cells.missing.items()),
        *_meanings_of_marks(rows),
    ]


def _notes_on_paper(rows):
    """Why the paper's values do not stand below rows; without their names if it is the same for all."""
    reasons = [(why, row.name) for row in rows if (why := row.paper_or_reason[1])]
    return [reasons[0][0]] if len({why for why, _ in reasons}) == 1 else grouped(reasons)


def _meanings_of_marks(rows):
    """What the marks behind the paper's values mean, of those that the table has."""
    papers = [known for row in rows if (known := row.paper_or_reason[0])]
    marks = {known.mean_source for known in papers} | {known.folds_source for known in papers if known.folds}
    return [f'{mark} {meaning}' for mark, meaning in MEANING.items() if mark in marks]


def grouped(remarks_on: Iterable) -> list[str]:
    """Sentences that name the cells they are on, each sentence once.

    Args:
        remarks_on: pairs of a sentence and a Cell or the name of a row.
    """
    places = {}
    for sentence, place in remarks_on:
        row, fold = (place, None) if isinstance(place, str) else (place.row, place.fold)
        places.setdefault(sentence, {}).setdefault(row, []).append(fold)
    return [f'{"; ".join(map(_place, rows, rows.values()))}: {sentence}' for sentence, rows in places.items()]


def _place(row, folds):
    """Such as 'untrained, box, 1-shot, folds 0, 2'."""
    folds = [str(fold) for fold in dict.fromkeys(folds) if fold is not None]
    return row + f', fold{"s" * (len(folds) > 1)} {", ".join(folds)}' * bool(folds)


def fold_table(fold: int, done: dict) -> Table:
    """IoU by class on one fold; classes that a cell has left out have a dash."""
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
    """The mean-IoU of one row of results in percent, and of how many classes it is."""
    return spread(row['mean_iou'], row['mean_iou_std'], row['runs']) + classes_scored([row])


def _heading(row):
    ways = f'{row["ways"]}-way, {row["queries"]} query image(s), {row["size"]} x {row["size"]}'
    draw = " as the authors' code draws them" if row['authors_order'] else ''
    return (
        f'{row["dataset"]} {row["split"]}, folds {row["fold_rule"]}, {ways}\n{row["runs"]} run(s) x {row["episodes"]} '
        f'episodes{draw}, protocol {row["protocol"]}{head_clause(row)}; mean-IoU in %{spread_meaning(row)}'
    )


def _why_empty(name, fold, cells):
    """Why a cell has no score, in a word."""
    cell = next(cell for cell in cells.wanted if (cell.row, cell.fold) == (name, fold))
    return 'missing' if cell in cells.missing else 'not yet'


def _difference(ours, theirs):
    return '-' if ours is None or theirs is None else f'{100 * ours - theirs:+.1f}'
