"""Anderson's acceleration of algorithm 2, on maps whose fixed points are known."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from toy_denoisers import Cache, ToyDenoiser, mixing, no_noise

from dddm_samplers.accelerated import Accelerated, least_residual_weights
from dddm_samplers.fixed_time import FixedTime
from dddm_samplers.options import AcceleratedOptions, FixedTimeOptions
from dddm_schedules.discrete import vp
from dddm_schedules.options import VpOptions

SCHEDULE = vp(VpOptions())
LABEL = torch.tensor([3, 0, 7])


def noises(seed: int) -> tuple[Tensor, Tensor]:
    """x_T and the first estimate of three images, float64."""
    generator = torch.Generator().manual_seed(seed)
    x_T, first = torch.randn(2, 3, 1, 2, 3, generator=generator, dtype=torch.float64)
    return x_T, first


def slowly(cache: Cache, estimate: Tensor) -> Tensor:
    """An affine contraction with six rates from 0.5 to 0.95 and the fixed point 0.3 tanh x_t."""
    rate = torch.linspace(0.5, 0.95, 6, dtype=torch.float64).reshape(1, 1, 2, 3)
    fixed = 0.3 * cache.x_t.tanh()
    return fixed + rate * (estimate - fixed)


def error_after(steps: int, *, history: int) -> float:
    """Largest distance to the fixed point of what the network gave last."""
    x_T, first = noises(0)
    sampler = Accelerated(AcceleratedOptions(history=history, ridge=1e-14, clamp=False))
    model = ToyDenoiser(SCHEDULE, slowly)
    *_, last = sampler.sample(
        model=model, x_T=x_T, first_estimate=first, label=LABEL, steps=steps, noise=no_noise
    )
    assert len(model.refined) == steps
    return float((last - 0.3 * x_T.tanh()).abs().max())


def test_an_affine_map_is_solved_in_as_many_steps_as_it_has_rates() -> None:
    """Six rates: after nine evaluations it is at the fixed point; plain steps are far away."""
    assert error_after(9, history=7) < 1e-9
    assert error_after(9, history=1) > 0.5


@given(st.integers(0, 1000), st.integers(1, 8), st.booleans())
def test_a_history_of_one_is_algorithm_2(seed: int, steps: int, clamp: bool) -> None:  # noqa: FBT001
    """Nothing to mix: the estimates of `fixed-time`."""
    x_T, first = noises(seed)
    runs = [
        list(
            sampler.sample(
                model=ToyDenoiser(SCHEDULE, mixing),
                x_T=x_T,
                first_estimate=first,
                label=LABEL,
                steps=steps,
                noise=no_noise,
            )
        )
        for sampler in (
            Accelerated(AcceleratedOptions(history=1, clamp=clamp)),
            FixedTime(FixedTimeOptions(clamp=clamp)),
        )
    ]
    for one, other in zip(*runs, strict=True):
        torch.testing.assert_close(one, other)


@given(st.integers(0, 1000), st.integers(1, 6))
def test_weights_sum_to_one_and_are_least(seed: int, history: int) -> None:
    """No other weights that sum to 1 give a smaller residual."""
    generator = torch.Generator().manual_seed(seed)
    residual = torch.randn(2, history, 9, generator=generator, dtype=torch.float64)
    weight = least_residual_weights(residual, ridge=1e-12)
    torch.testing.assert_close(weight.sum(dim=1), torch.ones(2, dtype=torch.float64))
    best = (weight[:, :, None] * residual).sum(dim=1).square().sum(dim=1)
    change = torch.randn(2, history, generator=generator, dtype=torch.float64)
    other = weight + 0.1 * (change - change.mean(dim=1, keepdim=True))
    assert bool(
        (best <= (other[:, :, None] * residual).sum(dim=1).square().sum(dim=1) + 1e-9).all()
    )


def test_a_fixed_point_stays() -> None:
    """Residuals of 0 leave no not-a-number behind."""
    x_T, first = noises(2)
    model = ToyDenoiser(SCHEDULE, lambda _cache, estimate: estimate)
    sampler = Accelerated(AcceleratedOptions(clamp=False))
    for estimate in sampler.sample(
        model=model, x_T=x_T, first_estimate=first, label=LABEL, steps=6, noise=no_noise
    ):
        torch.testing.assert_close(estimate, first)


def test_no_steps() -> None:
    """At least one must be asked for."""
    x_T, first = noises(0)
    with pytest.raises(ValueError, match="at least 1"):
        next(
            Accelerated(AcceleratedOptions()).sample(
                model=ToyDenoiser(SCHEDULE, mixing),
                x_T=x_T,
                first_estimate=first,
                label=LABEL,
                steps=0,
                noise=no_noise,
            )
        )
