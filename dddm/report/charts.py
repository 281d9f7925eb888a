"""Line and bar charts as `<svg>` elements.

They hold no ids, scripts or colours of their own: `style.css` colours their classes, so that a
chart is readable on a light and on a dark page, and any number of charts stands in one page.  The
names of lines stand in a legend of HTML, which wraps on a narrow screen.
"""

import itertools
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, final

from attrs import field, frozen
from markupsafe import Markup

from dddm.report.wording import number, tick_label

COLOURS: Final = 10
"""Of lines; `style.css` defines them."""
MOST_POINTS: Final = 500
"""More points in one line cannot be seen, and only make the page large."""

_WIDTH, _HEIGHT = 480, 270
_TOP, _BOTTOM, _RIGHT = 30, 46, 10
_LETTER: Final = 7.0
"""Width of a letter, about, in the units of the view box."""
_FEW_POINTS: Final = 15
_BAR: Final = 26

Points = Sequence[tuple[float, float]]


@final
@frozen(kw_only=True)
class Line:
    """One line of a chart.

    Attributes:
        name: in the legend; empty for a line without one.
        deviations: half the height of error bars, by x.
        colour: 1 to 10.
        dotted: whether it is dotted, where there are more lines than colours.
        stairs: whether a value holds until the next point.
        faint: whether it stands back behind the other lines.
    """

    points: Points
    name: str = ""
    deviations: Mapping[float, float] = field(factory=dict)
    colour: int = 1
    dotted: bool = False
    stairs: bool = False
    faint: bool = False

    @property
    def error_bars(self) -> list[tuple[float, float, float]]:
        """(x, low, high); a tenth of a value is left below, because a log axis has no 0."""
        return [
            (x, y - min(self.deviations[x], 0.9 * abs(y)), y + self.deviations[x])
            for x, y in self.points
            if x in self.deviations
        ]


@final
@frozen(kw_only=True)
class Chart:
    """A chart and its legend.

    Attributes:
        names: of its lines, in the order of their colours.
        floor: name of the dashed line; empty where there is none.
        marks: name of the diamonds; likewise.
    """

    svg: Markup
    names: tuple[str, ...] = ()
    floor: str = ""
    marks: str = ""
    caption: str = ""


