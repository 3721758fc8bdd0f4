"""A table on disk: Markdown, CSV and JSON of its cells, beside the paper's values."""

import csv
import io

import numpy as np

from panet_jax.datasets.folds import FOLDS
from panet_jax.disk.workdir import write_json, write_text
from panet_jax.results.charts import Bar, Panel, charts
from panet_jax.results.paper import MEANING, SOURCES, published
from panet_jax.results.result import SCORES
from panet_jax.results.rows import Table, classes_scored, percent, remarks, spread, spread_meaning

# In what the four folds of a mean may differ, besides their scores.
OF_FOLD = ('fold', 'episodes_hash', 'left_out_classes', 'checkpoint', 'network_hash', 'training')
OF_TRAINING = ('data.fold', 'seed')


def mean_over_folds(rows):
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
    made = {str(row['fold']): _made(row) for row in rows}
    for name in dict.fromkeys(name for settings in made.values() for name in settings):
        values = {fold: settings.get(name) for fold, settings in made.items()}
        if any(value != values[str(rows[0]['fold'])] for value in values.values()):
            return None, f'the folds differ in {name}: {values}'
    if any(None in (row['mean_iou'], row['binary_iou']) for row in rows):
        return None, 'a fold has no score'
    found = {}
    for name in ('mean_iou', 'binary_iou'):
        by_run = np.mean([row[f'{name}_by_run'] for row in rows], axis=0)
        found |= {name: float(by_run.mean()), f'{name}_std': float(by_run.std())}
    return found, ''


def _made(row):
    """What one fold was made with, and its network: all in which the folds of a mean must agree."""
    training = {
        f"training's {name}": value for name, value in row.get('training', {}).items() if name not in OF_TRAINING
    }
    return {name: value for name, value in row.items() if name not in (*OF_FOLD, *SCORES)} | training


def write_table(folds, cells, workdir, done, missing):
    """Writes table.md, table.csv and table.json.

    Args:
        folds: numbers of the folds that are asked for.
        cells: all Cells that are asked for, in order.
        workdir: of the table.
        done: {Cell: results}, not empty.
        missing: {Cell: why it is not there}.

    Returns:
        List of report.Tables: the summary, and one a fold.
    """
    summary = summary_table(folds, cells, done, missing)
    tables = [summary, *(fold_table(fold, done) for fold in folds if any(c.fold == fold for c in done))]
    write_text(workdir / 'table.md', '\n\n'.join(map(markdown, tables)) + '\n')
    by_row = _by_row(cells, done)
    means = {name: _with_paper(of_fold) for name, of_fold in by_row.items()}
    write_text(workdir / 'table.csv', long_csv(cells, done, missing, means))
    write_json(
        workdir / 'table.json',
        {
            'means_over_folds': means,
            'cells': [{'network': cell.network, **row, **_paper_of_fold(row)} for cell, row in done.items()],
            'missing': [{'cell': str(cell), 'why': why} for cell, why in missing.items()],
        },
    )
    return tables


def _with_paper(of_fold):
    """The mean over folds of one row of a table, with the paper's and the difference, as fractions."""
    rows = list(of_fold.values())
    mean, why = mean_over_folds(rows) if rows else (None, 'no fold is there')
    known, _ = _published(rows)
    paper = known and round(known.mean / 100, 3)
    difference = mean['mean_iou'] - paper if mean and known else None
    source = known and SOURCES[known.mean_source]
    return {
        **(mean or {'mean_iou': None, 'why': why}),
        **{'paper': paper, 'paper_source': source, 'difference': difference},
    }


def _published(rows):
    """The paper's row for the folds of one row of a table, which must all compare: (Published or None, why not)."""
    found = [published(row) for row in rows]
    return next(((None, why) for known, why in found if known is None), found[0] if found else (None, ''))


def _paper_of_fold(row):
    """The paper's mean-IoU of one fold as a fraction, and where it is from: {'paper', 'paper_source'}, None if unknown."""
    known, _ = published(row)
    if not known or not known.folds:
        return {'paper': None, 'paper_source': None}
    return {'paper': round(known.folds[row['fold']] / 100, 3), 'paper_source': SOURCES[known.folds_source]}


