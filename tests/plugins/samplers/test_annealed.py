"""The annealed sampler, on toy denoisers with the paper's schedule."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from toy_denoisers import Cache, ToyDenoiser, mixing, no_noise

from dddm_samplers.annealed import Annealed, implied_noise
from dddm_samplers.options import AnnealedOptions
from dddm_schedules.linear import linear
from dddm_schedules.options import LinearOptions

SAMPLER = Annealed(AnnealedOptions())
UNCLAMPED = Annealed(AnnealedOptions(clamp=False))
SCHEDULE = linear(LinearOptions())
LABEL = torch.tensor([3, 0, 7])
seeds = st.integers(0, 2**32)


def noises(seed: int) -> tuple[Tensor, Tensor]:
    """x_T and the first estimate of three images."""
    x_T, first = torch.randn(
        2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return x_T, first


def run(
    model: ToyDenoiser, x_T: Tensor, first: Tensor, *, steps: int, sampler: Annealed = SAMPLER
) -> list[Tensor]:
    """All estimates of a run with labels."""
    return list(
        sampler.sample(
            model=model, x_T=x_T, first_estimate=first, label=LABEL, steps=steps, noise=no_noise
        )
    )


def oracle(variance: float) -> ToyDenoiser:
    """The best estimate of x_0 ~ N(0, v): v a x_t / (v a² + s²), whatever the estimate before."""

    def f(cache: Cache, estimate: Tensor) -> Tensor:
        a, s = SCHEDULE.signal(cache.t), SCHEDULE.noise(cache.t)
        return (variance * a / (variance * a**2 + s**2)).reshape(-1, 1, 1, 1) * cache.x_t

    return ToyDenoiser(SCHEDULE, f)


@settings(max_examples=25)
@given(seeds, st.floats(0.05, 4), st.integers(1, 30))
def test_oracle_gives_ddim_in_closed_form(seed: int, variance: float, steps: int) -> None:
    """On Gaussian images each step multiplies x_t by a'g + s'(1 − a g)/s, g the oracle's slope."""
    x_T, first = noises(seed)
    found = run(oracle(variance), x_T, first, steps=steps, sampler=UNCLAMPED)
    times = SCHEDULE.grid(steps=steps)
    a, s = SCHEDULE.signal(times).tolist(), SCHEDULE.noise(times).tolist()
    factor = 1.0
    for k, estimate in enumerate(found):
        g = variance * a[k] / (variance * a[k] ** 2 + s[k] ** 2)
        torch.testing.assert_close(estimate, g * factor * x_T, rtol=1e-9, atol=1e-12)
        if k + 1 < steps:
            factor *= a[k + 1] * g + s[k + 1] * (1 - a[k] * g) / s[k]


@pytest.mark.parametrize("variance", [0.1, 0.5, 2.0])
def test_oracle_with_all_times_samples_the_data(variance: float) -> None:
    """With T steps the probability flow takes N(0, 1) to N(0, v): the samples are √v x_T."""
    x_T, first = noises(0)
    sample = run(oracle(variance), x_T, first, steps=1000, sampler=UNCLAMPED)[-1]
    torch.testing.assert_close(sample, math.sqrt(variance) * x_T, rtol=0.01, atol=0)


@given(seeds, st.integers(1, 12))
def test_is_its_algorithm(seed: int, steps: int) -> None:
    """The loop of the file's head, written out with DDIM's formula."""
    x_t, x_hat = noises(seed)
    times = SCHEDULE.grid(steps=steps)
    found = run(ToyDenoiser(SCHEDULE, mixing), x_t, x_hat, steps=steps)
    for k, estimate in enumerate(found):
        cache = Cache(x_t=x_t, t=times[k].expand(3), label=LABEL)
        x_hat = mixing(cache, x_hat).clamp(-1, 1)
        torch.testing.assert_close(estimate, x_hat)
        if k + 1 < steps:
            epsilon = (x_t - SCHEDULE.signal(times[k]) * x_hat) / SCHEDULE.noise(times[k])
            later = times[k + 1]
            x_t = SCHEDULE.signal(later) * x_hat + SCHEDULE.noise(later) * epsilon


