"""The whole table of a benchmark in one command: folds x shots x annotations, each cell an evaluation."""

import csv
import io
import itertools
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from panet_jax.errors import InputError
from panet_jax.evaluate import (
    evaluation_draws,
    evaluation_identity,
    evaluation_runs,
    load_params,
    measure,
    save_pictures,
)
from panet_jax.html_report import save_report
from panet_jax.paper import MEANING, published
from panet_jax.report import Table, percent, remarks, spread
from panet_jax.sampling import FOLDS
from panet_jax.workdir import default_workdir, locked, write_json, write_text

# What must be the same in all folds that are averaged.
SAME = (
    *('dataset', 'split', 'fold_rule', 'fold_seed', 'smallest_object', 'ways', 'shots', 'queries', 'annotation'),
    *('annotation_seed', 'size', 'runs', 'episodes', 'seeds', 'draw', 'protocol', 'weights', 'width', 'dtype'),
)


class Cell(NamedTuple):
    """One cell: a network on one fold."""

    trained: bool
    annotation: str
    shots: int
    fold: int

    @property
    def network(self):
        """What to call the network."""
        return 'trained' if self.trained else 'untrained'

    @property
    def row(self):
        """What its row in a table is called: all but the fold."""
        return f'{self.network}, {self.annotation}, {self.shots}-shot'

    def __str__(self):
        return f'{self.row}, fold {self.fold}'

    @property
    def file(self):
        """Of its results and pictures, without ending."""
        return f'{self.network}-{self.annotation}-{self.shots}shot-fold{self.fold}'


def make_table(config, workdir):
    """Evaluates all cells that are not there yet, and writes table.md, .csv, .json and report.html.

    A cell that cannot be evaluated is missing, with the reason; the others are kept as they are finished.

    Args:
        config: the experiment; its fold, shots and annotation are those of each cell in turn.
        workdir: of the table.

    Returns:
        The summary, a report.Table.

    Raises:
        InputError: no cell at all can be evaluated.
    """
    if config.data.unseen:
        raise InputError('a table runs over the folds; leave out --config.data.unseen=, or evaluate without a table.')
    workdir = Path(workdir)
    with locked(workdir):
        cells, done, missing = table_cells(config), {}, {}
        for number, cell in enumerate(cells, 1):
            print(f'{number}/{len(cells)} {cell}: ', end='', flush=True)
            try:
                done[cell], kept = finish_cell(config, cell, workdir)
                text = spread(done[cell]['mean_iou'], done[cell]['mean_iou_std'], done[cell]['runs'])
                print(f'mean-IoU {text}{" (kept)" if kept else ""}', flush=True)
            except InputError as error:
                missing[cell] = str(error)
                print(f'missing, because {error}', flush=True)
        if not done:
            raise InputError(next(iter(missing.values())))
        return write_table(config, workdir, done, missing)


def table_cells(config):
    """The cells of config.table, in order."""
    trained = [False] * (config.checkpoint == '' or config.evaluation.untrained) + [True] * (config.checkpoint != '')
    table = config.table
    return [Cell(*values) for values in itertools.product(trained, table.annotations, table.shots, table.folds)]


def cell_config(config, cell):
    """The experiment of one cell; {fold}, {shots} and {ways} in config.checkpoint are filled in."""
    of_cell = config.copy_and_resolve_references()
    of_cell.data.fold, of_cell.episode.shots, of_cell.evaluation.annotation = cell.fold, cell.shots, cell.annotation
    try:
        wanted = str(config.checkpoint).format(fold=cell.fold, shots=cell.shots, ways=config.episode.ways)
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(
            f'checkpoint may hold {{fold}}, {{shots}} and {{ways}}, got {config.checkpoint!r} ({error}).'
        ) from error
    of_cell.checkpoint = wanted if cell.trained else ''
    return of_cell


def finish_cell(config, cell, workdir):
    """The results of one cell, and whether they were there already."""
    config = cell_config(config, cell)
    runs = evaluation_runs(config)
    draws = evaluation_draws(config, runs)
    network = load_params(config, default_workdir(config) if cell.trained else workdir)
    path = workdir / 'cells' / f'{cell.file}.json'
    identity = json.loads(json.dumps(evaluation_identity(config, runs, draws, *network)))
    before = _read(path)
    if {name: before.get(name) for name in identity} == identity:
        return before, True
    results, confusions = measure(config, runs, draws, *network)
    if config.evaluation.pictures:
        picture = workdir / 'pictures' / f'{cell.file}.png'
        save_pictures(config, picture, network[0], runs[0], draws[0], confusions)
    write_json(path, results)
    return results, False


