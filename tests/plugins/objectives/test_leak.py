"""The leak diagnostic."""

from collections.abc import Mapping

import pytest
import torch
from toys import SHAPE, ToyBackbone, ToySchedule

from dddm.core.denoiser import ScheduledDenoiser
from dddm.interfaces.objective import Batch, Diagnosis, TrainingProgress
from dddm.support.noise import noise_by_index
from dddm_objectives.directly_denoising import DirectlyDenoising
from dddm_objectives.leak import data_variance
from dddm_objectives.options import DirectlyDenoisingOptions, describe_directly_denoising


def measure(
    weights: tuple[float, float, float], *, stored: torch.Tensor, x_0: torch.Tensor
) -> Mapping[str, float]:
    """The diagnosis of the objective, of a network with these weights."""
    backbone = ToyBackbone()
    backbone.weights.data.copy_(torch.tensor(weights))
    index = torch.arange(len(x_0))

    def noise(purpose: str) -> torch.Tensor:
        return noise_by_index(seed=3, purpose=purpose, index=index, shape=SHAPE.as_tuple)

    return DirectlyDenoising(DirectlyDenoisingOptions()).diagnose(
        Diagnosis(
            denoiser=ScheduledDenoiser(schedule=ToySchedule(), backbone=backbone),
            batch=Batch(index=index, x_0=x_0, label=None, rows=index),
            memory={"estimate": stored},
            progress=TrainingProgress(step=0, total_steps=1, epoch=0),
            noise=noise,
        )
    )


def test_a_network_that_copies_its_estimate_leaks_all() -> None:
    """F = x̂ with the image in the store: no error given the store, 1 + E x_0² given noise."""
    x_0 = torch.rand(400, *SHAPE.as_tuple) * 2 - 1
    leak = measure((-1.0, 1.0, 0.0), stored=x_0, x_0=x_0)
    assert leak["given_store"] == pytest.approx(0, abs=1e-10)
    assert leak["given_noise"] == pytest.approx(1 + 1 / 3, rel=0.05)
    assert leak["lipschitz"] == pytest.approx(1, rel=1e-5)


def test_the_store_is_what_is_given() -> None:
    """F = x̂ with half the image in the store: an error of E x_0²/4, whatever is in the images."""
    x_0 = torch.rand(400, *SHAPE.as_tuple) * 2 - 1
    leak = measure((-1.0, 1.0, 0.0), stored=x_0 / 2, x_0=x_0)
    assert leak["given_store"] == pytest.approx(float(x_0.square().mean()) / 4, rel=1e-5)


def test_a_network_that_ignores_its_estimate_leaks_nothing() -> None:
    """F = 0 has the same error, E x_0², given either, and does not move with x̂."""
    x_0 = torch.rand(400, *SHAPE.as_tuple) * 2 - 1
    leak = measure((0.0, 1.0, 0.0), stored=x_0, x_0=x_0)
    assert leak["given_store"] == pytest.approx(leak["given_noise"])
    assert leak["given_store"] == pytest.approx(float(x_0.square().mean()), rel=1e-5)
    assert leak["lipschitz"] == 0


def test_the_noise_in_the_place_of_the_store_is_not_that_of_the_images() -> None:
    """Of images that are 0, with f = x_T − x̂: the same noise would cancel, other noise adds up."""
    x_0 = torch.zeros(400, *SHAPE.as_tuple)
    leak = measure((1.0, 0.0, 0.0), stored=x_0, x_0=x_0)
    assert leak["given_store"] == pytest.approx(1, rel=0.05)
    assert leak["given_noise"] == pytest.approx(2, rel=0.05)
    assert leak["lipschitz"] == pytest.approx(1, rel=1e-5)


def test_variance_is_the_error_of_the_mean_image() -> None:
    """The best constant guess, the mean image, errs by the data's variance."""
    x_0 = torch.randn(50, *SHAPE.as_tuple) + torch.randn(SHAPE.as_tuple) * 5
    expected = float((x_0 - x_0.mean(0)).square().mean())
    assert data_variance(x_0) == pytest.approx(expected, rel=1e-5)
    leak = measure((0.0, 1.0, 0.0), stored=x_0, x_0=x_0)
    assert leak["data_variance"] == data_variance(x_0)


def test_what_it_measures_is_what_the_report_draws() -> None:
    """The curves and the floor that the objective declares are among its numbers."""
    facts = describe_directly_denoising(DirectlyDenoisingOptions()).diagnosis
    assert facts is not None
    assert facts.floor is not None
    x_0 = torch.rand(8, *SHAPE.as_tuple)
    measured = measure((0.0, 1.0, 0.0), stored=x_0, x_0=x_0)
    assert {name for name, _ in (*facts.curves, facts.floor)} <= measured.keys()
