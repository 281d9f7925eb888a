"""Denoisers of a few lines, for the samplers; those of the conformance kit."""

from collections.abc import Iterator

import torch
from torch import Tensor

from dddm.interfaces.sampler import Sampler, StepNoise
from dddm.interfaces.schedule import Schedule, expand_B111
from dddm.testing.toys import Cache, ToyDenoiser, mixing

__all__ = ["Cache", "ToyDenoiser", "gaussian", "mixing", "no_noise", "run_sampler", "small_noise"]


def no_noise(step: int) -> Tensor:
    raise AssertionError(f"a deterministic sampler asks for the noise of step {step}")


def small_noise(*shape: int, seed: int, scale: float = 0.01) -> Tensor:
    """N(0, scale²), float64: so small that no estimate of a linear denoiser leaves [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(shape, generator=generator, dtype=torch.float64)


def gaussian(schedule: Schedule, *, variance: float) -> ToyDenoiser:
    """The best estimate of x_0 ~ N(0, v): v a x_t / (v a² + s²), whatever the estimate before."""

    def f(cache: Cache, estimate: Tensor) -> Tensor:
        a, s = schedule.signal(cache.t), schedule.noise(cache.t)
        return expand_B111(variance * a / (variance * a**2 + s**2)) * cache.x_t

    return ToyDenoiser(schedule, f)


def run_sampler(
    sampler: Sampler,
    model: ToyDenoiser,
    x_T: Tensor,
    *,
    steps: int,
    first: Tensor | None = None,
    noise: StepNoise = no_noise,
    label: Tensor | None = None,
) -> Iterator[Tensor]:
    """All estimates of a run; the first estimate is zero unless given."""
    return sampler.sample(
        model=model,
        x_T=x_T,
        first_estimate=torch.zeros_like(x_T) if first is None else first,
        label=label,
        steps=steps,
        noise=noise,
    )
