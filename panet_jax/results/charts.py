"""IoU by class and fold as bars, the paper's value as a line: what the page draws of a table."""

import math
from typing import NamedTuple


class Bar(NamedTuple):
    """One class: its name, IoU and standard deviation over runs in percent; None for what has no score."""

    name: str
    value: float | None
    std: float | None


class Panel(NamedTuple):
    """One fold.

    Attributes:
        title: with the numbers.
        bars: list of Bars.
        mean: mean-IoU in percent, or None.
        paper: the paper's mean-IoU in percent, or None.
    """

    title: str
    bars: list[Bar]
    mean: float | None
    paper: float | None


class Chart(NamedTuple):
    """One row of a table: its name, Panels, and the percentage at which the axis of all charts ends."""

    title: str
    panels: list[Panel]
    end: int


def charts(rows):
    """Charts with one axis.

    Args:
        rows: {name of a table's row: list of Panels}.

    Returns:
        A list of Charts, one a row.
    """
    panels = [panel for panels in rows.values() for panel in panels]
    values = [bar.value + (bar.std or 0) for panel in panels for bar in panel.bars if bar.value is not None]
    values += [value for panel in panels for value in (panel.mean, panel.paper) if value is not None]
    end = min(100, max(10, 10 * math.ceil(max(values, default=0) / 10)))
    return [Chart(name, panels, end) for name, panels in rows.items()]
