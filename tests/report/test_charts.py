"""Charts are small, well-formed, and hold what they are given."""

import itertools
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dddm.report.charts import (
    MOST_POINTS,
    Chart,
    Line,
    bar_chart,
    line_chart,
    linear_ticks,
    log_ticks,
    thin,
)


def draw(*lines: Line, **settings: object) -> Chart:
    named = {"title": "loss", "x_label": "steps", "description": "Loss over steps", **settings}
    chart = line_chart(lines, **named)  # type: ignore[arg-type]  # by name
    assert chart is not None
    ET.fromstring(chart.svg)  # noqa: S314 - our own output
    return chart


def paths(svg: str, name: str) -> list[str]:
    return re.findall(rf'class="{name}[^"]*" d="([^"]*)"', svg)


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_a_long_line_stays_small() -> None:
    points = [(float(k), 2.0 + k % 7) for k in range(10_000)]
    (path,) = paths(draw(Line(points=points), log_y=True).svg, "line")
    assert path.count("L") == MOST_POINTS - 1


def test_below_two_points_there_is_no_chart() -> None:
    settings = {"title": "", "x_label": "", "description": ""}
    assert line_chart([], **settings) is None  # type: ignore[arg-type]  # by name
    one = [Line(points=[(1, 2.0)]), Line(points=[(2, 2.0)])]
    assert line_chart(one, **settings) is None  # type: ignore[arg-type]  # by name
    assert draw(*one, fewest_points=1, from_zero=True).svg


@given(
    st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=5), st.booleans(), st.booleans(),
    st.integers(1, 10**6),
)  # fmt: skip
def test_any_values_are_drawn_within_the_chart(
    values: list[float],
    log: bool,  # noqa: FBT001 - hypothesis passes it by name
    from_zero: bool,  # noqa: FBT001 - hypothesis passes it by name
    first: int,
) -> None:
    points = [(first + k, value) for k, value in enumerate(values)]
    chart = draw(Line(points=points), log_x=log, log_y=log, from_zero=from_zero, fewest_points=1)
    for x, y in re.findall(r'cx="([^"]+)" cy="([^"]+)"', chart.svg):
        assert 0 <= float(x) <= 480
        assert 30 <= float(y) <= 224


def test_step_counts_are_marked_and_floors_and_diamonds_drawn() -> None:
    chart = draw(
        Line(name="one", points=[(1, 58.0), (10, 5.0), (100, 2.0)]),
        Line(name="two", points=[(10, 0.6)], colour=2),
        log_x=True, log_y=True, floors=[0.28], floor="resample",
        diamonds=[(1000, 1.87)], marks="the paper",
    )  # fmt: skip
    assert {"1", "10", "100", "1,000", "loss", "steps"} <= set(texts(chart.svg))
    assert (chart.names, chart.floor, chart.marks) == (("one", "two"), "resample", "the paper")
    assert [len(paths(chart.svg, name)) for name in ("line", "floor", "diamond")] == [2, 1, 1]
    plain = draw(Line(points=[(1, 1.0), (2, 2.0)]), floor="resample", marks="the paper")
    assert (plain.names, plain.floor, plain.marks) == ((), "", "")


def test_a_value_of_0_makes_the_axis_linear() -> None:
    chart = draw(Line(points=[(1, 0.5), (2, 0.0)]), log_y=True, from_zero=True)
    assert {"0", "0.2", "0.4"} <= set(texts(chart.svg))


def test_error_bars_reach_one_deviation_up_and_down() -> None:
    points = [(1, 2.0), (10, 1.0), (100, 3.0)]
    line = Line(points=points, deviations={1: 1.0})
    assert line.error_bars == [(1, 1.0, 3.0)]
    svg = draw(line, log_x=True, log_y=True).svg
    curve = [float(y) for y in re.findall(r"[ML ]\S+ ([\d.]+)", paths(svg, "line")[0])]
    bar = [float(y) for y in re.findall(r"[\d.]+ ([\d.]+)[Vh]", paths(svg, "error")[0])]
    assert bar[1:] == curve[1:]
    # Longer than its value, a bar still ends above 0.
    assert Line(points=points, deviations={1: 5.0}).error_bars[0][1] > 0


def test_stairs_hold_a_value_until_the_next() -> None:
    (path,) = paths(draw(Line(points=[(1, 2.0), (2, 1.0)], stairs=True)).svg, "line")
    assert re.fullmatch(r"M\S+ \S+H[\d.]+V[\d.]+", path)


def test_text_is_escaped_and_nothing_has_an_id() -> None:
    evil = '"><script>x</script>'
    chart = draw(Line(points=[(1, 1.0), (2, 2.0)]), title=evil, description=evil)
    assert "<script" not in chart.svg
    assert "id=" not in chart.svg
    assert ET.fromstring(chart.svg).get("aria-label") == evil  # noqa: S314 - our own output


def test_bars_show_names_numbers_the_best_and_the_floor() -> None:
    svg = bar_chart(
        ["far", "slow", "last"], [9.0, 8.0, None], deviations=[None, 2.0, None],
        best=[False, True, False], floor=0.5, title="1 step", description="fd",
    )  # fmt: skip
    assert ET.fromstring(svg).get("aria-label") == "fd"  # noqa: S314 - our own output
    assert {"far", "slow", "last", "9.00", "8.00", "–", "1 step"} <= set(texts(svg))
    nine, eight = (float(re.findall(r"h([\d.]+)v", path)[0]) for path in paths(svg, "bar"))
    assert eight < nine
    assert [len(paths(svg, name)) for name in ("bar series-1", "bar series-2", "floor")] == [1] * 3
    (bar,) = paths(svg, "error")
    left = float(re.findall(r"M([\d.]+) \d+h", svg)[0])
    low, high = (float(x) for x in re.findall(r"^M([\d.]+) \d+H([\d.]+)", bar)[0])
    assert (low + high) / 2 == pytest.approx(left + eight, abs=0.1)


@given(st.integers(1, 5000))
def test_thinning_keeps_both_ends_and_the_order(count: int) -> None:
    points = [(float(k), 0.0) for k in range(count)]
    kept = thin(points)
    assert len(kept) == min(count, MOST_POINTS)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert all(a < b for a, b in itertools.pairwise(kept))


@given(st.floats(1e-9, 1e9), st.floats(1.3, 1e12))
def test_an_axis_has_ticks_within_it(low: float, ratio: float) -> None:
    high = low * ratio
    for ticks, fewest in ((log_ticks(low, high), 2), (linear_ticks(low, high), 2)):
        assert fewest <= len(ticks) <= 12
        assert all(low * 0.999 <= tick <= high * 1.001 for tick in ticks)
        assert all(a < b for a, b in itertools.pairwise(ticks))


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.5, 200.0, [1.0, 10.0, 100.0]),
        (0.25, 70.0, [0.3, 1.0, 3.0, 10.0, 30.0]),
        (0.4, 4.0, [0.5, 1.0, 2.0]),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert log_ticks(low, high) == ticks
