"""Numbers as a reader sees them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dddm.report.wording import duration, number, spread, tick_label


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234.5, "1,234"),
        (58.7654, "58.8"),
        (4.5, "4.50"),
        (0.2837, "0.284"),
        (0.0043, "0.0043"),
        (0.0, "0.000"),
        (-1e-13, "0.000"),
        (-0.0, "0.000"),
        (math.nan, "not a number"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
    ],
)
def test_numbers_have_about_three_digits(value: float, text: str) -> None:
    """Large ones no decimals, small ones three digits, rounding errors are 0."""
    assert number(value) == text


@given(st.floats(1e-4, 1e6))
def test_what_is_shown_is_within_half_a_percent(value: float) -> None:
    """Rounding for the eye never changes a number by more than 0.5 %."""
    assert abs(float(number(value).replace(",", "")) - value) <= 0.005 * value


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.44, "0.4 s"),
        (45.4, "45 s"),
        (59.7, "1 min 00 s"),
        (125.0, "2 min 05 s"),
        (3599.9, "1 h 00 min"),
        (3720.0, "1 h 02 min"),
    ],
)
def test_durations_have_two_units(seconds: float, text: str) -> None:
    """Seconds, minutes and hours, carried over where they round up."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0914, "0.091"), (0.2, "0.20"), (1.0, "1.0"), (15.3, "15"), (1234.0, "1,234"), (0.0, "0.0")],
)
def test_a_deviation_has_two_figures(value: float, text: str) -> None:
    """Also where the second is 0, and never a point without a decimal."""
    assert spread(value) == text


def test_powers_of_ten_are_raised() -> None:
    """A factor of one is left out; what has no exponent stays."""
    assert number(1.13e-7) == "1.13 × 10⁻⁷"
    labels = [tick_label(value) for value in (1e8, 3e-5, 42.0, 0.0015, 1000.0, 0.0)]
    assert labels == ["10⁸", "3 × 10⁻⁵", "42", "0.0015", "1,000", "0"]
