"""Results on disk and as a table."""

from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

from panet_jax.disk.paths import AnyPath, absolute
from panet_jax.disk.workdir import append_json_line, read_json_lines, write_json
from panet_jax.results.names import head_clause, network_name
from panet_jax.results.result import EARLIER, IDENTITY

MOST_COLUMNS = 8  # columns of a table on a page, if it has fewer rows
Row = dict[str, Any]  # a row of results, as in results.json


def save_results(workdir: AnyPath, results: Row) -> None:
    """Writes an evaluation to results.json, the latest one, and adds it to results.jsonl, the list of all.

    Args:
        workdir: workdir to write to.
        results: the evaluation.
    """
    write_json(workdir / 'results.json', results)
    append_json_line(workdir / 'results.jsonl', results)


def comparable_results(workdir: AnyPath, results: Row) -> list[Row]:
    """The evaluations in a workdir on the same episodes, the latest of each network.

    Args:
        workdir: the workdir.
        results: an evaluation, with which the others must compare.

    Returns:
        The evaluations, sorted by step.
    """
    latest = {}
    for line in read_json_lines(workdir / 'results.jsonl'):
        row = EARLIER | line
        compares = all(row.get(name) == results[name] for name in IDENTITY)
        if compares and list(row['class_iou']) == list(results['class_iou']):
            latest[row['checkpoint_step'], row['checkpoint']] = row
    return [latest[key] for key in sorted(latest)]


def published_results(workdir: AnyPath, network_hash: str) -> list[Row]:
    """The evaluations of a network, the latest in each setting, without the paths and settings of this machine.

    Args:
        workdir: workdir of the evaluations.
        network_hash: hash of the network.

    Returns:
        Rows of the fields of Identity, NetworkRecord and Scores.
    """
    latest = {}
    for line in read_json_lines(workdir / 'results.jsonl'):
        row = EARLIER | line
        if row['network_hash'] == network_hash:
            row |= {name: PurePath(row[name]).name for name in ('checkpoint', 'weights')}
            latest[str([row.get(name) for name in IDENTITY])] = row | {'training': {}}
    return list(latest.values())


class Table(NamedTuple):
    """A table whose cells are text.

    Attributes:
        heading: lines above the table.
        columns: names of the columns.
        rows: lists of cells, one for each column.
        notes: sentences below the table.
    """

    heading: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str]


def upright(table: Table) -> Table:
    """Exchanges rows and columns of a table that is too wide for a page, as with many classes.

    Args:
        table: the table.

    Returns:
        The table itself, or the transposed one.
    """
    if len(table.columns) <= max(MOST_COLUMNS, 1 + len(table.rows)):
        return table
    columns, *rows = map(list, zip(table.columns, *table.rows, strict=True))
    return table._replace(columns=columns, rows=rows)