def summary_table(folds, cells, done, missing):
    """mean-IoU by fold and its mean, with the paper's values below: a report.Table."""
    rows, marks, apart, no_mean, steps = [], set(), [], [], []
    for name, of_fold in _by_row(cells, done).items():
        if not of_fold:
            rows.append([name, *(_absent(cells, name, fold, missing) for fold in folds), '-', '-'])
            continue
        first = next(iter(of_fold.values()))
        mean, why_no_mean = mean_over_folds(list(of_fold.values()))
        no_mean += [(f'no mean, because {why_no_mean}', name)] * (mean is None)
        means = [
            spread(mean[of], mean[f'{of}_std'], first['runs']) if mean else '-' for of in ('mean_iou', 'binary_iou')
        ]
        means[0] += classes_scored(of_fold.values()) if mean else ''
        there = [_score(of_fold[f]) if f in of_fold else _absent(cells, name, f, missing) for f in folds]
        rows.append([name, *there, *means])
        known, why = _published(of_fold.values())
        apart += [(why, name)] * bool(why)
        if known:
            marks |= {known.mean_source, *([known.folds_source] if known.folds else [])}
            rows.extend(_paper_rows(known, folds, of_fold, mean))
        steps += [(f'step {row["checkpoint_step"]}', name) for row in of_fold.values() if row['checkpoint_step']]
    left = len(cells) - len(done) - len(missing)
    notes = [
        *([f'unfinished: {left} of {len(cells)} cells are yet to come; the same command goes on'] if left else []),
        *([apart[0][0]] if len({why for why, _ in apart}) == 1 else _grouped(apart)),
        *_grouped((remark, cell) for cell, row in done.items() for remark in remarks(row)),
        *_grouped(dict.fromkeys(steps)),
        *_grouped(no_mean),
        *_grouped((f'missing, because {why}', cell) for cell, why in missing.items()),
        *(f'{mark} {meaning}' for mark, meaning in MEANING.items() if mark in marks),
    ]
    columns = ['network, supports, shots', *(f'fold {fold}' for fold in folds), 'mean', 'binary-IoU']
    return Table(_heading(next(iter(done.values()))), columns, rows, notes)


def table_charts(cells, done):
    """IoU by class and fold, a Chart for each row of the table that has results."""
    rows = _by_row(cells, done)
    return charts({name: list(map(_panel, of_fold.values())) for name, of_fold in rows.items() if of_fold})


def _panel(row):
    """One fold of a chart, from its results."""
    bars = [Bar(name, _percent(iou), _percent(row['class_iou_std'][name])) for name, iou in row['class_iou'].items()]
    known, _ = published(row)
    paper = known.folds[row['fold']] if known and known.folds else None
    beside = f', the paper {paper:.1f}{known.folds_source}' if paper else ''
    return Panel(f'fold {row["fold"]}: {_score(row)}{beside}', bars, _percent(row['mean_iou']), paper)


def _percent(fraction):
    return None if fraction is None else 100 * fraction


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
    """IoU by class on one fold: a report.Table; classes that a cell has left out have a dash."""
    cells = [(cell, row) for cell, row in done.items() if cell.fold == fold]
    names = list(dict.fromkeys(name for _, row in cells for name in row['class_iou']))
    lines = [
        [
            cell.row,
            _score(row),
            spread(row['binary_iou'], row['binary_iou_std'], row['runs']),
            *(percent(row['class_iou'].get(name)) for name in names),
        ]
        for cell, row in cells
    ]
    hashes = ', '.join(dict.fromkeys(f'{row["shots"]}-shot {row["episodes_hash"]}' for _, row in cells))
    columns = ['network, supports, shots', 'mean-IoU', 'binary-IoU', *names]
    return Table(f'Fold {fold}, IoU by class in %; episodes {hashes}', columns, lines, [])


def markdown(table):
    """A Table as GitHub's Markdown."""
    lines = [table.columns, ['---'] + ['---:'] * (len(table.columns) - 1), *table.rows]
    text = '\n'.join('| ' + ' | '.join(cell.strip().replace('|', r'\|') for cell in line) + ' |' for line in lines)
    notes = '\n'.join(f'- {note.replace("*", chr(92) + "*")}' for note in table.notes)
    return '\n\n'.join(part for part in (table.heading, text, notes) if part)


OF_DATA = ('dataset', 'split', 'fold_rule', 'ways', 'queries', 'size', 'runs', 'episodes', 'draw', 'protocol')
OF_CELL = ('episodes_hash', 'checkpoint', 'checkpoint_step', 'network_hash')
COLUMNS = (
    *('network', 'annotation', 'shots', 'fold', 'quantity', 'iou', 'std', 'paper', 'paper_source', 'difference'),
    *('classes', 'missing'),
    *(*OF_DATA, 'seeds', *OF_CELL),
)