def _read(path):
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):  # what is damaged is made again
        return {}


def mean_over_folds(rows):
    """Mean and standard deviation over runs of the mean over all four folds, of mean-IoU and binary-IoU.

    Args:
        rows: results, one a fold.

    Returns:
        {'mean_iou', 'mean_iou_std', 'binary_iou', 'binary_iou_std'}; None if a fold is missing, or has no score.

    Raises:
        ValueError: the rows were not made the same way, so that their mean means nothing.
    """
    for name in SAME:
        if len({json.dumps(row[name]) for row in rows}) > 1:
            raise ValueError(f'rows of different {name} have no mean: {[row[name] for row in rows]}')
    if sorted(row['fold'] for row in rows) != list(range(FOLDS)) or any(row['mean_iou'] is None for row in rows):
        return None
    found = {}
    for name in ('mean_iou', 'binary_iou'):
        by_run = np.mean([row[f'{name}_by_run'] for row in rows], axis=0)
        found |= {name: float(by_run.mean()), f'{name}_std': float(by_run.std())}
    return found


def write_table(config, workdir, done, missing):
    """Writes table.md, table.csv, table.json and report.html; returns the summary."""
    summary = summary_table(config, done, missing)
    tables = [summary, *(fold_table(fold, done) for fold in config.table.folds if any(c.fold == fold for c in done))]
    write_text(workdir / 'table.md', '\n\n'.join(map(markdown, tables)) + '\n')
    write_text(workdir / 'table.csv', long_csv(done, missing))
    by_row = _by_row(table_cells(config), done)
    means = {name: mean_over_folds(list(rows.values())) if rows else None for name, rows in by_row.items()}
    write_json(
        workdir / 'table.json',
        {
            'means_over_folds': means,
            'cells': [{'network': cell.network, **row} for cell, row in done.items()],
            'missing': [{'cell': str(cell), 'why': why} for cell, why in missing.items()],
        },
    )
    sheets = [(str(c), path) for c in done if (path := workdir / 'pictures' / f'{c.file}.png').exists()]
    save_report(workdir / 'report.html', f'panet_jax: {config.name}', tables, sheets, config)
    return summary


def summary_table(config, done, missing):
    """mean-IoU by fold and its mean, with the paper's values below: a report.Table."""
    folds = list(config.table.folds)
    rows, marks, apart = [], set(), []
    for name, of_fold in _by_row(table_cells(config), done).items():
        if not of_fold:
            rows.append([name, *['missing'] * len(folds), '-', '-'])
            continue
        first, mean = next(iter(of_fold.values())), mean_over_folds(list(of_fold.values()))
        means = [
            spread(mean[of], mean[f'{of}_std'], first['runs']) if mean else '-' for of in ('mean_iou', 'binary_iou')
        ]
        rows.append([name, *(_score(of_fold.get(fold)) for fold in folds), *means])
        known, why = published(first)
        apart += [why] * bool(why)
        if known:
            marks |= {known.mean_source, *([known.folds_source] if known.folds else [])}
            rows.extend(_paper_rows(known, folds, of_fold, mean))
    lacking = [str(fold) for fold in range(FOLDS) if fold not in folds]
    notes = [
        *dict.fromkeys(apart),
        *_grouped((remark, cell) for cell, row in done.items() for remark in remarks(row)),
        *([f'no mean: fold(s) {", ".join(lacking)} were not asked for'] if lacking else []),
        *_grouped((f'missing, because {why}', cell) for cell, why in missing.items()),
        *(f'{mark} {meaning}' for mark, meaning in MEANING.items() if mark in marks),
    ]
    columns = ['network, supports, shots', *(f'fold {fold}' for fold in folds), 'mean', 'binary-IoU']
    return Table(_heading(next(iter(done.values()))), columns, rows, notes)


def _paper_rows(known, folds, of_fold, mean):
    """The paper's values, and the differences to them."""
    values = {fold: known.folds[fold] for fold in folds} if known.folds else {}
    paper = [f'{values[fold]:.1f}{known.folds_source}' if values else '-' for fold in folds]
    ours = {fold: row['mean_iou'] for fold, row in of_fold.items()}
    differences = [_difference(ours.get(fold), values.get(fold)) for fold in folds]
    total = _difference(mean and mean['mean_iou'], known.mean)
    return [
        ['the paper', *paper, f'{known.mean:.1f}{known.mean_source}', '-'],
        ['difference to it', *differences, total, '-'],
    ]


