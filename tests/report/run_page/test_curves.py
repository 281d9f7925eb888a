"""Few points that still are the curve."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dddm.report.run_page.curves import log_ticks, running_mean, thin

values = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60)


@given(values, st.integers(1, 70))
def test_running_mean_is_the_mean_of_the_last_values(series: list[float], window: int) -> None:
    """Each entry is the plain mean over itself and up to window − 1 values before it."""
    wanted = [np.mean(series[max(0, k + 1 - window) : k + 1]) for k in range(len(series))]
    np.testing.assert_allclose(running_mean(series, window=window), wanted, atol=1e-9)


@given(st.integers(1, 5000), st.integers(2, 500))
def test_thinning_keeps_both_ends_and_the_order(count: int, most: int) -> None:
    """At most so many indices, strictly rising, from the first point to the last."""
    index = thin(count, most=most)
    assert len(index) == min(count, most)
    assert (index[0], index[-1]) == (0, count - 1)
    assert (np.diff(index) > 0).all()


@given(st.floats(1e-9, 1e9), st.floats(1.3, 1e12))
def test_a_log_axis_always_has_marks_within_it(low: float, ratio: float) -> None:
    """At least two marks and no more than a dozen, rising, all within the axis."""
    high = low * ratio
    marks = log_ticks(low, high)
    assert 2 <= len(marks) <= 12
    assert all(low <= mark <= high for mark in marks)
    assert all(a < b for a, b in itertools.pairwise(marks))


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [
        (0.5, 200.0, [1.0, 10.0, 100.0]),
        (0.25, 70.0, [0.3, 1.0, 3.0, 10.0, 30.0]),
        (0.4, 4.0, [0.5, 1.0, 2.0]),
    ],
)
def test_marks_are_round(low: float, high: float, marks: list[float]) -> None:
    """Powers of ten, or also three times these, or one, two and five times these."""
    assert log_ticks(low, high) == pytest.approx(marks)
