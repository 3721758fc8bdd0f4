"""Charts of a table on the page: IoU by class and fold as bars, the paper's value as a line."""

import math
from typing import NamedTuple

from panet_jax.results.benchmark_tables import Cells, score
from panet_jax.results.paper import published


class Bar(NamedTuple):
    """One class.

    Attributes:
        name: name of the class.
        value: IoU in percent; None without a score.
        std: standard deviation over runs, in percent; None without a score.
    """

    name: str
    value: float | None
    std: float | None


class Panel(NamedTuple):
    """One fold.

    Attributes:
        title: its title, with mean-IoU.
        bars: list of Bars.
        mean: mean-IoU in percent, or None.
        paper: the paper's mean-IoU in percent, or None.
    """

    title: str
    bars: list[Bar]
    mean: float | None
    paper: float | None


class Chart(NamedTuple):
    """One row of a table.

    Attributes:
        title: name of the row.
        panels: one Panel a fold.
        end: percentage at which the axis ends, the same in all charts.
    """

    title: str
    panels: list[Panel]
    end: int


def table_charts(cells: Cells) -> list[Chart]:
    """The charts of a table, all with the same axis.

    Args:
        cells: the cells of the table.

    Returns:
        A Chart for each row with results.
    """
    rows = {row.name: [_panel(results) for results in row.folds.values()] for row in cells.rows() if row.folds}
    end = _end_of_axis([panel for panels in rows.values() for panel in panels])
    return [Chart(name, panels, end) for name, panels in rows.items()]


def _panel(row):
    """One fold of a chart, from its results."""
    bars = [Bar(name, _percent(iou), _percent(row['class_iou_std'][name])) for name, iou in row['class_iou'].items()]
    table_row, _ = published(row)
    paper = table_row.folds[row['fold']] if table_row and table_row.folds else None
    suffix = f', the paper {paper:.1f}{table_row.folds_source}' if paper else ''
    return Panel(f'fold {row["fold"]}: {score(row)}{suffix}', bars, _percent(row['mean_iou']), paper)


def _percent(fraction):
    return None if fraction is None else 100 * fraction


def _end_of_axis(panels):
    """The percentage at which the axis ends: the next multiple of ten."""
    values = [bar.value + (bar.std or 0) for panel in panels for bar in panel.bars if bar.value is not None]
    values += [value for panel in panels for value in (panel.mean, panel.paper) if value is not None]
    return min(100, max(10, 10 * math.ceil(max(values, default=0) / 10)))
