"""The learning rate over a run."""

import pytest

from dddm.method.learning_rate import learning_rate_at


def rates(drops: list[float]) -> list[float]:
    return [
        learning_rate_at(step=step, total_steps=10, first=1.0, drops=drops, factor=0.5)
        for step in range(10)
    ]


def test_it_is_constant_without_drops() -> None:
    """The paper's setting."""
    assert rates([]) == [1.0] * 10


def test_it_falls_at_each_drop() -> None:
    """The step at a drop's fraction of the run is the first with the lower rate."""
    assert rates([0.3, 0.7]) == pytest.approx([1] * 3 + [0.5] * 4 + [0.25] * 3)


def test_it_warms_up() -> None:
    """It rises by equal amounts to the full rate, and drops count from there."""
    found = [
        learning_rate_at(
            step=step, total_steps=10, first=1.0, drops=[0.5], factor=0.5, warmup_steps=4
        )
        for step in range(7)
    ]
    assert found == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 0.5, 0.5])
