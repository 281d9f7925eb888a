"""A denoiser and a schedule of a few lines, on which samplers are tried."""

from collections.abc import Callable
from typing import final

import torch
from attrs import frozen
from torch import Tensor

from dddm.interfaces.sampler import Denoiser
from dddm.interfaces.schedule import Schedule


@final
class PlainSchedule(Schedule):
    """x_t = cos(θ) x_0 + sin(θ) ε with θ = π t / 2T, t = 1…T, or real in (0, T]."""

    def __init__(self, timesteps: int = 1000, *, continuous: bool = False) -> None:
        self._timesteps = timesteps
        self._continuous = continuous

    @property
    def last_time(self) -> int:
        """T."""
        return self._timesteps

    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        """U{1…T}, int64, or U(0, T], float64."""
        if self._continuous:
            uniform = torch.rand(count, generator=generator, dtype=torch.float64)
            return self._timesteps * (1 - uniform)
        return torch.randint(1, self._timesteps + 1, (count,), generator=generator)

    def signal(self, t: Tensor) -> Tensor:
        """Cos θ."""
        return torch.cos(t.double() * (torch.pi / 2 / self._timesteps))

    def noise(self, t: Tensor) -> Tensor:
        """Sin θ."""
        return torch.sin(t.double() * (torch.pi / 2 / self._timesteps))

    def prior(self, *, noise: Tensor) -> Tensor:
        """The noise itself."""
        return noise

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        """Eq. 3."""
        del t
        return x_t - raw

    def grid(self, *, steps: int) -> Tensor:
        """Evenly from T down.

        Raises:
            ValueError: if there are not that many times.
        """
        if self._continuous and steps >= 1:
            return self._timesteps * torch.arange(steps, 0, -1, dtype=torch.float64) / steps
        if not 1 <= steps <= self._timesteps:
            raise ValueError(f"{steps} steps, and there are times 1…{self._timesteps}")
        return self._timesteps - torch.arange(steps) * self._timesteps // steps

    def network_time(self, t: Tensor) -> Tensor:
        """1000 t/T."""
        return (t.double() * (1000 / self._timesteps)).float()

    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        """x_t."""
        del t
        return x_t


@final
@frozen(kw_only=True)
class Cache:
    """What f is given beside the estimate."""

    x_t: Tensor
    t: Tensor
    label: Tensor | None
    second_time: Tensor | None = None


Function = Callable[[Cache, Tensor], Tensor]


@final
class PlainDenoiser(Denoiser):
    """f(cache, estimate) is any function.

    Attributes:
        caches: what `begin` was called with, in order.
        refined: the estimates that `refine` was called with, in order.
    """

    def __init__(self, schedule: Schedule, function: Function) -> None:
        self._schedule = schedule
        self._function = function
        self.caches: list[Cache] = []
        self.refined: list[Tensor] = []

    @property
    def schedule(self) -> Schedule:
        """The one that it was made with."""
        return self._schedule

    def begin(
        self, *, x_t: Tensor, t: Tensor, label: Tensor | None, second_time: Tensor | None = None
    ) -> Cache:
        """Note the arguments."""
        second = None if second_time is None else second_time.clone()
        self.caches.append(Cache(x_t=x_t.clone(), t=t.clone(), label=label, second_time=second))
        return self.caches[-1]

    def select(self, cache: Cache, *, index: Tensor) -> Cache:
        """The same of some images."""
        label = None if cache.label is None else cache.label[index]
        second = None if cache.second_time is None else cache.second_time[index]
        return Cache(x_t=cache.x_t[index], t=cache.t[index], label=label, second_time=second)

    def refine(self, cache: Cache, *, estimate: Tensor | None) -> Tensor:
        """Apply f; without an estimate, to zeros."""
        if estimate is None:
            estimate = torch.zeros_like(cache.x_t)
        self.refined.append(estimate)
        return self._function(cache, estimate)


def mixing(cache: Cache, estimate: Tensor) -> Tensor:
    """A contraction that uses everything: estimate, x_t, time and label, each image on its own."""
    mixed = 0.5 * estimate.roll(1, dims=-1) + 0.3 * cache.x_t.tanh()
    mixed = mixed + (cache.t.to(mixed.dtype) * 1e-4).reshape(-1, 1, 1, 1)
    return mixed if cache.label is None else mixed + 0.05 * cache.label.reshape(-1, 1, 1, 1)