@final
@frozen
class _Scale:
    """Maps values from `low` to `high` to pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    x_label: str,
    description: str,
    caption: str = "",
    log_x: bool = False,
    log_y: bool = False,
    from_zero: bool = False,
    floors: Sequence[float] = (),
    floor: str = "",
    diamonds: Points = (),
    marks: str = "",
    fewest_points: int = 2,
) -> Chart | None:
    """Lines over whole numbers; None where no line has `fewest_points`.

    Args:
        description: what screen readers say.
        log_x: also marks the axis where there are points; otherwise at round numbers.
        log_y: ignored where a value is 0 or less.
        from_zero: whether a linear y axis includes 0.
        floors: values of dashed lines across, which the legend calls `floor`.
        diamonds: points of no line, which the legend calls `marks`.
    """
    if max((len(line.points) for line in lines), default=0) < fewest_points:
        return None
    x_values = {x for line in lines for x, _ in line.points} | {x for x, _ in diamonds}
    y_values = [y for line in lines for _, y in line.points] + [y for _, y in diamonds]
    y_values += [*floors, *(end for line in lines for _, *ends in line.error_bars for end in ends)]
    log_y = log_y and min(y_values) > sys.float_info.min
    low, high = _with_margin(y_values, log=log_y, from_zero=from_zero)
    y_ticks = log_ticks(low, high) if log_y else linear_ticks(low, high)
    left = 10 + _LETTER * max(len(tick_label(tick)) for tick in y_ticks)
    y_scale = _Scale(low, high, _HEIGHT - _BOTTOM, _TOP, log_y)
    low, high = _with_margin(x_values, log=log_x)
    x_scale = _Scale(low, high, left, _WIDTH - _RIGHT, log_x)
    x_ticks = sorted(x_values) if log_x else linear_ticks(low, high, whole=True)
    parts = [
        *_grid(x_scale, x_ticks, y_scale, y_ticks),
        _text(left, 14, title),
        _text(_WIDTH - _RIGHT, _HEIGHT - 8, x_label, anchor="end"),
        *itertools.chain.from_iterable(_line(line, x_scale, y_scale) for line in lines),
        *(
            _path(f"M{left:.1f} {y_scale(value):.1f}H{_WIDTH - _RIGHT}", "floor")
            for value in floors
        ),
        # Last, because they may lie on a line.
        *(
            _path(f"M{x_scale(x):.1f} {y_scale(y) - 6:.1f}l6 6-6 6-6-6z", "diamond")
            for x, y in diamonds
        ),
    ]
    return Chart(
        svg=_svg(_WIDTH, _HEIGHT, parts, description=description),
        names=tuple(line.name for line in lines if line.name),
        floor=floor if floors else "",
        marks=marks if diamonds else "",
        caption=caption,
    )


def bar_chart(
    names: Sequence[str],
    values: Sequence[float | None],
    *,
    deviations: Sequence[float | None],
    best: Sequence[bool],
    floor: float | None,
    title: str,
    description: str,
) -> Markup:
    """A horizontal bar from 0 for each value, with its number; the best in the second colour.

    The view box's width follows the longest name, so that text has one size in charts beside each
    other.
    """
    left = 10 + _LETTER * max(map(len, names))
    width, bottom = left + 230, _TOP + _BAR * len(names)
    ends = [(v or 0.0) + (d or 0.0) for v, d in zip(values, deviations, strict=True)]
    scale = _Scale(0.0, max(*ends, floor or 0.0, 1e-12), left, width - 60)
    parts = [_text(left, 14, title)]
    for tick in linear_ticks(0.0, scale.high, most=3):
        parts.append(_path(f"M{scale(tick):.1f} {_TOP - 4}V{bottom}", "grid"))
        parts.append(_text(scale(tick), bottom + 18, tick_label(tick), anchor="middle"))
    for k, (name, value, deviation) in enumerate(zip(names, values, deviations, strict=True)):
        y = _TOP + _BAR * k + _BAR // 2
        if value is not None:
            length = max(scale(value) - left, 0.0)
            bar = f"M{left:.1f} {y - 8}h{length:.1f}v16h-{length:.1f}z"
            parts.append(_path(bar, f"bar series-{2 if best[k] else 1}"))
        if value is not None and deviation is not None:
            low, high = scale(max(value - deviation, 0.0)), scale(max(value + deviation, 0.0))
            bar = f"M{low:.1f} {y}H{high:.1f}M{low:.1f} {y - 4}v8M{high:.1f} {y - 4}v8"
            parts.append(_path(bar, "error ink"))
        parts.append(_text(left - 8, y + 4, name, anchor="end"))
        shown = "–" if value is None else number(value)
        parts.append(_text(max(scale(ends[k]), left) + 6, y + 4, shown))
    if floor is not None:
        parts.append(_path(f"M{scale(floor):.1f} {_TOP - 4}V{bottom}", "floor"))
    return _svg(width, bottom + 24, parts, description=description)


def thin(points: Points) -> Points:
    """At most `MOST_POINTS` points at equal distances, with the first and the last."""
    if len(points) <= MOST_POINTS:
        return points
    last = len(points) - 1
    return [points[round(k * last / (MOST_POINTS - 1))] for k in range(MOST_POINTS)]


def log_ticks(low: float, high: float) -> list[float]:
    """Between 2 and 12 round numbers for a logarithmic axis from `low` to `high`, both above 0.

    Powers of ten where there are enough of them; else also three times these, or twice and five
    times; else, for a range within one decade, the round numbers of a linear axis.
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        ticks = [float(f"{factor}e{power}") for power in powers for factor in factors]
        inside = [tick for tick in ticks if low <= tick <= high]
        if 3 <= len(inside) <= 7:  # noqa: PLR2004 - as many as are easily read
            return inside
    if len(powers) > 7:  # noqa: PLR2004 - likewise
        every = math.ceil(len(powers) / 7)
        return [10.0**power for power in powers[::every] if low <= 10.0**power <= high]
    return [tick for tick in linear_ticks(low, high, most=4) if tick > 0]


