"""Schedulers of diffusers by our denoiser, beside our own samplers and theirs alone."""

import math
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler
from torch import Tensor
from toy_denoisers import Cache, ToyDenoiser, gaussian, mixing, no_noise, run_sampler, small_noise

from dddm.errors import EnvironmentProblem, UsageError
from dddm.interfaces.sampler import Sampler, StepNoise
from dddm.interfaces.schedule import Schedule
from dddm_samplers.ddim import Ddim
from dddm_samplers.diffusers_schedulers import (
    DiffusersScheduler,
    _generators,
    deis,
    dpm_solver,
    unipc,
)
from dddm_samplers.options import (
    DdimOptions,
    DiffusersOptions,
    MultistepOptions,
    check_diffusers,
)
from dddm_schedules.continuous import Karras, RectifiedFlow
from dddm_schedules.discrete import vp, vp_cosine
from dddm_schedules.options import (
    KarrasOptions,
    RectifiedFlowOptions,
    VpCosineOptions,
    VpOptions,
)

SCHEDULES: dict[str, Schedule] = {
    "vp": vp(VpOptions()),
    "vp-cosine": vp_cosine(VpCosineOptions()),
    "karras": Karras(KarrasOptions()),
    "linear": RectifiedFlow(RectifiedFlowOptions()),
}
ROUNDING = {"vp": 5e-5, "karras": 1e-3, "vp-cosine": 1e-2, "linear": 1e-2}
"""Their ᾱ are float32, which keeps two digits of 1 − ᾱ at σ = 0.002; ᾱ(T) is 2⁻²⁴ at least."""
SHAPE = (3, 1, 2, 2)
first = small_noise(*SHAPE, seed=2, scale=1.0).float()


def noise_of(number: int) -> Tensor:
    return small_noise(*SHAPE, seed=100 + number, scale=1.0).float()


def beyond(cache: Cache, estimate: Tensor) -> Tensor:
    """Estimates that leave [-1, 1], which no scheduler may clip."""
    return mixing(cache, estimate) + 0.8


def scheduler(name: str, *settings: str) -> DiffusersScheduler:
    return DiffusersScheduler(DiffusersOptions(scheduler=f"{name}Scheduler", settings=settings))


def seen_by_the_network(
    sampler: Sampler, schedule: Schedule, *, steps: int, noise: StepNoise = no_noise
) -> list[Tensor]:
    """x_t of each evaluation."""
    model = ToyDenoiser(schedule, beyond)
    x_T = schedule.prior(noise=noise_of(0))
    list(run_sampler(sampler, model, x_T, steps=steps, first=first, noise=noise))
    assert [cache.t[0].item() for cache in model.caches] == schedule.grid(steps=steps).tolist()
    return [cache.x_t for cache in model.caches]


def assert_alike(found: list[Tensor], expected: list[Tensor], *, atol: float) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=atol * float(other.abs().max()))


@pytest.mark.parametrize("of_theirs", ["DDIM", "EulerDiscrete"])
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 7, 61])
def test_its_ddim_is_ours(name: str, steps: int, of_theirs: str) -> None:
    """At every time of every schedule, up to rounding; also as Euler's method, on a scaled z."""
    found = seen_by_the_network(scheduler(of_theirs), SCHEDULES[name], steps=steps)
    ours = seen_by_the_network(Ddim(DdimOptions()), SCHEDULES[name], steps=steps)
    assert_alike(found, ours, atol=ROUNDING[name])


@pytest.mark.parametrize("steps", [1, 2, 10, 50])
def test_our_ddim_is_theirs_alone(steps: int) -> None:
    """Diffusers' DDIM as anyone would use it, with its own β of DDPM and its own times."""
    theirs: Any = DDIMScheduler(  # type: ignore[no-untyped-call]
        prediction_type="sample", timestep_spacing="trailing", clip_sample=False
    )
    theirs.set_timesteps(steps)
    x, x_hat, expected = noise_of(0), first, []
    for time in theirs.timesteps:
        expected.append(x)
        x_hat = beyond(Cache(x_t=x, t=(time + 1).expand(3), label=None), x_hat)
        x = theirs.step(x_hat, int(time), x).prev_sample
    ours = seen_by_the_network(Ddim(DdimOptions()), SCHEDULES["vp"], steps=steps)
    assert_alike(ours, expected, atol=5e-5)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [2, 10])
def test_its_ddpm_is_our_ddim_with_full_noise(name: str, steps: int) -> None:
    """Given what its generators draw; they are seeded by the noise of image and step."""

    def drawn(number: int) -> Tensor:
        return torch.cat(
            [torch.randn(1, 1, 2, 2, generator=one) for one in _generators(noise_of(number))]
        )

    found = seen_by_the_network(scheduler("DDPM"), SCHEDULES[name], steps=steps, noise=noise_of)
    ours = seen_by_the_network(
        Ddim(DdimOptions(eta=1.0)), SCHEDULES[name], steps=steps, noise=drawn
    )
    assert_alike(found, ours, atol=ROUNDING[name])


