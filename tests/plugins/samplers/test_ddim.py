"""DDIM with fresh noise; without: test_annealed.py, test_every_schedule.py, test_order.py."""

import math

import pytest
import torch
from torch import Tensor
from toy_denoisers import Cache, ToyDenoiser, gaussian, mixing, no_noise, run_sampler, small_noise

from dddm.interfaces.schedule import Schedule
from dddm_samplers.ddim import Ddim, annealed
from dddm_samplers.options import AnnealedOptions, DdimOptions
from dddm_schedules.continuous import Karras, RectifiedFlow
from dddm_schedules.discrete import vp
from dddm_schedules.options import KarrasOptions, RectifiedFlowOptions, VpOptions

SCHEDULES: dict[str, Schedule] = {
    "karras": Karras(KarrasOptions()),
    "vp": vp(VpOptions()),
    "linear": RectifiedFlow(RectifiedFlowOptions()),
}
SHAPE = (3, 1, 2, 2)
first = small_noise(*SHAPE, seed=2, scale=1.0)


def noise_of(number: int) -> Tensor:
    return small_noise(*SHAPE, seed=100 + number, scale=1.0)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_is_its_algorithm(eta: float, steps: int) -> None:
    """Eq. 12 and 16 of Song et al. in their own ᾱ (their α), on the variance preserving path."""
    schedule = SCHEDULES["vp"]
    x_t = x_T = noise_of(0)
    x_0 = first
    asked: list[int] = []

    def noise(number: int) -> Tensor:
        asked.append(number)
        return noise_of(number)

    model = ToyDenoiser(schedule, mixing)
    list(run_sampler(Ddim(DdimOptions(eta=eta)), model, x_T, steps=steps, first=first, noise=noise))
    alpha = (schedule.signal(schedule.grid(steps=steps)) ** 2).tolist()
    for k, cache in enumerate(model.caches):
        torch.testing.assert_close(cache.x_t, x_t)
        x_0 = mixing(cache, x_0)
        if k + 1 < steps:
            now, then = alpha[k], alpha[k + 1]
            sigma = eta * math.sqrt((1 - then) / (1 - now)) * math.sqrt(1 - now / then)
            epsilon = (x_t - math.sqrt(now) * x_0) / math.sqrt(1 - now)
            x_t = math.sqrt(then) * x_0 + math.sqrt(1 - then - sigma**2) * epsilon
            if eta > 0:
                x_t = x_t + sigma * noise_of(asked[k])
    assert len(set(asked)) == len(asked) == (steps - 1 if eta > 0 else 0)


@pytest.mark.parametrize("name", SCHEDULES)
def test_with_full_noise_each_time_has_its_own_variance(name: str) -> None:
    """Ancestral sampling: from x_t and x_0 ~ p(x_0 | x_t), x_t' has the variance v a² + s².

    The best estimate is the mean of x_0; a draw adds its deviation, √(v s² / (v a² + s²)).
    """
    schedule, variance, steps, count = SCHEDULES[name], 0.5, 4, 40_000

    def normal(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(count, 1, 1, 1, generator=generator, dtype=torch.float64)

    mean = gaussian(schedule, variance=variance)

    def draw(cache: Cache, estimate: Tensor) -> Tensor:
        a, s = float(schedule.signal(cache.t)[0]), float(schedule.noise(cache.t)[0])
        deviation = math.sqrt(variance * s**2 / (variance * a**2 + s**2))
        exact = mean.evaluate(x_t=cache.x_t, t=cache.t, label=None, estimate=None)
        return exact + deviation * normal(1000 + len(model.caches))

    model = ToyDenoiser(schedule, draw)
    last = schedule.grid(steps=1)
    spread = float((variance * schedule.signal(last) ** 2 + schedule.noise(last) ** 2).sqrt())
    sampler = Ddim(DdimOptions(eta=1.0))
    list(run_sampler(sampler, model, spread * normal(0), steps=steps, noise=normal))
    for cache in model.caches:
        a, s = schedule.signal(cache.t[0]), schedule.noise(cache.t[0])
        expected = float(variance * a**2 + s**2)
        assert cache.x_t.var().item() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("name", SCHEDULES)
def test_with_full_noise_the_posterior_is_that_of_the_path(name: str) -> None:
    """S' ρ is the deviation of x_t' given x_t and x_0, by Bayes' rule on the path's own steps."""
    schedule = SCHEDULES[name]
    t, later = schedule.grid(steps=4)[1:3]
    (a, s), (b, r) = (
        (float(schedule.signal(time)), float(schedule.noise(time))) for time in (t, later)
    )
    step = s**2 - (a / b * r) ** 2  # variance of x_t given x_t'
    expected = math.sqrt(1 / (1 / r**2 + (a / b) ** 2 / step))
    _, fresh = Ddim(DdimOptions(eta=1.0))._shares(schedule, t=t[None], later=later[None])
    assert r * float(fresh) == pytest.approx(expected)


def test_a_network_with_a_latent_gets_a_fresh_one_in_each_step() -> None:
    """None of them is the noise that is added to x_t; the first is the first estimate."""
    asked: list[int] = []

    def noise(number: int) -> Tensor:
        asked.append(number)
        return noise_of(number)

    model = ToyDenoiser(SCHEDULES["linear"], mixing, takes_latent=True)
    sampler = Ddim(DdimOptions(eta=1.0))
    list(run_sampler(sampler, model, noise_of(0), steps=4, first=first, noise=noise))
    assert len(set(asked)) == len(asked) == 6
    assert torch.equal(model.refined[0], first)
    given = [next(n for n in asked if torch.equal(noise_of(n), x)) for x in model.refined[1:]]
    assert len(set(given)) == 3


def test_annealing_is_a_preset() -> None:
    """`annealed` is `ddim` without fresh noise, with the estimate clamped."""
    runs = []
    for sampler in (annealed(AnnealedOptions()), Ddim(DdimOptions(clamp=True))):
        model = ToyDenoiser(SCHEDULES["vp"], lambda cache, estimate: 3 * mixing(cache, estimate))
        runs.append(list(run_sampler(sampler, model, noise_of(0), steps=4, noise=no_noise)))
    for one, other in zip(*runs, strict=True):
        assert torch.equal(one, other)
