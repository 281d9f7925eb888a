"""The leak diagnostic."""

import pytest
import torch
from toys import SHAPE, ToyBackbone, ToySchedule

from dddm.method.denoiser import ScheduledDenoiser
from dddm.method.leak import Leak, data_variance, measure_leak


def measure(
    weights: tuple[float, float, float], *, stored: torch.Tensor, x_0: torch.Tensor
) -> Leak:
    backbone = ToyBackbone()
    backbone.weights.data.copy_(torch.tensor(weights))
    model = ScheduledDenoiser(schedule=ToySchedule(), backbone=backbone)
    return measure_leak(
        model=model,
        x_0=x_0,
        stored_estimate=stored,
        noise=torch.randn_like(x_0),
        noise_estimate=torch.randn_like(x_0),
        label=None,
    )


def test_a_network_that_copies_its_estimate_leaks_all() -> None:
    """F = x̂ with the image in the store: no error given the store, 1 + E x_0² given noise."""
    x_0 = torch.rand(400, *SHAPE.as_tuple) * 2 - 1
    leak = measure((-1.0, 1.0, 0.0), stored=x_0, x_0=x_0)
    assert leak.given_store == pytest.approx(0, abs=1e-10)
    assert leak.given_noise == pytest.approx(1 + 1 / 3, rel=0.05)
    assert leak.lipschitz == pytest.approx(1, rel=1e-5)


def test_a_network_that_ignores_its_estimate_leaks_nothing() -> None:
    """F = 0 has the same error, E x_0², given either, and does not move with x̂."""
    x_0 = torch.rand(400, *SHAPE.as_tuple) * 2 - 1
    leak = measure((0.0, 1.0, 0.0), stored=x_0, x_0=x_0)
    assert leak.given_store == pytest.approx(leak.given_noise)
    assert leak.given_store == pytest.approx(float(x_0.square().mean()), rel=1e-5)
    assert leak.lipschitz == 0


def test_variance_is_the_error_of_the_mean_image() -> None:
    """The best constant guess, the mean image, errs by the data's variance."""
    x_0 = torch.randn(50, *SHAPE.as_tuple) + torch.randn(SHAPE.as_tuple) * 5
    expected = float((x_0 - x_0.mean(0)).square().mean())
    assert data_variance(x_0) == pytest.approx(expected, rel=1e-5)
