"""Sizes, durations and counts as text."""

import pytest

from dddm.support.quantities import counted, counted_steps, duration, size


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (614_400_000, "614.4 MB"),
        (63 * 10**9, "63.0 GB"),
        (5 * 10**15, "5.0 PB"),
    ],
)
def test_sizes(size_bytes: int, text: str) -> None:
    """Bytes come with the unit that keeps the number short."""
    assert size(size_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.9, "1 h 00 min"),
        (3720, "1 h 02 min"),
        (3 * 86400 + 4 * 3600 + 59, "3 d 04 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """Seconds become the two largest units, rounded before they are split."""
    assert duration(seconds) == text


def test_counts() -> None:
    """One is singular, thousands are set apart."""
    assert counted(1, "step") == "1 step"
    assert counted(0, "step") == "0 steps"
    assert counted(50_000, "image") == "50,000 images"


def test_evaluations_stand_beside_steps_where_they_differ() -> None:
    """Most samplers make one network evaluation a step, and say nothing of it."""
    assert counted_steps(1, 1) == "1 step"
    assert counted_steps(5, 9) == "5 steps (9 evaluations)"
