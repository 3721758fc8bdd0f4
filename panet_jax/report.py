"""Results on disk and as a table."""

from pathlib import Path

from panet_jax.workdir import append_json_line, read_json_lines, write_json

# Two rows may stand in one table if all of these are equal.
COMPARABLE = (
    *('dataset', 'split', 'fold', 'fold_rule', 'fold_seed', 'unseen', 'images', 'smallest_object'),
    *('ways', 'shots', 'queries', 'size'),
    *('runs', 'episodes', 'seeds', 'protocol', 'weights', 'width', 'seed'),
)


def save_results(workdir, results):
    """Writes results.json, the latest evaluation, and adds it to results.jsonl, all of them."""
    write_json(Path(workdir) / 'results.json', results)
    append_json_line(Path(workdir) / 'results.jsonl', results)


def comparable_results(workdir, results):
    """Evaluations in a workdir on the same episodes, the latest of each checkpoint, by step."""
    latest = {}
    for row in read_json_lines(Path(workdir) / 'results.jsonl'):
        same = all(row.get(name) == results[name] for name in COMPARABLE)
        if same and list(row['class_iou']) == list(results['class_iou']):
            latest[row['checkpoint_step'], row['checkpoint']] = row
    return [latest[key] for key in sorted(latest)]


def format_table(rows, workdir):
    """A table of evaluations on the same episodes: what was run, then IoU in percent, a row each.

    Args:
        rows: results, as in results.json.
        workdir: checkpoints of another one are named.
    """
    first = rows[0]
    names = list(first['class_iou'])
    heading = (
        f'{first["dataset"]} {first["split"]}{_skipped(first)}, {_unseen(first)}, '
        f'{first["ways"]}-way {first["shots"]}-shot, {first["queries"]} query image(s), {first["size"]} x {first["size"]}\n'
        f'{first["runs"]} run(s) x {first["episodes"]} episodes, seed(s) {_range(first["seeds"])}, '
        f'protocol {first["protocol"]}; IoU in %, +- std over runs'
    )
    columns = ['network', *names, 'mean-IoU', 'binary-IoU', 'background', 'foreground']
    lines = [columns]
    home = str(Path(workdir).resolve())
    for row in rows:
        label = f'step {row["checkpoint_step"]}' if row['checkpoint_step'] else 'untrained'
        if row['checkpoint'] not in ('', home):
            label += f' of {Path(row["checkpoint"]).name}'
        lines.append(
            [
                label,
                *(_percent(row['class_iou'][name]) for name in names),
                _spread(row, 'mean_iou'),
                _spread(row, 'binary_iou'),
                _percent(row['background_iou']),
                _percent(row['foreground_iou']),
            ]
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    text = '\n'.join('  '.join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    absent = [name for name in names if any(row['class_iou'][name] is None for row in rows)]
    note = f'\n(no query showed {", ".join(absent)}: left out of the mean)' if absent else ''
    return f'{heading}\n{text}{note}'


def _range(seeds):
    return f'{seeds[0]}..{seeds[-1]}' if len(seeds) > 1 else f'{seeds[0]}'


def _spread(row, name):
    spread = f' +- {_percent(row[f"{name}_std"])}' if row['runs'] > 1 else ''
    return f'{_percent(row[name])}{spread}'


def _unseen(row):
    return 'named classes' if row['unseen'] else f'fold {row["fold"]} ({row["fold_rule"]})'


def _skipped(row):
    return f' without {row["skipped_images"]} unreadable image(s)' if row['skipped_images'] else ''


def _percent(value):
    return '-' if value is None else f'{100 * value:.1f}'
