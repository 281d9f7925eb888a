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
