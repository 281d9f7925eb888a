"""The charts of the report, each an `<svg>` element.  Names of series stand in the page's legend.

Nothing that comes from a file is drawn as text here: the page shows and escapes it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, final

import matplotlib as mpl
import numpy as np
from attrs import frozen
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from dddm.tasks.report_page.curves import Values, log_ticks, running_mean, thin
from dddm.tasks.report_page.history import LeakPoint
from dddm.tasks.report_page.svg import FLOOR, SERIES, SETTINGS, chart_svg

_INCHES: Final = (4.6, 2.5)
_FEW_POINTS: Final = 15
_PARTS_OF_WINDOW: Final = 40


@final
@frozen(kw_only=True)
class LossChart:
    """The loss over steps.

    Attributes:
        window: steps that its running mean is taken over.
    """

    svg: str
    window: int


def loss_chart(*, step: Sequence[int], loss: Sequence[float]) -> LossChart | None:
    """Loss over steps with its running mean, loss on a log axis; None below two points.

    Losses that are not finite or not above 0 are left out.
    """
    pairs = [(s, v) for s, v in zip(step, loss, strict=True) if math.isfinite(v) and v > 0]
    if len(pairs) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    steps, values = np.asarray(pairs, dtype=np.float64).T
    window = max(1, len(values) // _PARTS_OF_WINDOW)
    mean = running_mean(values.tolist(), window=window)
    shown = thin(len(values))

    def draw(axes: Axes) -> None:
        if window > 1:
            axes.plot(steps[shown], values[shown], color=SERIES[0], alpha=0.35, linewidth=0.7)
        axes.plot(steps[shown], mean[shown], color=SERIES[0])
        _log_y(axes, values[shown])
        axes.set_title("loss")
        _over_steps(axes)

    svg = _chart("loss", draw, description="Loss over training steps, on a logarithmic axis")
    return LossChart(svg=svg, window=window)


def learning_rate_chart(*, step: Sequence[int], learning_rate: Sequence[float]) -> str | None:
    """Learning rate over steps, from 0; None below two points."""
    pairs = [(s, v) for s, v in zip(step, learning_rate, strict=True) if math.isfinite(v)]
    if len(pairs) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    steps, values = np.asarray(pairs, dtype=np.float64).T
    shown = thin(len(values))

    def draw(axes: Axes) -> None:
        axes.plot(steps[shown], values[shown], color=SERIES[1], drawstyle="steps-post")
        axes.set_ylim(0, max(float(np.max(values)) * 1.1, 1e-12))
        axes.set_title("learning rate")
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.yaxis.set_major_formatter(FuncFormatter(_plain))
        _over_steps(axes)

    return _chart("learning-rate", draw, description="Learning rate over training steps")


def leak_chart(points: Sequence[LeakPoint]) -> str | None:
    """Error at t = T given the store and given noise, and the data's variance; None if empty."""
    if not points:
        return None
    epochs = np.asarray([point.epochs for point in points])
    shown = thin(len(points))
    curves = {
        SERIES[0]: [point.given_store for point in points],
        SERIES[1]: [point.given_noise for point in points],
    }
    variance = [point.data_variance for point in points]

    def draw(axes: Axes) -> None:
        for colour, values in curves.items():
            axes.plot(
                epochs[shown], np.asarray(values)[shown], color=colour, marker=_marker(points)
            )
        # The variance does not change with training: a line across says so at one point too.
        axes.axhline(float(np.median(variance)), color=FLOOR, linestyle=(0, (4, 3)), linewidth=1.2)
        axes.set_ylim(bottom=0)
        axes.set_title("mean squared error of the estimate at t = T")
        axes.set_xlabel("epochs", loc="right")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(_plain))

    description = (
        "Error of the estimate at t = T over epochs, given the store and given noise, "
        "beside the variance of the data"
    )
    return _chart("leak", draw, description=description)


def training_score_chart(scores: Mapping[int, Mapping[int, float]]) -> str | None:
    """Fréchet distance over epochs, one line for each step count; None below two epochs."""
    if max((len(line) for line in scores.values()), default=0) < 2:  # noqa: PLR2004 - a line has two ends
        return None

    def draw(axes: Axes) -> None:
        for k, line in enumerate(scores.values()):
            epochs = sorted(line)
            values = [line[epoch] for epoch in epochs]
            colour = SERIES[k % len(SERIES)]
            axes.plot(epochs, values, color=colour, marker=_marker(epochs))
        axes.set_ylim(bottom=0)
        axes.set_title("Fréchet distance during training; less is better")
        axes.set_xlabel("epochs", loc="right")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(_plain))

    return _chart("training-scores", draw, description="Fréchet distance over training epochs")


Line = Mapping[int, float]
"""A score by step count."""


def score_chart(lines: Sequence[Line], *, floors: Sequence[float], name: str) -> str | None:
    """Scores over steps, one line a sampler, floors as dashed lines across; log axes.

    None where no sampler has two step counts.  The score's axis is linear if a score or floor is
    not above 0.
    """
    if max((len(line) for line in lines), default=0) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    every = np.asarray([*floors, *(value for line in lines for value in line.values())])

    def draw(axes: Axes) -> None:
        for k, line in enumerate(lines):
            steps = sorted(line)
            values = [line[count] for count in steps]
            axes.plot(steps, values, color=SERIES[k % len(SERIES)], marker="o")
        for floor in floors:
            axes.axhline(floor, color=FLOOR, linestyle=(0, (4, 3)), linewidth=1.2)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(_step_ticks(lines)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(_plain))
        if np.min(every) > 0:
            _log_y(axes, every)
        axes.set_title("Fréchet distance; less is better")
        axes.set_xlabel("steps (network evaluations)", loc="right")

    return _chart(name, draw, description="Fréchet distance over step counts, with its floor")


def _step_ticks(lines: Sequence[Line]) -> list[float]:
    """The step counts themselves, as far as their marks do not touch."""
    ticks: list[float] = []
    for count in sorted({count for line in lines for count in line}):
        if not ticks or count / ticks[-1] >= 1.5:  # noqa: PLR2004 - closer, they touch
            ticks.append(count)
    return ticks


def _chart(name: str, draw: Callable[[Axes], None], *, description: str) -> str:
    settings = {**SETTINGS, "svg.hashsalt": name}
    with mpl.rc_context(settings):  # type: ignore[arg-type]  # its stub lists each name's literal
        figure = Figure(figsize=_INCHES, layout="constrained")
        figure.patch.set_visible(False)
        axes = figure.add_subplot()
        axes.patch.set_visible(False)
        draw(axes)
        return chart_svg(figure, name=name, description=description)


def _marker(points: Sequence[object]) -> str:
    return "o" if len(points) <= _FEW_POINTS else ""


def _over_steps(axes: Axes) -> None:
    axes.set_xlabel("steps", loc="right")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(_plain))


def _log_y(axes: Axes, values: Values) -> None:
    axes.set_yscale("log")
    low, high = float(np.min(values)) / 1.15, float(np.max(values)) * 1.15
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(FixedLocator(log_ticks(low, high)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(_plain))


def _plain(value: float, _position: int | None = None) -> str:
    """A round number on an axis."""
    if value and not 1e-4 <= abs(value) < 1e7:  # noqa: PLR2004 - longer than an axis has room for
        return f"{value:.0e}"
    return f"{round(value, 10):,.10f}".rstrip("0").rstrip(".")
