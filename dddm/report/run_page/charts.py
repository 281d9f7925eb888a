"""What was logged during training, as charts.  Names of series stand in the page's legend.

Nothing that comes from a file is drawn as text here: the page shows and escapes it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final, final

import numpy as np
from attrs import frozen
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dddm.interfaces.info import DiagnosisInfo, Measure
from dddm.report.run_page.axes import chart, floor_line, log_y, marker, plain
from dddm.report.run_page.curves import running_mean, thin
from dddm.report.run_page.history import DiagnosisPoint
from dddm.report.run_page.svg import SERIES

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
        log_y(axes, values[shown])
        axes.set_title("loss")
        _over_steps(axes)

    svg = chart("loss", draw, description="Loss over training steps, on a logarithmic axis")
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
        axes.yaxis.set_major_formatter(FuncFormatter(plain))
        _over_steps(axes)

    return chart("learning-rate", draw, description="Learning rate over training steps")


def diagnosis_chart(points: Sequence[DiagnosisPoint], *, facts: DiagnosisInfo) -> str | None:
    """The objective's numbers over the epochs, as its facts say; None where there are none."""
    names = [name for name, _ in (*facts.curves, *([facts.floor] if facts.floor else []))]
    points = [point for point in points if all(name in point.numbers for name in names)]
    if not points:
        return None
    epochs = np.asarray([point.epochs for point in points])
    shown = thin(len(points))
    curves = {
        colour: [point.numbers[name] for point in points]
        for colour, (name, _) in zip(SERIES, facts.curves, strict=False)
    }

    def draw(axes: Axes) -> None:
        for colour, values in curves.items():
            axes.plot(
                epochs[shown], np.asarray(values)[shown], color=colour, marker=marker(len(points))
            )
        if facts.floor is not None:
            # It does not change with training: a line across says so at one point too.
            floor_line(axes, float(np.median([point.numbers[facts.floor[0]] for point in points])))
        axes.set_ylim(bottom=0)
        axes.set_title(facts.measured)
        axes.set_xlabel("epochs", loc="right")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(plain))

    words = " and ".join(words for _, words in facts.curves)
    beside = "" if facts.floor is None else f", beside {facts.floor[1]}"
    description = f"{facts.measured} over epochs: {words}{beside}"
    return chart("diagnosis", draw, description=description)


def training_score_chart(
    scores: Mapping[int, Mapping[int, float]], *, measure: Measure | None
) -> str | None:
    """The score over epochs, one line for each step count; None below two epochs."""
    if max((len(line) for line in scores.values()), default=0) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    words = "Score" if measure is None else measure.words
    better = "" if measure is None else f"; {measure.better} is better"

    def draw(axes: Axes) -> None:
        for k, line in enumerate(scores.values()):
            epochs = sorted(line)
            values = [line[epoch] for epoch in epochs]
            colour = SERIES[k % len(SERIES)]
            axes.plot(epochs, values, color=colour, marker=marker(len(epochs)))
        if all(value >= 0 for line in scores.values() for value in line.values()):
            axes.set_ylim(bottom=0)
        axes.set_title(f"{words} during training{better}")
        axes.set_xlabel("epochs", loc="right")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(plain))

    return chart("training-scores", draw, description=f"{words} over training epochs")


def _over_steps(axes: Axes) -> None:
    axes.set_xlabel("steps", loc="right")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(plain))
