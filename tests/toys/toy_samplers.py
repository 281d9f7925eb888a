"""Samplers of the kinds that no built-in is of: second order, with noise, with a second time.

Legend: B images of C channels, H rows, W columns; s steps.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from dddm.interfaces.info import SamplerInfo
from dddm.interfaces.plugin import Kind
from dddm.interfaces.sampler import Denoiser, Sampler, StepNoise
from dddm.interfaces.schedule import Schedule, expand_B111
from dddm.registry.catalogue import Catalogue
from dddm.registry.loader import load_catalogue
from dddm.registry.registrar import PluginRegistrar


def times_of(model: Denoiser, x_T: Tensor, *, steps: int) -> Tensor:
    """The schedule's times, one for each image, and 0, (s+1, B)."""
    grid = model.schedule.grid(steps=steps)
    with_end = torch.cat([grid, torch.zeros_like(grid[:1])])
    return with_end.to(x_T.device)[:, None].expand(-1, len(x_T))


def ddim(schedule: Schedule, *, x_t: Tensor, x_0: Tensor, t: Tensor, target: Tensor) -> Tensor:
    """X at `target` with the x_0 and the ε that x_t implies."""
    signal, noise = (expand_B111(of(t)).to(x_t.dtype) for of in (schedule.signal, schedule.noise))
    return schedule.diffuse(x_0=x_0, t=target, noise=(x_t - signal * x_0) / noise)


def passed_on(model: Denoiser, estimate: Tensor, *, noise: StepNoise, step: int) -> Tensor:
    """What the network gets as x̂: an estimate, or a latent of the step."""
    return noise(1000 + step) if step and model.takes_latent else estimate


class Heun(Sampler):
    """DDIM with x_0 averaged over both ends of a step, as in Heun's method; the last is Euler's."""

    prefix_consistent = False

    def __init__(self, options: object) -> None:
        pass

    def evaluations(self, steps: int) -> int:
        return 2 * steps - 1

    def sample(
        self,
        *,
        model: Denoiser,
        x_T: Tensor,
        first_estimate: Tensor,
        label: Tensor | None,
        steps: int,
        noise: StepNoise,
    ) -> Iterator[Tensor]:
        t_sB = times_of(model, x_T, steps=steps)
        x_t, estimate = x_T, first_estimate
        for step in range(steps):
            t, target = t_sB[step], t_sB[step + 1]
            given = passed_on(model, estimate, noise=noise, step=step)
            estimate = model.evaluate(x_t=x_t, t=t, label=label, estimate=given).clamp(-1, 1)
            if step < steps - 1:
                guess = ddim(model.schedule, x_t=x_t, x_0=estimate, t=t, target=target)
                given = passed_on(model, estimate, noise=noise, step=step + 1)
                there = model.evaluate(x_t=guess, t=target, label=label, estimate=given)
                estimate = (estimate + there.clamp(-1, 1)) / 2
                x_t = ddim(model.schedule, x_t=x_t, x_0=estimate, t=t, target=target)
            yield estimate


class Restarting(Sampler):
    """As consistency models sample in several steps: from x̂ to x_t again, with fresh noise."""

    prefix_consistent = False

    def __init__(self, options: object) -> None:
        pass

    def asked(self, noise: StepNoise, *, step: int, t: Tensor) -> Tensor:
        return noise(step)

    def passed_on(
        self, model: Denoiser, estimate: Tensor, *, noise: StepNoise, step: int
    ) -> Tensor:
        return passed_on(model, estimate, noise=noise, step=step)

    def sample(
        self,
        *,
        model: Denoiser,
        x_T: Tensor,
        first_estimate: Tensor,
        label: Tensor | None,
        steps: int,
        noise: StepNoise,
    ) -> Iterator[Tensor]:
        x_t, estimate = x_T, first_estimate
        for step, t in enumerate(times_of(model, x_T, steps=steps)[:-1]):
            if step:
                fresh = self.asked(noise, step=step, t=t)
                x_t = model.schedule.diffuse(x_0=estimate, t=t, noise=fresh)
            given = self.passed_on(model, estimate, noise=noise, step=step)
            estimate = model.evaluate(x_t=x_t, t=t, label=label, estimate=given).clamp(-1, 1)
            yield estimate


class Jumping(Sampler):
    """DDIM that tells the network where it goes, as flow maps are sampled."""

    prefix_consistent = False

    def __init__(self, options: object) -> None:
        pass

    def second(self, t: Tensor, target: Tensor) -> Tensor:
        return target

    def sample(
        self,
        *,
        model: Denoiser,
        x_T: Tensor,
        first_estimate: Tensor,
        label: Tensor | None,
        steps: int,
        noise: StepNoise,
    ) -> Iterator[Tensor]:
        t_sB = times_of(model, x_T, steps=steps)
        x_t, estimate = x_T, first_estimate
        for step in range(steps):
            t, target = t_sB[step], t_sB[step + 1]
            cache = model.begin(x_t=x_t, t=t, label=label, second_time=self.second(t, target))
            given = passed_on(model, estimate, noise=noise, step=step)
            estimate = model.refine(cache, estimate=given).clamp(-1, 1)
            if step < steps - 1:
                x_t = ddim(model.schedule, x_t=x_t, x_0=estimate, t=t, target=target)
            yield estimate


def with_toy_samplers() -> Catalogue:
    """All that is installed, and `toy:heun`, `toy:restarting` and `toy:jumping`."""
    toys = PluginRegistrar(plugin="toy", package="toys-without-entry-point", version="1")
    toys.add(Kind.SAMPLER, "heun", target="toy_samplers:Heun", summary="Second order.")
    toys.add(Kind.SAMPLER, "restarting", target="toy_samplers:Restarting", summary="With noise.")
    toys.add(
        Kind.SAMPLER,
        "jumping",
        target="toy_samplers:Jumping",
        summary="With a second time.",
        describe=lambda _options: SamplerInfo(second_time=True),
    )
    return Catalogue([*load_catalogue().components(), *toys.components])