def format_table(table: Table) -> str:
    """Formats a table as lines of text with aligned columns.

    Args:
        table: the table.

    Returns:
        The text.
    """
    lines = [table.columns, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]
    text = ['  '.join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return '\n'.join([table.heading, *text, *(f'({note})' for note in table.notes)])


def results_table(rows: Sequence[Row], workdir: AnyPath) -> Table:
    """A table of evaluations on the same episodes.

    Args:
        rows: the evaluations.
        workdir: their workdir; networks of another workdir have its name.

    Returns:
        The Table, one row each, IoU in percent.
    """
    first = rows[0]
    names = list(first['class_iou'])
    home = str(absolute(workdir))
    lines = [
        [
            _network(row, home),
            spread(row['mean_iou'], row['mean_iou_std'], row['runs']),
            spread(row['binary_iou'], row['binary_iou_std'], row['runs']),
            percent(row['background_iou']),
            percent(row['foreground_iou']),
            *(percent(row['class_iou'][name]) for name in names),
        ]
        for row in rows
    ]
    columns = ['network', 'mean-IoU', 'binary-IoU', 'background', 'foreground', *names]
    return Table(heading(first), columns, lines, list(dict.fromkeys(note for row in rows for note in remarks(row))))


def heading(row: Row) -> str:
    """Two lines on the setting of an evaluation.

    Args:
        row: the evaluation.

    Returns:
        The lines.
    """
    annotation = '' if row['annotation'] == 'dense' else f', {row["annotation"]} supports'
    draw = " as the authors' code draws them" if row['authors_order'] else ''
    encoder = '' if row.get('encoder', 'vgg16') == 'vgg16' else f', {row["encoder"]}'
    return (
        f'{row["dataset"]} {row["split"]}{_skipped(row)}, {_unseen(row)}, '
        f'{row["ways"]}-way {row["shots"]}-shot{annotation}, {row["queries"]} query image(s), {row["size"]} x {row["size"]}{encoder}\n'
        f'{row["runs"]} run(s) x {row["episodes"]} episodes{draw}, seed(s) {_range(row["seeds"])}, '
        f'protocol {row["protocol"]}{head_clause(row)}; IoU in %{spread_meaning(row)}'
    )


def spread_meaning(row: Row) -> str:
    """Explains the +- of a table; '' if it has none.

    Args:
        row: an evaluation of the table.

    Returns:
        The end of a heading.
    """
    return ', +- std over runs' if row['runs'] > 1 else ''


def remarks(row: Row) -> list[str]:
    """Remarks on an evaluation, for the notes below a table.

    Args:
        row: the evaluation.

    Returns:
        The sentences.
    """
    sentences = []
    if row['draw'] == 'panet2019' and not row['authors_order']:
        sentences.append(f"drawn by the authors' rules, but not exactly their episodes: {_other_order(row)}")
    if row['trained_on'] not in ('', row['dataset']):
        sentences.append(
            f'the network was trained on {row["trained_on"]}; that it saw none of these classes is checked by their names only'
        )
    if unknown := row.get('unknown_training'):  # rows of earlier versions lack it
        sentences.append(f'it is unknown what {unknown} was trained on, and so whether it saw these classes')
    absent = [name for name, value in row['class_iou'].items() if value is None]
    if absent:
        sentences.append(f'no query showed {", ".join(absent)}: left out of the mean')
    if row['left_out_classes']:
        sentences.append(f'left out because they have too few images: {", ".join(row["left_out_classes"])}')
    if row['empty_supports']:
        supports = row['runs'] * row['episodes'] * row['ways'] * row['shots']
        sentences.append(
            f'{row["empty_supports"]} of {supports} supports are empty: no annotated pixel is left at {row["size"]} px; '
            'an empty support finds nothing'
        )
    return sentences


def _other_order(row):
    """The reasons why episodes differ from the authors', although they are drawn by the same rules."""
    reasons = {
        f'images with less than {row.get("smallest_object")} pixels of a class are left out': row.get(
            'smallest_object', 1
        )
        > 1,
        f'{row["skipped_images"]} unreadable image(s) are left out': row['skipped_images'],
        'classes are left out': row['left_out_classes'],
    }
    true_reasons = [reason for reason, holds in reasons.items() if holds]
    return '; '.join(true_reasons) or (
        'the images of a class have the order of the list, because class1.txt, class2.txt, ... or images that they name are '
        'missing'
    )


def _network(row, home):
    label = network_name(row)
    return label if row['checkpoint'] in ('', home) else f'{label} of {PurePath(row["checkpoint"]).name}'


def _range(seeds):
    return f'{seeds[0]}..{seeds[-1]}' if len(seeds) > 1 else f'{seeds[0]}'


def classes_scored(rows: Iterable[Row]) -> str:
    """The number of classes in a mean.

    Args:
        rows: the evaluations.

    Returns:
        Text such as ' (3 of 5)'; '' if the mean is over all classes.
    """
    rows = list(rows)
    scored = sum(value is not None for row in rows for value in row['class_iou'].values())
    total = sum(len(row['class_iou']) + len(row['left_out_classes']) for row in rows)
    return f' ({scored} of {total})' if scored < total else ''


def spread(mean: float | None, std: float | None, runs: int) -> str:
    """Formats a mean and its standard deviation in percent.

    Args:
        mean, std: fractions; None without a score.
        runs: number of runs; with one there is no deviation.

    Returns:
        Text such as '52.0 +- 2.7'.
    """
    return f'{percent(mean)} +- {percent(std)}' if runs > 1 and mean is not None else percent(mean)


def _unseen(row):
    return 'named classes' if row['unseen'] else f'fold {row["fold"]} ({row["fold_rule"]})'


def _skipped(row):
    return f' without {row["skipped_images"]} unreadable image(s)' if row['skipped_images'] else ''


def percent(value: float | None) -> str:
    """Formats a fraction in percent.

    Args:
        value: the fraction; None without a score.

    Returns:
        Text such as '52.0'; '-' for None.
    """
    return '-' if value is None else f'{100 * value:.1f}'
