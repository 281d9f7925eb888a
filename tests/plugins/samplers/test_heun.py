"""Heun's method; its order is in test_order.py."""

import pytest
import torch
from torch import Tensor
from toy_denoisers import Cache, ToyDenoiser, mixing, no_noise, run_sampler, small_noise

from dddm.interfaces.schedule import Schedule
from dddm.testing.toys import cosine_schedule
from dddm_samplers.heun import Heun
from dddm_schedules.continuous import Karras, RectifiedFlow
from dddm_schedules.discrete import vp
from dddm_schedules.options import KarrasOptions, RectifiedFlowOptions, VpOptions

SCHEDULES: dict[str, Schedule] = {
    "karras": Karras(KarrasOptions()),
    "vp": vp(VpOptions()),
    "linear": RectifiedFlow(RectifiedFlowOptions()),
    "cosine": cosine_schedule(),
}


def plain_loop(schedule: Schedule, x_T: Tensor, x_hat: Tensor, *, steps: int) -> list[Tensor]:
    """Algorithm 1 of Karras et al. as printed: on z, with slopes, in σ = s/a or s/(a+s)."""
    a, s = (of(schedule.grid(steps=steps)).tolist() for of in (schedule.signal, schedule.noise))
    times = schedule.grid(steps=steps)
    scale = a if s[0] < 1000 * a[0] else [a_k + s_k for a_k, s_k in zip(a, s, strict=True)]
    sigma = [s_k / scale_k for s_k, scale_k in zip(s, scale, strict=True)]
    z, found = x_T / scale[0], []

    def D(z: Tensor, k: int, x_hat: Tensor) -> Tensor:
        return mixing(Cache(x_t=scale[k] * z, t=times[k].expand(len(z)), label=None), x_hat)

    for k in range(steps):
        x_hat = D(z, k, x_hat)
        found.append(x_hat)
        if k + 1 < steps:
            d = (z - x_hat) / sigma[k]
            there = z + (sigma[k + 1] - sigma[k]) * d
            x_there = D(there, k + 1, x_hat)
            d_there = (there - x_there) / sigma[k + 1]
            z = z + (sigma[k + 1] - sigma[k]) * (d + d_there) / 2
    return found


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3, 8])
def test_is_algorithm_1(name: str, steps: int) -> None:
    """The same estimates, as given to the network: yielded ones are clamped."""
    schedule = SCHEDULES[name]
    x_T = schedule.prior(noise=small_noise(3, 1, 2, 2, seed=1, scale=1.0))
    first = small_noise(3, 1, 2, 2, seed=2, scale=1.0)
    model = ToyDenoiser(schedule, mixing)
    found = list(run_sampler(Heun(None), model, x_T, steps=steps, first=first))
    expected = plain_loop(schedule, x_T, first, steps=steps)
    assert len(model.refined) == Heun(None).evaluations(steps) == 2 * steps - 1
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other.clamp(-1, 1), rtol=1e-7, atol=1e-7)


def test_evaluates_at_both_ends_of_a_step() -> None:
    """Times T, t_2, t_2, t_3, t_3: the last step has no second end."""
    model = ToyDenoiser(SCHEDULES["linear"], mixing)
    list(run_sampler(Heun(None), model, small_noise(2, 1, 2, 2, seed=0), steps=3))
    times = [cache.t[0].item() for cache in model.caches]
    assert times == pytest.approx([1, 2 / 3, 2 / 3, 1 / 3, 1 / 3])


def test_both_ends_of_a_step_see_one_latent() -> None:
    """Fresh in each step; the first estimate in the first."""
    asked = []

    def noise(number: int) -> Tensor:
        asked.append(number)
        return small_noise(2, 1, 2, 2, seed=number + 10)

    model = ToyDenoiser(SCHEDULES["linear"], mixing, takes_latent=True)
    x_T, first = small_noise(2, 1, 2, 2, seed=0), small_noise(2, 1, 2, 2, seed=1)
    list(run_sampler(Heun(None), model, x_T, steps=3, first=first, noise=noise))
    latents = [first, *(small_noise(2, 1, 2, 2, seed=number + 10) for number in asked)]
    assert len(set(asked)) == 2
    for given, expected in zip(model.refined, (0, 0, 1, 1, 2), strict=True):
        assert torch.equal(given, latents[expected])


def test_no_noise_is_drawn_for_a_network_without_latent() -> None:
    model = ToyDenoiser(SCHEDULES["linear"], mixing)
    x_T = small_noise(2, 1, 2, 2, seed=0)
    assert len(list(run_sampler(Heun(None), model, x_T, steps=3, noise=no_noise))) == 3
