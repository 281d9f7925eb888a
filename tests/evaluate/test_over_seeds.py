"""Seeds are averaged over, and nothing else is."""

from typing import Any

import pytest
from measures import measure_of

from dddm.evaluate.record import DEVIATION, ScoreRecord, over_seeds
from dddm.interfaces.measurement import Floor


def score(
    seed: int, value: float, *, steps: int = 1, name: str = "fd", **facts: Any
) -> ScoreRecord:
    """A score of one set of samples."""
    return ScoreRecord(
        measure=measure_of(name),
        name=f"{name}-pixels@10",
        value=value,
        sampler="fixed-time",
        steps=steps,
        images=10,
        reference_images=100,
        floors=(Floor(name="held-out", value=0.5, images=5, generated_value=value + 1),),
        details={"deviation_over_subsets": value / 10},
        provenance={
            "samples": {"seed": seed, "sha256": str(seed) * 64, "weights": "ema", **facts},
            "formula": {"ddof": 1},
        },
    )


def test_mean_and_deviation() -> None:
    """Of values and details over three seeds; each set stands in the provenance."""
    (found,) = over_seeds([score(0, 2.0, seconds=3), score(1, 3.0, seconds=4), score(2, 7.0)])
    assert found.value == pytest.approx(4.0)
    assert found.details[DEVIATION] == pytest.approx(7**0.5)
    assert found.details["deviation_over_subsets"] == pytest.approx(0.4)
    assert found.floors[0].value == 0.5
    assert found.floors[0].generated_value == pytest.approx(5.0)
    assert [(one["seed"], one["value"]) for one in found.provenance["sets"]] == [
        (0, 2.0),
        (1, 3.0),
        (2, 7.0),
    ]


def test_what_differs_otherwise_stays_apart() -> None:
    """Other steps, measures, weights or options are other scores, in their order."""
    scores = [
        score(0, 1.0),
        score(1, 2.0, steps=2),
        score(1, 3.0, name="kid"),
        score(1, 4.0, weights="best ema"),
        score(1, 5.0, sampler_options={"clamp": False}),
    ]
    assert over_seeds(scores) == tuple(scores)
    assert over_seeds([]) == ()


def test_a_set_that_was_drawn_twice_counts_once() -> None:
    """Two sets of one seed are no sample of seeds."""
    scores = (score(0, 1.0), score(0, 1.0))
    assert over_seeds(scores) == scores
