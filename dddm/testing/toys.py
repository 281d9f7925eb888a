"""Schedules, denoisers and parameters of a few lines, which components are tested with."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final, final

import torch
from attrs import frozen
from torch import Tensor, nn

from dddm.interfaces.metric import Metric
from dddm.interfaces.sampler import Denoiser
from dddm.interfaces.schedule import Schedule, expand_B111
from dddm.support.noise import generator_for

Coefficient = Callable[[Tensor], Tensor]


@final
@frozen(kw_only=True, eq=False)
class ToySchedule(Schedule):
    """x_t = a(t) x_0 + s(t) ε for any a and s; for tests, not for training.

    Attributes:
        name: in words.
        a: the signal, a function of float64 times.
        s: the noise, likewise.
        last: T.
        discrete: whether times are the integers 1…T, or real in (0, T].
    """

    name: str
    a: Coefficient
    s: Coefficient
    last: float
    discrete: bool = False

    @property
    def last_time(self) -> float:
        return self.last

    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        """Uniform."""
        if self.discrete:
            return torch.randint(1, int(self.last) + 1, (count,), generator=generator)
        return self.last * (1 - torch.rand(count, generator=generator, dtype=torch.float64))

    def signal(self, t: Tensor) -> Tensor:
        return self.a(t.double())

    def noise(self, t: Tensor) -> Tensor:
        return self.s(t.double())

    def prior(self, *, noise: Tensor) -> Tensor:
        """s(T) ε."""
        return float(self.noise(self.grid(steps=1))) * noise

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        """(x_t − s F)/(a + s)."""
        a_B111, s_B111 = expand_B111(self.signal(t)), expand_B111(self.noise(t))
        return ((x_t - s_B111 * raw) / (a_B111 + s_B111)).to(x_t.dtype)

    def grid(self, *, steps: int) -> Tensor:
        """Evenly from T down."""
        if not self.discrete:
            return self.last * torch.arange(steps, 0, -1, dtype=torch.float64) / steps
        times = int(self.last)
        if steps > times:
            raise ValueError(f"{steps} steps, but there are {times} times")
        return times - torch.arange(steps) * times // steps

    def network_time(self, t: Tensor) -> Tensor:
        """1000 t/T."""
        return (t.double() * (1000 / self.last)).float()

    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        """x_t / √(a²/4 + s²)."""
        scale_B111 = expand_B111(torch.rsqrt(self.signal(t).square() / 4 + self.noise(t).square()))
        return scale_B111.to(x_t.dtype) * x_t


def _cos(t: Tensor, rate: float) -> Tensor:
    return torch.cos(t * rate)


def _sin(t: Tensor, rate: float) -> Tensor:
    return torch.sin(t * rate)


def cosine_schedule(
    last: int = 1000, *, discrete: bool = True, end: float = math.pi / 2
) -> ToySchedule:
    """x_t = cos φ x_0 + sin φ ε, where φ rises from 0 to `end` at T."""
    return ToySchedule(
        name="cosine",
        a=partial(_cos, rate=end / last),
        s=partial(_sin, rate=end / last),
        last=float(last),
        discrete=discrete,
    )


def linear_schedule() -> ToySchedule:
    """x_t = (1 − t) x_0 + t ε, with real times in (0, 1]."""
    return ToySchedule(name="linear", a=lambda t: 1 - t, s=lambda t: t * 1, last=1.0)


PATHS: Final = (
    cosine_schedule(20, end=0.99 * math.pi / 2),
    linear_schedule(),
    ToySchedule(name="exploding", a=torch.ones_like, s=lambda t: t * 1, last=80.0),
)
"""One of each kind: variance preserving with whole times, ending in noise alone, exploding."""


def toy_schedules() -> tuple[Schedule, ...]:
    """A small schedule of each kind, for tests: cosine with 20 whole times, linear, exploding."""
    return PATHS


@final
class SquaredError(Metric):
    """(a − b)², mean over pixels: the best estimate is the conditional mean."""

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        return (estimate - target).square().flatten(1).mean(1)


@final
@frozen(kw_only=True, eq=False)
class Cache:
    """What a denoiser was given beside the estimate."""

    x_t: Tensor
    t: Tensor
    label: Tensor | None
    second_time: Tensor | None = None

    def rows(self, index: Tensor) -> "Cache":
        """The same of some images."""
        return Cache(
            x_t=self.x_t[index],
            t=self.t[index],
            label=None if self.label is None else self.label[index],
            second_time=None if self.second_time is None else self.second_time[index],
        )


Function = Callable[[Cache, Tensor], Tensor]


@final
class ToyDenoiser(Denoiser):
    """f(cache, estimate), any function.

    Args:
        takes_latent: whether it says that the estimate is a fresh latent.

    Attributes:
        caches: what `begin` was called with, in order.
        refined: the estimates that `refine` was called with, in order.
    """

    def __init__(
        self, schedule: Schedule, function: Function, *, takes_latent: bool = False
    ) -> None:
        self._schedule = schedule
        self._function = function
        self._takes_latent = takes_latent
        self.caches: list[Cache] = []
        self.refined: list[Tensor] = []

    @property
    def schedule(self) -> Schedule:
        return self._schedule

    @property
    def takes_latent(self) -> bool:
        return self._takes_latent

    def begin(
        self, *, x_t: Tensor, t: Tensor, label: Tensor | None, second_time: Tensor | None = None
    ) -> Cache:
        second = None if second_time is None else second_time.clone()
        self.caches.append(Cache(x_t=x_t.clone(), t=t.clone(), label=label, second_time=second))
        return self.caches[-1]

    def select(self, cache: Cache, *, index: Tensor) -> Cache:
        return cache.rows(index)

    def refine(self, cache: Cache, *, estimate: Tensor | None) -> Tensor:
        """Apply f; without an estimate, to zeros."""
        if estimate is None:
            estimate = torch.zeros_like(cache.x_t)
        self.refined.append(estimate)
        return self._function(cache, estimate)


def mixing(cache: Cache, estimate: Tensor) -> Tensor:
    """A contraction that uses estimate, x_t, time and label, each image by itself."""
    mixed = 0.5 * estimate.roll(1, dims=-1) + 0.3 * cache.x_t.tanh()
    mixed = mixed + (cache.t.to(mixed.dtype) * 1e-4).reshape(-1, 1, 1, 1)
    return mixed if cache.label is None else mixed + 0.05 * cache.label.reshape(-1, 1, 1, 1)


@final
@frozen(kw_only=True, eq=False)
class Call:
    """What one evaluation was given, and whether its gradient was wanted."""

    cache: Cache
    estimate: Tensor | None
    gradient: bool


@final
class ScalarDenoiser(Denoiser):
    """f = θ · function(x_t=, t=, label=, second_time=, estimate=), θ one number to train.

    Without a function f mixes all that it is given.

    Attributes:
        theta: θ.
        calls: every evaluation, in order.
    """

    def __init__(
        self, schedule: Schedule, *, function: Callable[..., Tensor] | None = None
    ) -> None:
        self._schedule = schedule
        self._function = function or _smooth_mixture
        self.theta = torch.ones((), requires_grad=True)
        self.calls: list[Call] = []

    @property
    def schedule(self) -> Schedule:
        return self._schedule

    def begin(
        self, *, x_t: Tensor, t: Tensor, label: Tensor | None, second_time: Tensor | None = None
    ) -> Cache:
        return Cache(x_t=x_t, t=t, label=label, second_time=second_time)

    def refine(self, cache: Cache, *, estimate: Tensor | None) -> Tensor:
        self.calls.append(Call(cache=cache, estimate=estimate, gradient=torch.is_grad_enabled()))
        found = self._function(
            x_t=cache.x_t,
            t=cache.t,
            label=cache.label,
            second_time=cache.second_time,
            estimate=estimate,
        )
        return self.theta * found

    def select(self, cache: Cache, *, index: Tensor) -> Cache:
        return cache.rows(index)


def _smooth_mixture(
    *, x_t: Tensor, t: Tensor, label: Any, second_time: Tensor | None, estimate: Tensor | None
) -> Tensor:
    mixed = 0.4 * x_t.tanh() + 0.1 * expand_B111(t.to(x_t.dtype) / 1000).cos()
    if second_time is not None:
        mixed = mixed + 0.1 * expand_B111(second_time.to(x_t.dtype) / 1000).sin()
    if estimate is not None:
        mixed = mixed + 0.3 * estimate.tanh()
    return mixed if label is None else mixed + 0.05 * label.reshape(-1, 1, 1, 1)


_SHAPES: Final = ((), (7,), (1, 9), (12, 10), (10, 3, 3, 3), (9, 8, 3, 3))
"""A number, a vector, matrices, and kernels of a layer that reads an image and of one within."""


def parameters_of_every_shape() -> list[nn.Parameter]:
    """Parameters for an optimizer, one of each shape, N(0, I), the same each time."""
    generator = generator_for("conformance optimizer")
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in _SHAPES]
