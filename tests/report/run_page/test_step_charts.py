"""Charts over numbers of steps."""

import re

from dddm.report.run_page.step_charts import Line, change_chart, score_chart


def lines(*values: dict[int, float]) -> list[Line]:
    """Lines without deviations."""
    return [Line(values=one) for one in values]


def paths_of(svg: str, colour: str) -> list[str]:
    """All lines in this colour."""
    return [path for path in re.findall(r"<path[^>]*>", svg) if f"stroke: {colour}" in path]


def heights(path: str) -> list[float]:
    """The y of each of its points, downwards."""
    return [float(y) for y in re.findall(r"[ML] \S+ (\S+)", path.replace('"', " "))]


def test_score_marks_are_the_step_counts() -> None:
    """The axis is marked where there are samples, one line a sampler, and the floor is there."""
    svg = score_chart(lines({1: 58.0, 10: 5.0, 100: 2.0}, {10: 0.6}), floors=[0.28], name="score-1")
    assert svg is not None
    for mark in (">1<", ">10<", ">100<"):
        assert mark in svg
    assert max(len(heights(path)) for path in paths_of(svg, "var(--series-1)")) == 3
    assert "var(--series-2)" in svg
    assert "var(--floor)" in svg


def test_a_floor_below_zero_by_rounding_is_still_drawn() -> None:
    """Where a logarithm has no value the axis is linear."""
    assert score_chart(lines({1: 3.0, 2: 1.0}), floors=[-1e-9], name="score-1") is not None


def test_one_step_count_is_no_curve() -> None:
    """Without two step counts of one sampler there is no chart."""
    assert score_chart(lines({10: 1.0}, {1: 2.0}), floors=[], name="score-1") is None
    assert score_chart([], floors=[], name="score-1") is None


def test_many_samplers_take_colours_in_turn() -> None:
    """A fifth sampler has a colour too."""
    many = lines(*({1: float(k + 2), 2: 1.0} for k in range(5)))
    assert score_chart(many, floors=[], name="score-1") is not None


def test_a_bar_reaches_one_deviation_up_and_down() -> None:
    """On the logarithmic axis 2 ± 1 lies from 1 to 3; one larger than its score stays above 0."""
    plain = score_chart(lines({1: 2.0, 10: 1.0, 100: 3.0}), floors=[], name="score-1")
    line = Line(values={1: 2.0, 10: 1.0, 100: 3.0}, deviations={1: 1.0})
    with_bar = score_chart([line], floors=[], name="score-1")
    assert plain is not None
    assert with_bar is not None
    assert len(paths_of(with_bar, "var(--series-1)")) > len(paths_of(plain, "var(--series-1)"))
    curve, bar = (heights(path) for path in paths_of(with_bar, "var(--series-1)") if "clip" in path)
    assert sorted(bar) == sorted(curve[1:])
    wide = Line(values={1: 2.0, 10: 1.0}, deviations={1: 5.0, 10: 1.0})
    assert score_chart([wide], floors=[], name="score-1") is not None


def test_the_papers_points_are_marks_without_a_line() -> None:
    """They widen the axes to where they lie, also at steps that were not drawn here."""
    svg = score_chart(
        lines({1: 58.0, 2: 50.0}), floors=[], name="score-1", paper={1: 2.9, 1000: 1.87}
    )
    assert svg is not None
    assert ">1,000<" in svg
    assert svg.count("<use ") >= 4
    assert all(len(heights(path)) != 2 for path in paths_of(svg, "var(--ink-soft)"))


def test_change_is_drawn_from_two_steps_on() -> None:
    """Median and largest in two colours; an image that stays where it is needs a linear axis."""
    assert change_chart(steps=[1], median=[0.5], largest=[1.0], name="change-1") is None
    for last in (1e-7, 0.0):
        svg = change_chart(
            steps=[1, 2, 5], median=[0.5, 0.1, last], largest=[1.0, 0.5, 0.2], name="change-1"
        )
        assert svg is not None
        assert len(heights(paths_of(svg, "var(--series-1)")[0])) == 3
        assert len(heights(paths_of(svg, "var(--series-2)")[0])) == 3
