"""One pair of axes as an `<svg>` element, and the marks that are common to all charts."""

from collections.abc import Callable
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from dddm.report.run_page.curves import Values, log_ticks
from dddm.report.run_page.svg import FLOOR, SETTINGS, chart_svg
from dddm.report.run_page.wording import power

_INCHES: Final = (4.6, 2.5)
_FEW_POINTS: Final = 15
_CLOSEST_TICKS: Final = 1.5


def chart(name: str, draw: Callable[[Axes], None], *, description: str) -> str:
    """What `draw` draws on one pair of axes; `name` and `description` as for `chart_svg`."""
    settings = {**SETTINGS, "svg.hashsalt": name}
    with mpl.rc_context(settings):  # type: ignore[arg-type]  # its stub lists each name's literal
        figure = Figure(figsize=_INCHES, layout="constrained")
        figure.patch.set_visible(False)
        axes = figure.add_subplot()
        axes.patch.set_visible(False)
        draw(axes)
        return chart_svg(figure, name=name, description=description)


def marker(points: int) -> str:
    """A dot for each point where they are few, nothing where they are many."""
    return "o" if points <= _FEW_POINTS else ""


def floor_line(axes: Axes, value: float) -> None:
    """A dashed line across."""
    axes.axhline(value, color=FLOOR, linestyle=(0, (4, 3)), linewidth=1.2)


def over_step_counts(axes: Axes, counts: set[int], *, label: str) -> None:
    """A logarithmic axis of step counts, marked where there are any."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(_apart(counts)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(plain))
    axes.set_xlabel(label, loc="right")


def _apart(counts: set[int]) -> list[float]:
    """The counts themselves, as far as their marks do not touch."""
    ticks: list[float] = []
    for count in sorted(counts):
        if not ticks or count / ticks[-1] >= _CLOSEST_TICKS:
            ticks.append(count)
    return ticks


def log_y(axes: Axes, values: Values) -> None:
    """A logarithmic axis that all values, each above 0, lie on."""
    axes.set_yscale("log")
    least, most = float(np.min(values)), float(np.max(values))
    room = max(1.15, (most / least) ** 0.05)
    low, high = least / room, most * room
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(FixedLocator(log_ticks(low, high)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(plain))


def plain(value: float, _position: int | None = None) -> str:
    """A round number on an axis."""
    if value and not 1e-4 <= abs(value) < 1e7:  # noqa: PLR2004 - longer than an axis has room for
        return power(f"{value:.0e}")
    return f"{round(value, 10):,.10f}".rstrip("0").rstrip(".")
