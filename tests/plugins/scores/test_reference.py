"""What real images reach is computed once, and the same every time."""

import pytest
import torch

from dddm.interfaces.score import Reference
from dddm.support.moments import statistics_of
from dddm_scores.fidelity import frechet_distance
from dddm_scores.frechet import RESAMPLES, one_resample, resample_distance
from dddm_scores.nearest import held_out_nearest

TRAIN = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))


def test_resamples_are_the_same_every_time() -> None:
    """They depend on the number of images alone, and not on the order of asking."""
    one, other = Reference(train=TRAIN, held_out=None), Reference(train=TRAIN, held_out=None)
    first = resample_distance(one, 50)
    resample_distance(other, 150)
    assert resample_distance(other, 50) == first
    assert resample_distance(one, 50) == first


def test_fewer_images_lie_farther_off() -> None:
    """The distance of a resample falls as it grows: why a score carries its count."""
    reference = Reference(train=TRAIN, held_out=None)
    assert resample_distance(reference, 20) > 2 * resample_distance(reference, 200) > 0


def test_it_is_a_mean_over_resamples() -> None:
    """It equals the mean of the single resamples' distances."""
    reference = Reference(train=TRAIN, held_out=None)
    single = [one_resample(reference, 60, number) for number in range(RESAMPLES)]
    assert resample_distance(reference, 60) == pytest.approx(sum(single) / RESAMPLES)
    assert len(set(single)) == RESAMPLES


def test_statistics_are_those_of_the_training_images() -> None:
    reference = Reference(train=TRAIN, held_out=None)
    assert reference.train_statistics is reference.train_statistics
    assert frechet_distance(reference.train_statistics, statistics_of(TRAIN)) == pytest.approx(
        0, abs=1e-9
    )


def test_held_out_distances() -> None:
    """One for each held-out image; none where none are held out."""
    found = held_out_nearest(Reference(train=TRAIN, held_out=TRAIN[:3] + 0.001))
    assert found is not None
    assert found.tolist() == pytest.approx([0.002] * 3, rel=1e-3)
    assert held_out_nearest(Reference(train=TRAIN, held_out=None)) is None


def test_some_held_out_images_are_chosen_by_lot() -> None:
    """They are distinct, the same every time, not simply the first, and never more than exist."""
    reference = Reference(train=TRAIN, held_out=torch.arange(50.0).reshape(50, 1))
    chosen = reference.sample_held_out(20)
    assert torch.equal(chosen, reference.sample_held_out(20))
    assert len(set(chosen.flatten().tolist())) == 20
    assert chosen.max() > 30
    assert reference.sample_held_out(50).flatten().sort().values.tolist() == list(range(50))
    with pytest.raises(ValueError, match="50 held-out images, not 51"):
        reference.sample_held_out(51)
    with pytest.raises(ValueError, match="0 held-out"):
        Reference(train=TRAIN, held_out=None).sample_held_out(1)