def fold_table(fold, done):
    """IoU by class on one fold: a report.Table."""
    cells = [(cell, row) for cell, row in done.items() if cell.fold == fold]
    names = list(cells[0][1]['class_iou'])
    lines = [
        [
            cell.row,
            *(percent(row['class_iou'][name]) for name in names),
            _score(row),
            spread(row['binary_iou'], row['binary_iou_std'], row['runs']),
        ]
        for cell, row in cells
    ]
    hashes = ', '.join(dict.fromkeys(f'{row["shots"]}-shot {row["episodes_hash"]}' for _, row in cells))
    columns = ['network, supports, shots', *names, 'mean-IoU', 'binary-IoU']
    return Table(f'Fold {fold}, IoU by class in %; episodes {hashes}', columns, lines, [])


def markdown(table):
    """A Table as GitHub's Markdown."""
    lines = [table.columns, ['---'] + ['---:'] * (len(table.columns) - 1), *table.rows]
    text = '\n'.join('| ' + ' | '.join(cell.strip().replace('|', r'\|') for cell in line) + ' |' for line in lines)
    notes = '\n'.join(f'- {note.replace("*", chr(92) + "*")}' for note in table.notes)
    return '\n\n'.join(part for part in (table.heading, text, notes) if part)


def long_csv(done, missing):
    """One line for each cell and quantity (mean-IoU, binary-IoU, each class), IoU as fractions."""
    fields = ('dataset', 'split', 'fold_rule', 'ways', 'queries', 'size', 'runs', 'episodes', 'draw', 'protocol')
    fields += ('episodes_hash', 'checkpoint', 'checkpoint_step', 'network_hash')
    file = io.StringIO()
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(
        (
            'network',
            'annotation',
            'shots',
            'fold',
            'quantity',
            'iou',
            'std',
            'paper',
            'difference',
            'missing',
            'seeds',
            *fields,
        )
    )
    for cell, row in done.items():
        known, _ = published(row)
        paper = known.folds[cell.fold] / 100 if known and known.folds else None
        about = (' '.join(map(str, row['seeds'])), *(row[name] for name in fields))
        quantities = {'mean_iou': (row['mean_iou'], row['mean_iou_std'], paper)}
        quantities |= {'binary_iou': (row['binary_iou'], row['binary_iou_std'], None)}
        quantities |= {c: (value, row['class_iou_std'][c], None) for c, value in row['class_iou'].items()}
        for name, (value, std, theirs) in quantities.items():
            difference = None if theirs is None or value is None else value - theirs
            place = (cell.network, cell.annotation, cell.shots, cell.fold)
            writer.writerow((*place, name, value, std, theirs, difference, '', *about))
    for cell, why in missing.items():
        writer.writerow((cell.network, cell.annotation, cell.shots, cell.fold, 'mean_iou', '', '', '', '', why))
    return file.getvalue()


def _by_row(cells, done):
    """{name of a table's row: {fold: results}} of the cells that are done, in the order of `cells`."""
    rows = {cell.row: {} for cell in cells}
    for cell in cells:
        if cell in done:
            rows[cell.row][cell.fold] = done[cell]
    return rows


def _grouped(remarks):
    """Sentences that name the cells they are on, each sentence once; from (sentence, cell) pairs."""
    cells = {}
    for sentence, cell in remarks:
        cells.setdefault(sentence, []).append(str(cell))
    return [f'{"; ".join(names)}: {sentence}' for sentence, names in cells.items()]


def _heading(row):
    ways = f'{row["ways"]}-way, {row["queries"]} query image(s), {row["size"]} x {row["size"]}'
    draw = '' if row['draw'] == 'seeded' else " as the authors' code draws them"
    return (
        f'{row["dataset"]} {row["split"]}, folds {row["fold_rule"]}, {ways}\n{row["runs"]} run(s) x {row["episodes"]} '
        f'episodes{draw}, protocol {row["protocol"]}; mean-IoU in %, +- std over runs'
    )


def _score(row):
    return spread(row['mean_iou'], row['mean_iou_std'], row['runs']) if row else 'missing'


def _difference(ours, theirs):
    return '-' if ours is None or theirs is None else f'{100 * ours - theirs:+.1f}'
