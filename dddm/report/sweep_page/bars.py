"""Scores as bars: for each score and sampler a panel for each step count."""

from collections.abc import Sequence
from typing import Final, final

import matplotlib as mpl
from attrs import frozen
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dddm.interfaces.info import Better
from dddm.report.run_page.svg import FLOOR, INK, SERIES, SETTINGS, chart_svg
from dddm.report.run_page.wording import number
from dddm.report.sweep_page.columns import Column, SweepTable

_PANEL_INCHES: Final = 2.4
_BAR_INCHES: Final = 0.3
_AROUND_INCHES: Final = 0.75
_LETTER_INCHES: Final = 0.09
_ROOM_FOR_NUMBER: Final = 1.3


@final
@frozen(kw_only=True)
class Bars:
    """One score of one sampler.

    Attributes:
        better: which of two values is better, `less` or `more`.
        floor: whether the floor is drawn.
        deviations: whether deviations over seeds are.
        panels: a chart for each step count, so that a narrow page can have them below each other.
        width_inches: of each, at which its letters are of the page's size.
    """

    score_name: str
    sampler: str
    better: Better
    floor: bool
    deviations: bool
    panels: tuple[str, ...]
    width_inches: float


def bars_of(table: SweepTable) -> tuple[Bars, ...]:
    """Bars for each score that two entries or more have and of which one is the best."""
    names = [row.name for row in table.rows]
    groups: dict[tuple[str, str], list[Column]] = {}
    for column in table.columns:
        if column.best is not None:
            groups.setdefault((column.score_name, column.sampler), []).append(column)
    width_inches = _PANEL_INCHES + _LETTER_INCHES * max(map(len, names))
    return tuple(
        Bars(
            score_name=score_name,
            sampler=sampler,
            better=columns[0].measure.better,
            floor=any(column.floor is not None for column in columns),
            deviations=any(d is not None for column in columns for d in column.deviations),
            panels=tuple(
                _chart(names, column, name=f"bars-{k}-{column.steps}", width_inches=width_inches)
                for column in sorted(columns, key=lambda each: each.evaluations)
            ),
            width_inches=width_inches,
        )
        for k, ((score_name, sampler), columns) in enumerate(groups.items(), start=1)
    )


def _chart(names: Sequence[str], column: Column, *, name: str, width_inches: float) -> str:
    settings = {**SETTINGS, "svg.hashsalt": name}
    height_inches = _AROUND_INCHES + _BAR_INCHES * len(names)
    with mpl.rc_context(settings):  # type: ignore[arg-type]  # its stub lists each name's literal
        figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
        figure.patch.set_visible(False)
        _draw(figure.add_subplot(), names, column)
        description = f"{column.title} of each entry at {column.counted_steps}"
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
    axes.set_title(column.counted_steps)