@given(seeds)
def test_one_step_is_one_evaluation_at_the_last_time(seed: int) -> None:
    """With s = 1 it is algorithm 2 with s = 1."""
    x_T, first = noises(seed)
    (estimate,) = run(ToyDenoiser(SCHEDULE, mixing), x_T, first, steps=1)
    at_T = Cache(x_t=x_T, t=torch.full((3,), 1000), label=LABEL)
    assert torch.equal(estimate, mixing(at_T, first).clamp(-1, 1))


@given(seeds, st.integers(1, 20))
def test_a_denoiser_that_knows_the_image_finds_it_at_once(seed: int, steps: int) -> None:
    """A fixed point of f at all times stays, however many steps there are."""
    x_T, first = noises(seed)
    x_0 = first.tanh()
    model = ToyDenoiser(SCHEDULE, lambda cache, estimate: x_0)
    for estimate in run(model, x_T, first, steps=steps):
        assert torch.equal(estimate, x_0)


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_evaluates_once_a_step_at_falling_times(steps: int) -> None:
    """Exactly s evaluations, at the times of the schedule's grid, each given the last estimate."""
    model = ToyDenoiser(SCHEDULE, mixing)
    x_T, first = noises(0)
    found = run(model, x_T, first, steps=steps)
    assert len(model.refined) == len(model.caches) == len(found) == steps
    assert [cache.t.tolist() for cache in model.caches] == [
        [time] * 3 for time in SCHEDULE.grid(steps=steps).tolist()
    ]
    for given_estimate, previous in zip(model.refined, [first, *found], strict=False):
        assert torch.equal(given_estimate, previous)


@given(seeds, st.permutations(range(3)))
def test_permuting_the_batch_permutes_the_samples(seed: int, order: list[int]) -> None:
    """Images do not see each other."""
    x_T, first = noises(seed)
    samples = run(ToyDenoiser(SCHEDULE, mixing), x_T, first, steps=4)[-1]
    permuted = list(
        SAMPLER.sample(
            model=ToyDenoiser(SCHEDULE, mixing),
            x_T=x_T[order],
            first_estimate=first[order],
            label=LABEL[order],
            steps=4,
            noise=no_noise,
        )
    )[-1]
    assert torch.equal(permuted, samples[order])


def test_is_not_nested() -> None:
    """The first estimates of a longer run are not those of a shorter one, as `nested` says."""
    x_T, first = noises(0)
    assert not SAMPLER.prefix_consistent
    short = run(ToyDenoiser(SCHEDULE, mixing), x_T, first, steps=2)
    long = run(ToyDenoiser(SCHEDULE, mixing), x_T, first, steps=4)
    assert not torch.allclose(short[1], long[1])


def test_estimates_are_clamped_at_each_step_unless_told_not_to() -> None:
    """Clamped estimates stay in [-1, 1] and are what the next step sees; unclamped ones grow."""
    x_T, first = torch.zeros(3, 1, 1, 1), torch.ones(3, 1, 1, 1)

    def largest(sampler: Annealed) -> list[float]:
        model = ToyDenoiser(SCHEDULE, lambda cache, estimate: 3 * estimate)
        return [e.max().item() for e in run(model, x_T, first, steps=3, sampler=sampler)]

    assert largest(SAMPLER) == [1, 1, 1]
    assert largest(UNCLAMPED) == [3, 9, 27]


@given(seeds, st.integers(1, 1000))
def test_implied_noise_undoes_diffusion(seed: int, time: int) -> None:
    """The noise of a diffused image is found again."""
    x_0, noise = noises(seed)
    t = torch.full((3,), time)
    x_t = SCHEDULE.diffuse(x_0=x_0, t=t, noise=noise)
    found = implied_noise(schedule=SCHEDULE, x_t=x_t, x_0=x_0, t=t)
    torch.testing.assert_close(found, noise, rtol=1e-9, atol=1e-10)


def test_more_steps_than_times_are_refused() -> None:
    """A schedule of 1000 times has no 1001 steps, and none is invented."""
    x_T, first = noises(0)
    with pytest.raises(ValueError, match="1001 steps"):
        run(ToyDenoiser(SCHEDULE, mixing), x_T, first, steps=1001)
