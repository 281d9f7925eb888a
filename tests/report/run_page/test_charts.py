"""Charts of what was logged, whatever was logged."""

import math
import re

import attrs
import matplotlib as mpl
import pytest
from measures import FD

from dddm.interfaces.info import DiagnosisInfo
from dddm.report.run_page.charts import (
    diagnosis_chart,
    learning_rate_chart,
    loss_chart,
    training_score_chart,
)
from dddm.report.run_page.history import DiagnosisPoint


def points_of(svg: str, colour: str) -> int:
    """Most points of any line in this colour."""
    lines = [path for path in re.findall(r"<path[^>]*>", svg) if f"stroke: {colour}" in path]
    return max(len(re.findall(r"[ML] ", path)) for path in lines)


def test_a_long_loss_curve_stays_small() -> None:
    """Ten thousand steps are drawn as at most 500 points, and the window follows the length."""
    chart = loss_chart(step=range(1, 10_001), loss=[2.0 + math.sin(k) for k in range(10_000)])
    assert chart is not None
    assert chart.window == 250
    assert 2 < points_of(chart.svg, "var(--series-1)") <= 500
    assert len(chart.svg) < 60_000


def test_losses_that_no_log_axis_can_show_are_left_out() -> None:
    """Not a number, infinity, zero and negative losses cost only themselves."""
    loss = [1.0, math.nan, math.inf, 0.0, -1.0, 0.5, 0.25]
    chart = loss_chart(step=range(1, 8), loss=loss)
    assert chart is not None
    assert points_of(chart.svg, "var(--series-1)") == 3


@pytest.mark.parametrize("loss", [[], [1.0], [math.nan, 1.0], [0.0, 0.0]])
def test_there_is_no_curve_of_one_point(loss: list[float]) -> None:
    """Below two points that can be shown there is no chart."""
    assert loss_chart(step=range(1, len(loss) + 1), loss=loss) is None


@pytest.mark.parametrize("loss", [[1.0, 1.0], [1e-9, 1e9], [3e-5, 3.1e-5]])
def test_any_range_of_losses_is_drawn(loss: list[float]) -> None:
    """A constant loss, a loss over eighteen decades, and one that hardly moves."""
    assert loss_chart(step=[1, 2], loss=loss) is not None


def test_learning_rates_are_drawn_from_zero() -> None:
    """A constant rate, a falling one and a rate of 0 all have a chart; one point has none."""
    for rates in ([2e-3] * 5, [2e-3, 5e-4, 5e-4, 5e-4, 5e-4], [0.0] * 5):
        svg = learning_rate_chart(step=range(5), learning_rate=rates)
        assert svg is not None
        assert ">0<" in svg
    assert learning_rate_chart(step=[1], learning_rate=[1e-3]) is None


FACTS = DiagnosisInfo(
    title="Leak",
    measured="mean squared error",
    curves=(("given_store", "given store"), ("given_noise", "given noise")),
    floor=("data_variance", "data variance"),
)


def point(epochs: int, **more: float) -> DiagnosisPoint:
    """A point of the diagnosis."""
    numbers = {"given_store": 0.3, "given_noise": 0.4, "data_variance": 0.29, **more}
    return DiagnosisPoint(epochs=epochs, numbers=numbers)


def test_a_diagnosis_shows_its_curves_and_its_floor() -> None:
    """Two curves in two colours and a dashed line, at one point as at a thousand."""
    for count in (1, 20, 1000):
        svg = diagnosis_chart([point(k + 1) for k in range(count)], facts=FACTS)
        assert svg is not None
        for colour in ("var(--series-1)", "var(--series-2)", "var(--floor)"):
            assert colour in svg
        assert "mean squared error" in svg
    assert diagnosis_chart([], facts=FACTS) is None


def test_a_diagnosis_without_a_floor_has_no_line_across() -> None:
    """One curve is one colour."""
    facts = attrs.evolve(FACTS, curves=FACTS.curves[:1], floor=None)
    svg = diagnosis_chart([point(1), point(2)], facts=facts)
    assert svg is not None
    assert "var(--series-1)" in svg
    assert "var(--series-2)" not in svg
    assert "var(--floor)" not in svg


def test_points_that_lack_a_number_are_left_out() -> None:
    """An objective that once did not measure what it declares costs one point, and no page."""
    bare = DiagnosisPoint(epochs=1, numbers={"given_store": 0.3})
    assert diagnosis_chart([bare], facts=FACTS) is None
    svg = diagnosis_chart([bare, point(2)], facts=FACTS)
    assert svg is not None
    assert svg == diagnosis_chart([point(2)], facts=FACTS)


def test_drawing_leaves_no_setting_behind() -> None:
    """What a user of matplotlib has set is as it was."""
    before = dict(mpl.rcParams)
    diagnosis_chart([point(1)], facts=FACTS)
    assert dict(mpl.rcParams) == before


def test_scores_during_training_need_two_epochs() -> None:
    """One point is no curve; two are, with one line for each step count."""
    assert training_score_chart({}, measure=FD) is None
    assert training_score_chart({1: {2: 5.0}, 2: {2: 4.0}}, measure=FD) is None
    chart = training_score_chart({1: {2: 5.0, 4: 3.0}, 2: {2: 4.0, 4: 2.5}}, measure=FD)
    assert chart is not None
    assert "<svg" in chart
    assert "Fréchet distance during training" in chart
