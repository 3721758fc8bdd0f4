"""The files of a benchmark's table: Markdown for people, CSV and JSON for programs."""

import csv
import io

from panet_jax.disk.paths import AnyPath
from panet_jax.disk.workdir import write_json, write_text
from panet_jax.results.benchmark_tables import Cells, fold_table, summary_table
from panet_jax.results.fold_means import paper_of_fold
from panet_jax.results.tables import Table


def write_table(cells: Cells, workdir: AnyPath) -> list[Table]:
    """Writes table.md, table.csv and table.json.

    Args:
        cells: the cells of the table.
        workdir: workdir of the table.

    Returns:
        The summary, and a Table for each fold with results.
    """
    folds = [fold for fold in cells.folds if any(cell.fold == fold for cell in cells.done)]
    tables = [summary_table(cells), *(fold_table(fold, cells.done) for fold in folds)]
    write_text(workdir / 'table.md', '\n\n'.join(map(markdown, tables)) + '\n')
    write_text(workdir / 'table.csv', long_csv(cells))
    write_json(
        workdir / 'table.json',
        {
            'means_over_folds': {row.name: row.mean_beside_paper() for row in cells.rows()},
            'cells': [{'network': cell.network, **row, **paper_of_fold(row)} for cell, row in cells.done.items()],
            'missing': [{'cell': str(cell), 'why': reason} for cell, reason in cells.missing.items()],
        },
    )
    return tables


def markdown(table: Table) -> str:
    """Formats a table in GitHub's Markdown.

    Args:
        table: the table.

    Returns:
        The text.
    """
    lines = [table.columns, ['---'] + ['---:'] * (len(table.columns) - 1), *table.rows]
    text = '\n'.join('| ' + ' | '.join(cell.strip().replace('|', r'\|') for cell in line) + ' |' for line in lines)
    notes = '\n'.join(f'- {note.replace("*", chr(92) + "*")}' for note in table.notes)
    return '\n\n'.join(part for part in (table.heading, text, notes) if part)


OF_DATA = (
    'dataset',
    'split',
    'fold_rule',
    'ways',
    'queries',
    'size',
    'runs',
    'episodes',
    'draw',
    'protocol',
    'head',
    'debias',
)
OF_CELL = ('episodes_hash', 'checkpoint', 'checkpoint_step', 'network_hash')
COLUMNS = (
    *('network', 'annotation', 'shots', 'fold', 'quantity', 'iou', 'std', 'paper', 'paper_source', 'difference'),
    *('classes', 'missing'),
    *(*OF_DATA, 'seeds', *OF_CELL),
)


def long_csv(cells: Cells) -> str:
    """Formats a table as CSV: a line for each cell and quantity, and for each mean over folds.

    The quantities are mean_iou, binary_iou and the names of the classes.

    Args:
        cells: the cells of the table.

    Returns:
        The text, with IoU as fractions.
    """
    any_row = next(iter(cells.done.values()))
    shared = {name: any_row[name] for name in OF_DATA} | {'seeds': ' '.join(map(str, any_row['seeds']))}
    lines = [line for cell in cells.wanted for line in _lines_of_cell(cell, cells)]
    lines += [line for row in cells.rows() for line in _lines_of_mean(row, cells)]
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator='\n')
    writer.writeheader()
    writer.writerows(shared | line for line in lines)
    return file.getvalue()


def _place(cell):
    return {'network': cell.network, 'annotation': cell.annotation, 'shots': cell.shots, 'fold': cell.fold}


def _lines_of_cell(cell, cells):
    """The lines of one cell: one for each quantity, or one with the reason why it is missing."""
    if cell not in cells.done:
        return [_place(cell) | {'quantity': 'mean_iou', 'missing': cells.missing.get(cell, 'not yet')}]
    row = cells.done[cell]
    of_cell = _place(cell) | {name: row[name] for name in OF_CELL}
    scored = {'classes': sum(value is not None for value in row['class_iou'].values())}  # classes in the means
    quantities = [
        _quantity('mean_iou', row['mean_iou'], row['mean_iou_std'], **paper_of_fold(row)) | scored,
        _quantity('binary_iou', row['binary_iou'], row['binary_iou_std']) | scored,
        *(_quantity(name, iou, row['class_iou_std'][name]) for name, iou in row['class_iou'].items()),
    ]
    return [of_cell | quantity for quantity in quantities]


def _lines_of_mean(row, cells):
    """The means over folds of one row of the table."""
    mean = row.mean_beside_paper()
    cell = next(cell for cell in cells.wanted if cell.row == row.name)
    of_mean = _place(cell) | {'fold': 'mean', 'missing': mean.get('why', '')}
    paper = {name: mean[name] for name in ('paper', 'paper_source')}
    return [
        of_mean | _quantity('mean_iou', mean['mean_iou'], mean.get('mean_iou_std'), **paper),
        of_mean | _quantity('binary_iou', mean.get('binary_iou'), mean.get('binary_iou_std')),
    ]


def _quantity(name, iou, std, paper=None, paper_source=None):
    difference = None if iou is None or paper is None else iou - paper
    of_paper = {'paper': paper, 'paper_source': paper_source, 'difference': difference}
    return {'quantity': name, 'iou': iou, 'std': std, **of_paper}
