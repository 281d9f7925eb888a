"""The annealed sampler on toy denoisers; closed forms are in test_every_schedule.py."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from toy_denoisers import Cache, ToyDenoiser, mixing, no_noise

from dddm.interfaces.sampler import Sampler
from dddm_samplers.ddim import annealed
from dddm_samplers.options import AnnealedOptions
from dddm_schedules.discrete import vp
from dddm_schedules.options import VpOptions

SAMPLER = annealed(AnnealedOptions())
UNCLAMPED = annealed(AnnealedOptions(clamp=False))
SCHEDULE = vp(VpOptions())
LABEL = torch.tensor([3, 0, 7])
seeds = st.integers(0, 2**32)


def noises(seed: int) -> tuple[Tensor, Tensor]:
    """x_T and the first estimate of three images."""
    x_T, first = torch.randn(
        2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return x_T, first


def run(
    model: ToyDenoiser, x_T: Tensor, first: Tensor, *, steps: int, sampler: Sampler = SAMPLER
) -> list[Tensor]:
    """All estimates of a run with labels."""
    return list(
        sampler.sample(
            model=model, x_T=x_T, first_estimate=first, label=LABEL, steps=steps, noise=no_noise
        )
    )


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


def test_is_not_prefix_consistent() -> None:
    """The first estimates of a longer run are not those of a shorter one."""
    x_T, first = noises(0)
    assert not SAMPLER.prefix_consistent
    short = run(ToyDenoiser(SCHEDULE, mixing), x_T, first, steps=2)
    long = run(ToyDenoiser(SCHEDULE, mixing), x_T, first, steps=4)
    assert not torch.allclose(short[1], long[1])


def test_estimates_are_clamped_at_each_step_unless_told_not_to() -> None:
    """Clamped estimates are what the next step sees; unclamped ones grow, though samples do not."""
    x_T, first = torch.zeros(3, 1, 1, 1), torch.ones(3, 1, 1, 1)

    def largest(sampler: Sampler) -> list[float]:
        model = ToyDenoiser(SCHEDULE, lambda cache, estimate: 3 * estimate)
        for estimate in run(model, x_T, first, steps=3, sampler=sampler):
            assert estimate.max() == 1
        return [estimate.max().item() for estimate in model.refined]

    assert largest(SAMPLER) == [1, 1, 1]
    assert largest(UNCLAMPED) == [1, 3, 9]


def test_more_steps_than_times_are_refused() -> None:
    """A schedule of 1000 times has no 1001 steps, and none is invented."""
    x_T, first = noises(0)
    with pytest.raises(ValueError, match="1001 steps"):
        run(ToyDenoiser(SCHEDULE, mixing), x_T, first, steps=1001)
