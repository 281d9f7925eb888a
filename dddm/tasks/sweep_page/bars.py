"""Scores as bars: a chart for each score and sampler, in it a panel for each step count."""

import itertools
from collections.abc import Sequence
from typing import Final, final

import matplotlib as mpl
from attrs import frozen
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dddm.scores.kinds import Better, better_of
from dddm.tasks.report_page.svg import FLOOR, INK, SERIES, SETTINGS, chart_svg
from dddm.tasks.report_page.wording import counted, number
from dddm.tasks.sweep_page.columns import Column, SweepTable

_PANEL_INCHES: Final = 2.3
_BAR_INCHES: Final = 0.3
_AROUND_INCHES: Final = 0.75
_MOST_PANELS: Final = 4
_LETTER_INCHES: Final = 0.09
_ROOM_FOR_NUMBER: Final = 1.3


@final
@frozen(kw_only=True)
class Bars:
    """One chart.

    Attributes:
        better: which of two values is better, `less` or `more`.
        floor: whether the floor is drawn.
        deviations: whether deviations over seeds are.
        width_inches: at which its letters are of the page's size.
    """

    score_name: str
    sampler: str
    better: Better
    floor: bool
    deviations: bool
    svg: str
    width_inches: float


def bars_of(table: SweepTable) -> tuple[Bars, ...]:
    """A chart for each score that two entries or more have and of which one is the best."""
    names = [row.name for row in table.rows]
    compared = [column for column in table.columns if column.best is not None]
    order = list(dict.fromkeys((column.score_name, column.sampler) for column in compared))

    def place(column: Column) -> tuple[int, int]:
        return order.index((column.score_name, column.sampler)), column.steps

    charts: list[Bars] = []
    for (score_name, sampler), group in itertools.groupby(
        sorted(compared, key=place),
        key=lambda column: (column.score_name, column.sampler),
    ):
        columns = list(group)
        for k in range(0, len(columns), _MOST_PANELS):
            panels, chart = columns[k : k + _MOST_PANELS], f"bars-{len(charts) + 1}"
            width = _PANEL_INCHES * len(panels) + _LETTER_INCHES * max(map(len, names))
            charts.append(
                Bars(
                    score_name=score_name,
                    sampler=sampler,
                    better=better_of(score_name.split("-")[0]),
                    floor=any(column.floor is not None for column in panels),
                    deviations=any(d is not None for one in panels for d in one.deviations),
                    svg=_chart(names, panels, name=chart, width_inches=width),
                    width_inches=width,
                )
            )
    return tuple(charts)


def _chart(
    names: Sequence[str], columns: Sequence[Column], *, name: str, width_inches: float
) -> str:
    settings = {**SETTINGS, "svg.hashsalt": name}
    height_inches = _AROUND_INCHES + _BAR_INCHES * len(names)
    with mpl.rc_context(settings):  # type: ignore[arg-type]  # its stub lists each name's literal
        figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
        figure.patch.set_visible(False)
        panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
        for axes, column in zip(panels, columns, strict=True):
            _draw(axes, names, column)
        description = f"{columns[0].metric} of each entry, a panel for each step count"
        return chart_svg(figure, name=name, description=description)


def _draw(axes: Axes, names: Sequence[str], column: Column) -> None:
    axes.patch.set_visible(False)
    axes.grid(visible=False, axis="y")
    axes.set_axisbelow(True)
    values = [0.0 if value is None else value for value in column.values]
    ends = [v + (d or 0.0) for v, d in zip(values, column.deviations, strict=True)]
    colours = [SERIES[1] if column.is_best(k) else SERIES[0] for k in range(len(names))]
    axes.barh(range(len(names)), values, color=colours, height=0.62)
    for k, (value, deviation) in enumerate(zip(column.values, column.deviations, strict=True)):
        if value is not None and deviation is not None:
            low, high = max(value - deviation, 0.0), value + deviation
            axes.plot([low, high], [k, k], color=INK, linewidth=1.2, marker="|", markersize=5)
        shown = "–" if value is None else number(value)
        axes.annotate(shown, (ends[k], k), xytext=(4, 0), textcoords="offset points", va="center")
    if column.floor is not None:
        axes.axvline(column.floor, color=FLOOR, linestyle=(0, (4, 3)), linewidth=1.2)
    axes.set_xlim(0, max(*ends, column.floor or 0.0, 1e-12) * _ROOM_FOR_NUMBER)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks(range(len(names)), names)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=3))
    axes.set_title(counted(column.steps, "step"))
