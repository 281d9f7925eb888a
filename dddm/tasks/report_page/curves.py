"""Curves out of the event log: few enough points to draw, and nothing that is not a number."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, final

from attrs import frozen

MOST_POINTS: Final = 500
_WINDOWS = 50


@final
@frozen(kw_only=True)
class Curve:
    """Points (x, y), finite, by rising x."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    def __len__(self) -> int:
        """How many points there are."""
        return len(self.x)


def curve(events: Iterable[Mapping[str, Any]], *, x: str, y: str) -> Curve:
    """Field `y` of events over their field `x`; events without a finite number are left out."""
    points = [(event.get(x), event.get(y)) for event in events]
    kept = [(float(a), float(b)) for a, b in points if _is_finite(a) and _is_finite(b)]
    return Curve(x=tuple(a for a, _ in kept), y=tuple(b for _, b in kept))


def running_mean(whole: Curve) -> tuple[Curve, int]:
    """Means over a moving window of a fiftieth of the points, and that window's length.

    Each mean stands at its window's last point.  At the start the window is as long as there are
    points; at most `MOST_POINTS` means are kept, evenly spaced, the last one among them.
    """
    window = max(1, len(whole) // _WINDOWS)
    sums = [0.0]
    for value in whole.y:
        sums.append(sums[-1] + value)
    ends = evenly(range(1, len(whole) + 1))
    means = tuple((sums[end] - sums[max(0, end - window)]) / min(end, window) for end in ends)
    return Curve(x=tuple(whole.x[end - 1] for end in ends), y=means), window


def thin(whole: Curve) -> Curve:
    """At most `MOST_POINTS` of the points, evenly spaced, the last one among them."""
    kept = evenly(range(len(whole)))
    return Curve(x=tuple(whole.x[k] for k in kept), y=tuple(whole.y[k] for k in kept))


def evenly(numbers: Sequence[int]) -> list[int]:
    """At most `MOST_POINTS` of some numbers, evenly spaced, the first and last among them."""
    if len(numbers) <= MOST_POINTS:
        return list(numbers)
    stride = (len(numbers) - 1) / (MOST_POINTS - 1)
    return [numbers[round(k * stride)] for k in range(MOST_POINTS)]


def leak_curves(epochs: Iterable[Mapping[str, Any]]) -> dict[str, Curve]:
    """The leak diagnostic over epochs counted from 1, by the name of each quantity."""
    measured = [
        {"epoch": event["epoch"] + 1, **event["leak"]} for event in epochs if event.get("leak")
    ]
    names = ("given_noise", "given_store", "data_variance")
    curves = {name: curve(measured, x="epoch", y=name) for name in names}
    return {name: points for name, points in curves.items() if len(points)}


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
