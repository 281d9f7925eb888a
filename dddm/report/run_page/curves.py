"""Curves as a page can show them: few points, a running mean, readable marks on an axis."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import MaxNLocator

MOST_POINTS: Final = 500
"""More points than these are not seen on a page, and only make it large."""

Values = npt.NDArray[np.float64]

_FEWEST_TICKS: Final = 3
_MOST_TICKS: Final = 7


def running_mean(values: Sequence[float], *, window: int) -> Values:
    """Mean of each value and up to `window` − 1 before it; as long as `values`."""
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(values, dtype=np.float64))])
    end = np.arange(1, len(sums))
    begin = np.maximum(end - window, 0)
    return np.asarray((sums[end] - sums[begin]) / (end - begin), dtype=np.float64)


def thin(count: int, *, most: int = MOST_POINTS) -> npt.NDArray[np.int64]:
    """Ascending indices into `count` points, at most `most` ≥ 2, with the first and the last."""
    if count <= most:
        return np.arange(count)
    return np.linspace(0, count - 1, most).round().astype(np.int64)


def log_ticks(low: float, high: float) -> list[float]:
    """Marks for a logarithmic axis from `low` to `high`, both above 0: round numbers, 2 or more.

    Powers of ten where there are enough of them; else also twice and five times these; else the
    round numbers of a linear axis, for a range within one decade.
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        marks = [factor * 10.0**power for power in powers for factor in factors]
        inside = [mark for mark in marks if low <= mark <= high]
        if _FEWEST_TICKS <= len(inside) <= _MOST_TICKS:
            return inside
    if high / low > 10.0**_MOST_TICKS:
        every = math.ceil(len(powers) / _MOST_TICKS)
        return [10.0**power for power in powers[::every] if low <= 10.0**power <= high]
    marks = [float(mark) for mark in MaxNLocator(nbins=4).tick_values(low, high)]
    return [mark for mark in marks if low <= mark <= high and mark > 0]
