"""Sentences about scores appear where the numbers say so, and nowhere else."""

from typing import Any

import attrs
import pytest
from measures import measure_of

from dddm.evaluate.record import ScoreRecord
from dddm.evaluate.verdicts import verdicts
from dddm.interfaces.measurement import Baseline, Floor
from dddm_scores import AUTHENTICITY, DENSITY_COVERAGE, PRECISION_RECALL

MEASURES = {one.name: one for one in (*PRECISION_RECALL, *DENSITY_COVERAGE, *AUTHENTICITY)}


def score(
    name: str,
    value: float,
    *,
    gaussian: float | None = None,
    held_out: float | None = None,
    **changes: Any,
) -> ScoreRecord:
    floors = () if held_out is None else (Floor(name="held-out", value=held_out, images=90),)
    baselines = [Baseline(name="class-means", words="means", value=0.0, images=100)]
    if gaussian is not None:
        words = "a Gaussian for each class"
        baselines.append(Baseline(name="class-gaussian", words=words, value=gaussian, images=100))
    made = ScoreRecord(
        measure=MEASURES.get(name) or measure_of(name),
        name=f"{name}-pixels@100",
        value=value,
        sampler="annealed",
        steps=2,
        images=100,
        reference_images=1500,
        floors=floors,
        baselines=tuple(baselines),
    )
    return attrs.evolve(made, **changes)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("fd", 19.3, True),
        ("fd", 19.2, True),
        ("fd", 19.1, False),
        ("is", 19.1, True),
        ("is", 19.2, True),
        ("is", 19.3, False),
        ("precision", 0.5, True),
        ("density", 0.5, True),
        ("recall", 1.0, False),
        ("coverage", 1.0, False),
        ("authenticity", 1.0, False),
        ("nearest", 30.0, False),
    ],
)
def test_not_better_than_a_gaussian(name: str, value: float, *, said: bool) -> None:
    """In the direction of the measure; diversity and checks say nothing about objects anyway."""
    found = list(verdicts([score(name, value, gaussian=19.2)]))
    assert bool(found) == said
    if said:
        assert found[0].startswith(f"{name}-pixels@100 shows nothing about objects")
        assert "a Gaussian for each class reaches 19.2" in found[0]
        assert found[0].endswith(f": {value:g} (annealed, 2 steps)")


def test_without_a_gaussian_nothing_is_said() -> None:
    assert not list(verdicts([score("fd", 1e9)]))


def test_all_sets_of_one_score_share_a_sentence() -> None:
    """Of those that are better nothing is said; scaled as on the terminal."""
    of_kid = [
        score("kid", value, gaussian=0.02, steps=steps, evaluations=steps)
        for steps, value in ((1, 0.03), (2, 0.01), (10, 0.025))
    ]
    (sentence,) = verdicts(of_kid)
    assert "reaches 20," in sentence
    assert sentence.endswith("30 (annealed, 1 step), 25 (annealed, 10 steps)")
