"""Each score stands beside what real images reach."""

from typing import Any, NamedTuple

import pytest
import torch

from dddm.interfaces.features import Extraction
from dddm.interfaces.measurement import Floor
from dddm.interfaces.plugin import NoOptions
from dddm.interfaces.score import Reference, Score
from dddm.support.moments import statistics_of
from dddm_scores.fidelity import frechet_distance
from dddm_scores.frechet import FrechetDistance, resample_distance
from dddm_scores.inception_score import InceptionScore
from dddm_scores.nearest import Nearest
from dddm_scores.options import InceptionScoreOptions


def real(seed: int, count: int) -> torch.Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))


def measure(score: Score, name: str, generated: torch.Tensor, reference: Reference) -> "Scored":
    both: dict[str, Any] = {
        "generated": Extraction(features=generated),
        "reference": reference,
    }
    found = score.measure(**both)[name]
    return Scored(found.value, tuple(score.floors(**both).get(name, ())), found.details)


class Scored(NamedTuple):
    value: float
    floors: tuple[Floor, ...]
    details: dict[str, float]


def measure_frechet(generated: torch.Tensor, reference: Reference) -> Scored:
    return measure(FrechetDistance(NoOptions()), "fd", generated, reference)


def measure_nearest(generated: torch.Tensor, reference: Reference) -> Scored:
    return measure(Nearest(NoOptions()), "nearest", generated, reference)


TRAIN, HELD_OUT = real(0, 400), real(1, 80)
REFERENCE = Reference(train=TRAIN, held_out=HELD_OUT)


def test_frechet_value_and_floors() -> None:
    """The held-out floor compares like with like: as many real as generated images."""
    generated = real(2, 300) + 2
    found = measure_frechet(generated, REFERENCE)
    resample, held_out = found.floors
    assert found.value == frechet_distance(statistics_of(generated), statistics_of(TRAIN))
    assert (resample.name, resample.images) == ("resample", 300)
    assert resample.value == resample_distance(REFERENCE, 300)
    assert (held_out.name, held_out.images) == ("held-out", 80)
    real_value = frechet_distance(statistics_of(HELD_OUT), statistics_of(TRAIN))
    assert held_out.value == pytest.approx(real_value, rel=1e-9)
    assert held_out.generated_value == frechet_distance(
        statistics_of(generated[:80]), statistics_of(TRAIN)
    )


def test_fewer_generated_than_held_out() -> None:
    """Then as many held-out images are taken as were generated, and both counts agree."""
    generated = real(3, 30)
    found = measure_frechet(generated, REFERENCE)
    assert found.floors[1].images == 30
    assert found.floors[1].generated_value == pytest.approx(found.value)


def test_real_images_score_like_their_floor() -> None:
    """New images of the same distribution do as well as held-out ones; shifted ones do not."""
    good = measure_frechet(real(4, 80), REFERENCE)
    assert good.value < 2.5 * good.floors[1].value
    bad = measure_frechet(real(4, 80) + 1, REFERENCE)
    assert bad.value > 10 * bad.floors[1].value


def test_without_held_out_images() -> None:
    """The resample remains as the only floor; nearest has none."""
    alone = Reference(train=TRAIN, held_out=None)
    assert [floor.name for floor in measure_frechet(real(5, 50), alone).floors] == ["resample"]
    found = measure_nearest(real(5, 50), alone)
    assert found.floors == ()
    assert found.details == {}


def test_copies_show() -> None:
    """Copies of training images lie at 0 and are all close; new images are as far as held-out."""
    copies = measure_nearest(TRAIN[:100], REFERENCE)
    assert copies.value == 0
    assert copies.details["close_share"] == 1
    new = measure_nearest(real(6, 100), REFERENCE)
    assert new.value == pytest.approx(new.details["held_out_median"], rel=0.3)
    assert new.details["close_share"] < 0.1
    assert new.floors[0].value == new.details["held_out_median"]
    assert new.floors[0].images == 80


def test_an_inception_score_is_of_the_logits() -> None:
    """Features that guess one class surely do not matter where the logits guess nothing."""
    surely = 50 * torch.eye(5).repeat(20, 1)
    generated = Extraction(features=surely, logits=torch.zeros(100, 5))
    score = InceptionScore(InceptionScoreOptions())
    reference = Reference(
        train=surely, train_logits=surely, held_out=surely, held_out_logits=torch.zeros(100, 5)
    )
    assert score.measure(generated=generated, reference=reference)["is"].value == pytest.approx(1)
    training, held_out = score.floors(generated=generated, reference=reference)["is"]
    assert (training.name, training.images) == ("training", 100)
    assert training.value > 3
    assert (held_out.name, held_out.images) == ("held-out", 100)
    assert held_out.value == pytest.approx(1)
