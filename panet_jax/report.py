"""Results on disk and as a table."""

from pathlib import Path

from panet_jax.workdir import append_json_line, read_json_lines, write_json

# Two rows may stand in one table if all of these are equal.
COMPARABLE = (
    *('dataset', 'split', 'fold', 'fold_rule', 'ways', 'shots', 'queries', 'size'),
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
        if all(row.get(name) == results[name] for name in COMPARABLE):
            latest[row['checkpoint_step'], row['checkpoint']] = row
    return [latest[key] for key in sorted(latest)]


def format_table(rows):
    """A table of evaluations on the same episodes: what was run, then IoU in percent, a row each."""
    first = rows[0]
    names = list(first['class_iou'])
    heading = (
        f'{first["dataset"]} {first["split"]}, fold {first["fold"]} ({first["fold_rule"]}), '
        f'{first["ways"]}-way {first["shots"]}-shot, {first["queries"]} query image(s), {first["size"]} x {first["size"]}\n'
        f'{first["runs"]} run(s) x {first["episodes"]} episodes, seeds {first["seeds"][0]}..{first["seeds"][-1]}, '
        f'protocol {first["protocol"]}; IoU in %, +- std over runs'
    )
    columns = ['network', *names, 'mean-IoU', 'binary-IoU', 'background', 'foreground']
    lines = [columns]
    homes = {row['checkpoint'] for row in rows if row['checkpoint']}
    for row in rows:
        label = f'step {row["checkpoint_step"]}' if row['checkpoint_step'] else 'untrained'
        if len(homes) > 1 and row['checkpoint']:
            label += f' of {Path(row["checkpoint"]).name}'
        lines.append(
            [
                label,
                *(_percent(row['class_iou'][name]) for name in names),
                f'{_percent(row["mean_iou"])} +- {_percent(row["mean_iou_std"])}',
                f'{_percent(row["binary_iou"])} +- {_percent(row["binary_iou_std"])}',
                _percent(row['background_iou']),
                _percent(row['foreground_iou']),
            ]
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    text = '\n'.join('  '.join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    absent = [name for name in names if any(row['class_iou'][name] is None for row in rows)]
    note = f'\n(no query showed {", ".join(absent)}: left out of the mean)' if absent else ''
    return f'{heading}\n{text}{note}'


def _percent(value):
    return '-' if value is None else f'{100 * value:.1f}'
