"""Charts as figure 5 of the paper: scores over evaluations, changes of estimates over steps."""

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
from attrs import field, frozen
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from dddm.report.run_page.axes import chart, floor_line, log_y, over_step_counts, plain
from dddm.report.run_page.svg import INK, SERIES

_LOWEST_BAR = 0.9
"""Part of a value that its bar may reach down: a logarithmic axis has no 0."""


@final
@frozen(kw_only=True)
class Line:
    """A score of one sampler.

    Attributes:
        values: by network evaluations for one image.
        deviations: over seeds, in the same way, where there are several seeds.
    """

    values: Mapping[int, float]
    deviations: Mapping[int, float] = field(factory=dict)


def score_chart(
    lines: Sequence[Line],
    *,
    floors: Sequence[float],
    name: str,
    paper: Mapping[int, float] | None = None,
) -> str | None:
    """Scores over evaluations, one line a sampler, floors as dashed lines across; log axes.

    None where no sampler has two numbers of evaluations.  The score's axis is linear if a score or
    floor is not above 0.

    Args:
        paper: what the paper prints, by network evaluations: diamonds without a line.
    """
    if max((len(line.values) for line in lines), default=0) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    printed = paper or {}
    shown = [*floors, *printed.values()]
    shown += [value for line in lines for value in line.values.values()]
    shown += [end for line in lines for low, high in _bars(line).values() for end in (low, high)]
    every = np.asarray(shown)

    def draw(axes: Axes) -> None:
        for k, line in enumerate(lines):
            colour = SERIES[k % len(SERIES)]
            counts = sorted(line.values)
            axes.plot(counts, [line.values[count] for count in counts], color=colour, marker="o")
            for count, ends in _bars(line).items():
                axes.plot([count, count], ends, color=colour, marker="_", linewidth=1.2)
        for floor in floors:
            floor_line(axes, floor)
        # Drawn last, because they may lie on a line.
        axes.plot(
            sorted(printed), [printed[count] for count in sorted(printed)], color=INK,
            linestyle="", marker="D", markerfacecolor="none", markersize=6,
        )  # fmt: skip
        every_count = {count for line in lines for count in line.values} | set(printed)
        over_step_counts(axes, every_count, label="network evaluations")
        if np.min(every) > 0:
            log_y(axes, every)
        axes.set_title("Fréchet distance; less is better")

    return chart(
        name, draw, description="Fréchet distance over network evaluations, with its floor"
    )


def _bars(line: Line) -> dict[int, tuple[float, float]]:
    """One standard deviation down and up, by network evaluations."""
    return {
        count: (
            line.values[count] - min(deviation, _LOWEST_BAR * abs(line.values[count])),
            line.values[count] + deviation,
        )
        for count, deviation in line.deviations.items()
    }


def change_chart(
    *, steps: Sequence[int], median: Sequence[float], largest: Sequence[float], name: str
) -> str | None:
    """How far the estimate moves in a step: median and largest over images; None below two steps.

    The axis is linear if an image did not move at all.
    """
    if len(steps) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    every = np.asarray([*median, *largest])

    def draw(axes: Axes) -> None:
        for colour, values in zip(SERIES, (median, largest), strict=False):
            axes.plot(steps, values, color=colour, marker="o")
        over_step_counts(axes, set(steps), label="step")
        if np.min(every) > 0:
            log_y(axes, every)
        else:
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_formatter(FuncFormatter(plain))
        axes.set_title("change of the estimate in one step")

    description = "Change of the estimate in single steps: median and largest over the images"
    return chart(name, draw, description=description)
