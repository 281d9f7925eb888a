"""Sampling from consistency models, with the function that is known for Gaussian images."""

import math

import pytest
import torch
from torch import Tensor
from toy_denoisers import Cache, ToyDenoiser, mixing, run_sampler, small_noise

from dddm.interfaces.schedule import Schedule, expand_B111
from dddm_samplers.consistency import Consistency, time_of_noise
from dddm_samplers.options import ConsistencyOptions, check_consistency
from dddm_schedules.continuous import Karras, RectifiedFlow
from dddm_schedules.discrete import VarianceExploding, vp
from dddm_schedules.options import KarrasOptions, RectifiedFlowOptions, VeOptions, VpOptions

SCHEDULES: dict[str, Schedule] = {
    "karras": Karras(KarrasOptions()),
    "vp": vp(VpOptions()),
    "ve": VarianceExploding(VeOptions()),
    "linear": RectifiedFlow(RectifiedFlowOptions()),
}
every_schedule = pytest.mark.parametrize("name", SCHEDULES)
SHAPE = (3, 1, 2, 2)
first = small_noise(*SHAPE, seed=2, scale=1.0)


def noise_of(number: int) -> Tensor:
    return small_noise(*SHAPE, seed=100 + number, scale=1.0)


@every_schedule
@pytest.mark.parametrize("sigma_min", [0.0, 0.05])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_is_its_algorithm(name: str, sigma_min: float, steps: int) -> None:
    """The loop of Song et al. on x̄ = x/a, at σ = s/a, with estimates clamped."""
    schedule = SCHEDULES[name]
    asked: list[int] = []

    def noise(number: int) -> Tensor:
        asked.append(number)
        return noise_of(number)

    def large(cache: Cache, estimate: Tensor) -> Tensor:
        return 2 * mixing(cache, estimate)

    model = ToyDenoiser(schedule, large)
    x_T = schedule.prior(noise=noise_of(0))
    sampler = Consistency(ConsistencyOptions(sigma_min=sigma_min))
    found = list(run_sampler(sampler, model, x_T, steps=steps, first=first, noise=noise))
    x_t, x_hat = x_T, first
    for k, t in enumerate(schedule.grid(steps=steps)):
        if k > 0:
            a, s = float(schedule.signal(t)), float(schedule.noise(t))
            added = math.sqrt(max(0.0, (s / a) ** 2 - sigma_min**2))
            x_t = a * (x_hat + added * noise_of(asked[k - 1]))
        x_hat = large(Cache(x_t=x_t, t=t.expand(3), label=None), x_hat).clamp(-1, 1)
        torch.testing.assert_close(found[k], x_hat)
    assert len(set(asked)) == len(asked) == steps - 1


@every_schedule
@pytest.mark.parametrize("sigma_min", [0.0, 0.3])
def test_samples_have_the_variance_of_the_data(name: str, sigma_min: float) -> None:
    """The consistency function takes x_t to the start of its path, at σ_min, in one step.

    x̄ at σ has the deviation √(v + σ²), which the path scales to √(v + σ_min²): so that after any
    number of steps the samples have that deviation, neither more nor less.
    """
    schedule, variance, count = SCHEDULES[name], 0.01, 40_000
    left = math.sqrt(variance + sigma_min**2)

    def to_the_start(cache: Cache, estimate: Tensor) -> Tensor:
        a, s = schedule.signal(cache.t), schedule.noise(cache.t)
        return expand_B111(left / (variance * a**2 + s**2).sqrt()) * cache.x_t

    def normal(number: int) -> Tensor:
        generator = torch.Generator().manual_seed(number)
        return torch.randn(count, 1, 1, 1, generator=generator, dtype=torch.float64)

    last = schedule.grid(steps=1)
    spread = float((variance * schedule.signal(last) ** 2 + schedule.noise(last) ** 2).sqrt())
    sampler = Consistency(ConsistencyOptions(sigma_min=sigma_min, clamp=False, times=(2.0, 0.7)))
    model = ToyDenoiser(schedule, to_the_start)
    x_T = spread * normal(999)
    for estimate in run_sampler(sampler, model, x_T, steps=4, noise=normal):
        # At σ_min = 0.3, 0.1 % of the values are outside [-1, 1] and were clamped.
        assert estimate.std().item() == pytest.approx(left, rel=0.02)


@every_schedule
@pytest.mark.parametrize("sigma", [0.1, 1.6, 20.0])
def test_a_time_has_the_noise_asked_for(name: str, sigma: float) -> None:
    """Exactly where times are real; else no other time is nearer."""
    schedule = SCHEDULES[name]
    (t,) = time_of_noise(schedule, sigma=sigma)
    assert t.dtype == schedule.grid(steps=1).dtype

    def off(t: Tensor) -> float:
        return abs(math.log(float(schedule.noise(t)) / float(schedule.signal(t)) / sigma))

    if t.is_floating_point():
        assert off(t) < 1e-9
    else:
        assert off(t) <= min(off(t - 1), off(t + 1))


@every_schedule
def test_noise_beyond_the_last_time_is_that_of_the_last_time(name: str) -> None:
    (t,) = time_of_noise(SCHEDULES[name], sigma=1e30)
    assert t.item() == pytest.approx(SCHEDULES[name].last_time)


def test_given_times_make_it_prefix_consistent() -> None:
    """Then no time depends on the number of steps; those after the last level repeat it."""
    schedule = SCHEDULES["karras"]
    assert not Consistency(ConsistencyOptions()).prefix_consistent
    sampler = Consistency(ConsistencyOptions(times=(1.6, 0.4)))
    assert sampler.prefix_consistent
    model = ToyDenoiser(schedule, mixing)
    x_T = schedule.prior(noise=noise_of(0))
    list(run_sampler(sampler, model, x_T, steps=4, first=first, noise=noise_of))
    times = [cache.t[0].item() for cache in model.caches]
    assert times == pytest.approx([80, 1.6, 0.4, 0.4])
    with pytest.raises(ValueError, match="at least 1"):
        list(run_sampler(sampler, model, x_T, steps=0, noise=noise_of))


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"times": (0.4, 1.6)}, "must fall"),
        ({"times": (0.4, 0.4)}, "must fall"),
        ({"times": (1.6, 0.001), "sigma_min": 0.002}, "below sigma_min"),
    ],
)
def test_levels_that_do_not_fall_are_refused(options: dict[str, object], what: str) -> None:
    (issue,) = check_consistency(ConsistencyOptions(**options), None)  # type: ignore[arg-type]
    assert issue.option == "times"
    assert what in issue.what