def linear_ticks(low: float, high: float, *, most: int = 5, whole: bool = False) -> list[float]:
    """About `most` multiples of a round number from `low` to `high`; at least 2 unless `whole`."""
    base = 10.0 ** math.floor(math.log10((high - low) / most))
    factors = (1, 2, 5, 10) if whole else (1, 2, 2.5, 5, 10)
    step = next(base * factor for factor in factors if base * factor * most >= (high - low) * 0.999)
    step = max(step, 1.0) if whole else step
    multiples = range(math.ceil(low / step), math.floor(high / step) + 1)
    return [float(f"{k * step:.12g}") for k in multiples]


def _with_margin(
    values: Iterable[float], *, log: bool, from_zero: bool = False
) -> tuple[float, float]:
    """Ends of an axis that holds all values, and is never of length 0."""
    values = list(values)
    low, high = min(values), max(values)
    if log:
        factor = max(1.15, (high / low) ** 0.05)
        return low / factor, high * factor
    margin = 0.05 * (high - low) or 0.1 * abs(high) or 0.5
    return (0.0 if from_zero and low >= 0 else low - margin), high + margin


def _grid(
    x_scale: _Scale, x_ticks: Iterable[float], y_scale: _Scale, y_ticks: Iterable[float]
) -> Iterator[Markup]:
    for tick in y_ticks:
        y = y_scale(tick)
        yield _path(f"M{x_scale.start:.1f} {y:.1f}H{x_scale.end:.1f}", "grid")
        yield _text(x_scale.start - 7, y + 4, tick_label(tick), anchor="end")
    last_end = -math.inf
    for tick in x_ticks:
        x, label = x_scale(tick), tick_label(tick)
        half = _LETTER * len(label) / 2
        if x - half > last_end:
            last_end = x + half + _LETTER
            yield _path(f"M{x:.1f} {y_scale.start:.1f}V{y_scale.end:.1f}", "grid")
            yield _text(x, y_scale.start + 17, label, anchor="middle")
    yield _path(f"M{x_scale.start:.1f} {y_scale.start:.1f}H{x_scale.end:.1f}", "axis")


def _line(line: Line, x_scale: _Scale, y_scale: _Scale) -> Iterator[Markup]:
    points = [(x_scale(x), y_scale(y)) for x, y in thin(line.points)]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    if line.stairs:
        path = f"{points[0][0]:.1f} {points[0][1]:.1f}"
        path += "".join(f"H{x:.1f}V{y:.1f}" for x, y in points[1:])
    colour = f"series-{line.colour}"
    dotted = " dotted" if line.dotted else ""
    yield _path(f"M{path}", f"line {colour}{' faint' if line.faint else ''}{dotted}")
    if len(points) <= _FEW_POINTS and not line.stairs:
        for x, y in points:
            yield Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3.2"/>').format(
                colour, x, y
            )
    for at, low, high in line.error_bars:
        x, bottom, top = x_scale(at), y_scale(low), y_scale(high)
        bar = f"M{x:.1f} {bottom:.1f}V{top:.1f}M{x - 4:.1f} {bottom:.1f}h8M{x - 4:.1f} {top:.1f}h8"
        yield _path(bar, f"error {colour}")


def _path(steps: str, classes: str) -> Markup:
    return Markup('<path class="{}" d="{}"/>').format(classes, steps)


def _text(x: float, y: float, text: str, *, anchor: str = "start") -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        x, y, anchor, text
    )


def _svg(width: float, height: float, parts: Iterable[Markup], *, description: str) -> Markup:
    opening = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {:.0f} {:.0f}" '
        'role="img" aria-label="{}">'
    ).format(width, height, description)
    return Markup("\n").join([opening, *parts, Markup("</svg>")])