def test_each_image_and_step_has_a_generator_of_its_own() -> None:
    seeds = {one.initial_seed() for step in (1, 2) for one in _generators(noise_of(step))}
    assert len(seeds) == 6
    again = [one.initial_seed() for one in _generators(noise_of(1)[1:])]
    assert again == [one.initial_seed() for one in _generators(noise_of(1))][1:]


@pytest.mark.parametrize("name", ["DPMSolverMultistep", "DEISMultistep", "UniPCMultistep"])
def test_higher_orders_beat_ddim(name: str) -> None:
    """On Gaussian images with EDM's schedule: order 2 at least, and nearer than DDIM."""
    schedule, variance = SCHEDULES["karras"], 0.5
    x_T = schedule.prior(noise=small_noise(*SHAPE, seed=0, scale=1e-4)).float()
    exact = x_T * math.sqrt(variance / (variance + 80**2))

    def off(sampler: Sampler, steps: int) -> float:
        *_, sample = run_sampler(sampler, gaussian(schedule, variance=variance), x_T, steps=steps)
        return float((sample - exact).norm() / exact.norm())

    found = [off(scheduler(name), steps) for steps in (32, 128)]
    assert math.log(found[0] / found[1], 4) > 1.9
    assert found[0] < 0.25 * off(Ddim(DdimOptions()), 32)


@pytest.mark.parametrize(
    ("name", "settings", "stochastic"),
    [
        ("DDPM", (), True),
        ("DPMSolverMultistep", ("algorithm_type=sde-dpmsolver++",), True),
        ("DPMSolverMultistep", (), False),
        ("UniPCMultistep", ("solver_order=3",), False),
    ],
)
def test_noise_is_drawn_only_where_it_is_used(
    name: str,
    settings: tuple[str, ...],
    stochastic: bool,  # noqa: FBT001
) -> None:
    """Once between two steps; the rest of torch's random state stays."""
    asked: list[int] = []

    def noise(number: int) -> Tensor:
        asked.append(number)
        return noise_of(number)

    before = torch.get_rng_state()
    seen_by_the_network(scheduler(name, *settings), SCHEDULES["vp"], steps=4, noise=noise)
    assert len(set(asked)) == len(asked) == (3 if stochastic else 0)
    assert torch.equal(before, torch.get_rng_state())


def test_settings_reach_the_scheduler() -> None:
    """A third order gives other samples than a second."""
    second, third = (
        seen_by_the_network(
            scheduler("DPMSolverMultistep", f"solver_order={order}"), SCHEDULES["vp"], steps=20
        )
        for order in (2, 3)
    )
    assert not torch.allclose(second[-1], third[-1])


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("Nothing", (), "diffusers has no scheduler 'NothingScheduler'"),
        ("DDIM", ("order=2",), "'order=2' is not a setting of DDIMScheduler"),
        ("DDIM", ("clip_sample",), "'clip_sample' is not a setting"),
        ("DDIM", ("prediction_type=epsilon",), "is not a setting"),
        ("HeunDiscrete", (), "one evaluation at each time"),
        ("DPMSolverMultistep", ("use_karras_sigmas=true",), "changes the noise"),
        ("DPMSolverMultistepInverse", (), "one evaluation at each time"),
        ("EulerAncestralDiscrete", (), "prediction_type"),
        ("DPMSolverMultistep", ("solver_type=nonsense",), "nonsense"),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(
    name: str, settings: tuple[str, ...], says: str
) -> None:
    with pytest.raises(UsageError) as caught:
        scheduler(name, *settings)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("preset", "name"),
    [(dpm_solver, "DPMSolverMultistep"), (deis, "DEISMultistep"), (unipc, "UniPCMultistep")],
)
def test_presets_are_their_schedulers_of_that_order(
    preset: Callable[[MultistepOptions], DiffusersScheduler], name: str
) -> None:
    """Step for step, with the order and clamping that are asked for."""
    schedule = SCHEDULES["vp"]
    for order, clamp in ((3, False), (2, True)):
        found = seen_by_the_network(
            preset(MultistepOptions(order=order, clamp=clamp)), schedule, steps=6
        )
        options = DiffusersOptions(
            scheduler=f"{name}Scheduler", settings=(f"solver_order={order}",), clamp=clamp
        )
        wanted = seen_by_the_network(DiffusersScheduler(options), schedule, steps=6)
        for one, other in zip(found, wanted, strict=True):
            assert torch.equal(one, other)
    third = seen_by_the_network(preset(MultistepOptions()), schedule, steps=6)
    second = seen_by_the_network(preset(MultistepOptions(order=2)), schedule, steps=6)
    assert not torch.equal(third[-1], second[-1])


def test_without_diffusers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install, from `dddm check` and where a sampler is built."""
    assert not list(check_diffusers(DiffusersOptions(), None))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(EnvironmentProblem) as caught:
        scheduler("DDIM")
    assert "pip install 'dddm[diffusers]'" in str(caught.value)
    (issue,) = check_diffusers(DiffusersOptions(), None)  # type: ignore[arg-type]
    assert "pip install 'dddm[diffusers]'" in str(issue.remedy)
