"""Jumps, with the average velocity that is known for Gaussian images."""

import itertools
import math

import pytest
import torch
from torch import Tensor
from toy_denoisers import Cache, ToyDenoiser, run_sampler, small_noise

from dddm.interfaces.schedule import Schedule, expand_B111
from dddm_samplers.jump import Jump
from dddm_schedules.continuous import Karras, RectifiedFlow
from dddm_schedules.discrete import vp
from dddm_schedules.options import KarrasOptions, RectifiedFlowOptions, VpOptions

SCHEDULES: dict[str, Schedule] = {
    "karras": Karras(KarrasOptions()),
    "vp": vp(VpOptions()),
    "linear": RectifiedFlow(RectifiedFlowOptions()),
}
SHAPE = (3, 1, 2, 2)


def second(cache: Cache) -> Tensor:
    assert cache.second_time is not None
    return cache.second_time


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_is_the_paper_s_step_on_the_linear_path(steps: int) -> None:
    """x_r = x_t − (t − r) u(x_t, r, t), the network's output F being u."""
    schedule = SCHEDULES["linear"]

    def u(cache: Cache) -> Tensor:
        t, r = cache.t, second(cache)
        return cache.x_t.tanh() + expand_B111(t * t - 0.3 * r) - 0.2 * cache.x_t

    model = ToyDenoiser(
        schedule, lambda cache, _: schedule.estimate(x_t=cache.x_t, raw=u(cache), t=cache.t)
    )
    x_T = small_noise(*SHAPE, seed=0, scale=1.0)
    *_, sample = run_sampler(Jump(None), model, x_T, steps=steps)
    x, times = x_T, [*schedule.grid(steps=steps).tolist(), 0.0]
    for t, r in itertools.pairwise(times):
        both = (torch.full((3,), time, dtype=torch.float64) for time in (t, r))
        cache = Cache(x_t=x, t=next(both), label=None, second_time=next(both))
        x = x - (t - r) * u(cache)
    torch.testing.assert_close(sample, x.clamp(-1, 1))


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_flow_of_a_gaussian_needs_one_step(name: str, steps: int) -> None:
    """With the network that takes x_t along the flow to r, any number of jumps is exact.

    The flow scales x with √(v a² + s²); D is where the line from x_t to x_r would end.
    """
    schedule, variance = SCHEDULES[name], 0.3

    def spread(time: Tensor) -> Tensor:
        return (variance * schedule.signal(time) ** 2 + schedule.noise(time) ** 2).sqrt()

    def along_the_flow(cache: Cache, _: Tensor) -> Tensor:
        t, r = cache.t, second(cache)
        ratio = schedule.noise(r) / schedule.noise(t)
        moved = spread(r) / spread(t) - ratio
        return expand_B111(moved / (schedule.signal(r) - schedule.signal(t) * ratio)) * cache.x_t

    x_T = schedule.prior(noise=small_noise(*SHAPE, seed=0))
    model = ToyDenoiser(schedule, along_the_flow)
    *_, sample = run_sampler(Jump(None), model, x_T, steps=steps)
    last = schedule.grid(steps=1)
    torch.testing.assert_close(sample, x_T * math.sqrt(variance) / spread(last))


def test_the_second_time_is_the_next_one() -> None:
    """And 0 in the last step, of the type of the schedule's times."""
    schedule = SCHEDULES["vp"]
    model = ToyDenoiser(schedule, lambda cache, estimate: 0.1 * cache.x_t)
    list(run_sampler(Jump(None), model, small_noise(*SHAPE, seed=0), steps=4))
    assert [cache.t.tolist() for cache in model.caches] == [
        [time] * 3 for time in (1000, 750, 500, 250)
    ]
    assert [second(cache).tolist() for cache in model.caches] == [
        [time] * 3 for time in (750, 500, 250, 0)
    ]
    assert not any(second(cache).is_floating_point() for cache in model.caches)