def long_csv(cells, done, missing, means):
    """One line for each cell and quantity (mean_iou, binary_iou, each class), and each mean; IoU as fractions."""
    any_row = next(iter(done.values()))
    shared = {name: any_row[name] for name in OF_DATA} | {'seeds': ' '.join(map(str, any_row['seeds']))}

    def place(cell):
        return {'network': cell.network, 'annotation': cell.annotation, 'shots': cell.shots, 'fold': cell.fold} | shared

    lines = []
    for cell in cells:
        if cell in done:
            of_cell = {name: done[cell][name] for name in OF_CELL}
            lines += [place(cell) | of_cell | quantity for quantity in _quantities(done[cell])]
        else:
            lines.append(place(cell) | {'quantity': 'mean_iou', 'missing': missing.get(cell, 'not yet')})
    for name, mean in means.items():
        where = place(next(cell for cell in cells if cell.row == name)) | {
            'fold': 'mean',
            'missing': mean.get('why', ''),
        }
        paper = {name: mean[name] for name in ('paper', 'paper_source')}
        lines.append(where | _quantity('mean_iou', mean['mean_iou'], mean.get('mean_iou_std'), **paper))
        lines.append(where | _quantity('binary_iou', mean.get('binary_iou'), mean.get('binary_iou_std')))
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator='\n')
    writer.writeheader()
    writer.writerows(lines)
    return file.getvalue()


def _quantities(row):
    """All that one row of results scored: `classes` says how many a mean is of."""
    scored = {'classes': sum(value is not None for value in row['class_iou'].values())}
    return [
        _quantity('mean_iou', row['mean_iou'], row['mean_iou_std'], **_paper_of_fold(row)) | scored,
        _quantity('binary_iou', row['binary_iou'], row['binary_iou_std']) | scored,
        *(_quantity(name, iou, row['class_iou_std'][name]) for name, iou in row['class_iou'].items()),
    ]


def _quantity(name, iou, std, paper=None, paper_source=None):
    difference = None if iou is None or paper is None else iou - paper
    of_paper = {'paper': paper, 'paper_source': paper_source, 'difference': difference}
    return {'quantity': name, 'iou': iou, 'std': std, **of_paper}


def _by_row(cells, done):
    """{name of a table's row: {fold: results}} of the cells that are done, in the order of `cells`."""
    rows = {cell.row: {} for cell in cells}
    for cell in cells:
        if cell in done:
            rows[cell.row][cell.fold] = done[cell]
    return rows


def _grouped(remarks):
    """Sentences that name the cells they are on, each sentence once; from (sentence, Cell or name of a row) pairs."""
    places = {}
    for sentence, place in remarks:
        row, fold = (place, None) if isinstance(place, str) else (place.row, place.fold)
        places.setdefault(sentence, {}).setdefault(row, []).append(fold)
    return [f'{"; ".join(map(_place, rows, rows.values()))}: {sentence}' for sentence, rows in places.items()]


def _place(row, folds):
    """Such as 'untrained, box, 1-shot, folds 0, 2'."""
    folds = [str(fold) for fold in dict.fromkeys(folds) if fold is not None]
    return row + f', fold{"s" * (len(folds) > 1)} {", ".join(folds)}' * bool(folds)


def _heading(row):
    ways = f'{row["ways"]}-way, {row["queries"]} query image(s), {row["size"]} x {row["size"]}'
    draw = " as the authors' code draws them" if row['authors_order'] else ''
    return (
        f'{row["dataset"]} {row["split"]}, folds {row["fold_rule"]}, {ways}\n{row["runs"]} run(s) x {row["episodes"]} '
        f'episodes{draw}, protocol {row["protocol"]}; mean-IoU in %{spread_meaning(row)}'
    )


def _score(row):
    return spread(row['mean_iou'], row['mean_iou_std'], row['runs']) + classes_scored([row])


def _absent(cells, name, fold, missing):
    """Why a cell has no score, in a word."""
    cell = next(cell for cell in cells if (cell.row, cell.fold) == (name, fold))
    return 'missing' if cell in missing else 'not yet'


def _difference(ours, theirs):
    return '-' if ours is None or theirs is None else f'{100 * ours - theirs:+.1f}'
