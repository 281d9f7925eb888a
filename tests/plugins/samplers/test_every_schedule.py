"""Both samplers on schedules whose signal does not fall, or whose times are real numbers."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from toy_denoisers import ToyDenoiser, gaussian, mixing, no_noise, small_noise

from dddm.interfaces.schedule import Schedule
from dddm_samplers.ddim import annealed
from dddm_samplers.falling import implied_noise
from dddm_samplers.fixed_time import FixedTime
from dddm_samplers.options import AnnealedOptions, FixedTimeOptions
from dddm_schedules.continuous import VpContinuous
from dddm_schedules.discrete import VarianceExploding, vp, vp_cosine
from dddm_schedules.options import VeOptions, VpContinuousOptions, VpCosineOptions, VpOptions

SCHEDULES: dict[str, Schedule] = {
    "vp": vp(VpOptions()),
    "vp-cosine": vp_cosine(VpCosineOptions()),
    "vp-continuous": VpContinuous(VpContinuousOptions()),
    "ve": VarianceExploding(VeOptions()),
}
every_schedule = pytest.mark.parametrize("name", SCHEDULES)
UNCLAMPED = annealed(AnnealedOptions(clamp=False))
seeds = st.integers(0, 2**32)


def noises(seed: int) -> tuple[Tensor, Tensor]:
    """Noise for x_T and the first estimate of three images."""
    noise, first = torch.randn(
        2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return noise, first


@every_schedule
@settings(max_examples=10)
@given(seed=seeds, variance=st.floats(0.05, 4), steps=st.integers(1, 12))
def test_annealing_is_ddim_in_the_ratio_of_noise_to_signal(
    name: str, seed: int, variance: float, steps: int
) -> None:
    """With x̄ = x/a and ρ = s/a, DDIM is Euler's step x̄' = x̄ + (ρ' − ρ) ε.

    On Gaussian images ε is ρ x̄ / (v + ρ²), whatever the schedule is: so each step multiplies x̄
    by 1 + (ρ' − ρ) ρ / (v + ρ²).
    """
    schedule = SCHEDULES[name]
    noise, first = small_noise(2, 3, 1, 4, 4, seed=seed)
    x_T = schedule.prior(noise=noise)
    model = gaussian(schedule, variance=variance)
    found = list(
        UNCLAMPED.sample(
            model=model, x_T=x_T, first_estimate=first, label=None, steps=steps, noise=no_noise
        )
    )
    times = schedule.grid(steps=steps)
    rho = (schedule.noise(times) / schedule.signal(times)).tolist()
    x_bar = x_T / schedule.signal(times[0])
    for k, estimate in enumerate(found):
        torch.testing.assert_close(estimate, variance / (variance + rho[k] ** 2) * x_bar)
        if k + 1 < steps:
            x_bar = x_bar * (1 + (rho[k + 1] - rho[k]) * rho[k] / (variance + rho[k] ** 2))


@every_schedule
@pytest.mark.parametrize("variance", [0.1, 2.0])
def test_annealing_over_many_times_samples_the_data(name: str, variance: float) -> None:
    """With 1000 steps the probability flow takes the prior to N(0, v): the samples are √v ε."""
    schedule = SCHEDULES[name]
    noise, first = small_noise(2, 3, 1, 4, 4, seed=0)
    *_, sample = UNCLAMPED.sample(
        model=gaussian(schedule, variance=variance),
        x_T=schedule.prior(noise=noise),
        first_estimate=first,
        label=None,
        steps=1000,
        noise=no_noise,
    )
    torch.testing.assert_close(sample, math.sqrt(variance) * noise, rtol=0.02, atol=0)


@every_schedule
@settings(max_examples=10)
@given(seed=seeds, position=st.integers(0, 9))
def test_implied_noise_undoes_diffusion(name: str, seed: int, position: int) -> None:
    """The noise of a diffused image is found again at every kind of time."""
    schedule = SCHEDULES[name]
    x_0, noise = noises(seed)
    t = schedule.grid(steps=10)[position].expand(3)
    x_t = schedule.diffuse(x_0=x_0, t=t, noise=noise)
    found = implied_noise(schedule, x_t=x_t, x_0=x_0, t=t)
    torch.testing.assert_close(found, noise, rtol=1e-9, atol=1e-10)


@every_schedule
def test_algorithm_2_stays_at_the_last_time(name: str) -> None:
    """One `begin` at T, as the schedule types it, serves all evaluations."""
    schedule = SCHEDULES[name]
    noise, first = noises(0)
    model = ToyDenoiser(schedule, mixing)
    sampler = FixedTime(FixedTimeOptions())
    x_T = schedule.prior(noise=noise)
    found = list(
        sampler.sample(
            model=model, x_T=x_T, first_estimate=first, label=None, steps=4, noise=no_noise
        )
    )
    (cache,) = model.caches
    assert torch.equal(cache.x_t, x_T)
    assert cache.t.dtype == schedule.draw_times(count=1, generator=torch.Generator()).dtype
    assert cache.t.tolist() == [schedule.last_time] * 3
    for before, after in itertools.pairwise([first, *found]):
        assert torch.equal(after, mixing(cache, before).clamp(-1, 1))


def test_continuous_time_has_no_largest_number_of_steps() -> None:
    """More steps than any table has times, each at a time of its own."""
    schedule = SCHEDULES["vp-continuous"]
    noise, first = noises(0)
    model = ToyDenoiser(schedule, mixing)
    sampler = annealed(AnnealedOptions())
    list(
        sampler.sample(
            model=model, x_T=noise, first_estimate=first, label=None, steps=1500, noise=no_noise
        )
    )
    assert len({cache.t[0].item() for cache in model.caches}) == 1500
