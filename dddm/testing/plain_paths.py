"""Schedules of a few lines, on which parametrizations are tried: one of each kind of path.

discrete    a = cos φ, s = sin φ, φ = 0.99 π t / 2T   t = 1…20: variance preserving
linear      a = 1 − t, s = t                          t in (0, 1]: nothing is left of the image
exploding   a = 1, s = t                              t in (0, 80]: variance exploding
"""

import math
from collections.abc import Callable
from typing import Final, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.interfaces.schedule import Schedule, expand_B111

Coefficient = Callable[[Tensor], Tensor]
_TIMESTEPS: Final = 20
_LARGEST_SIGMA: Final = 80.0


@final
@frozen(kw_only=True, eq=False)
class PlainPath(Schedule):
    """x_t = a(t) x_0 + s(t) ε for any a and s, and for whole or real times; not to be trained on.

    Attributes:
        name: in words.
        discrete: whether times are the integers 1…T.
    """

    name: str
    a: Coefficient
    s: Coefficient
    last: float
    discrete: bool = False

    @property
    def last_time(self) -> float:
        """T."""
        return self.last

    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        """Uniform."""
        uniform = 1 - torch.rand(count, generator=generator, dtype=torch.float64)
        return (uniform * self.last).ceil().long() if self.discrete else uniform * self.last

    def signal(self, t: Tensor) -> Tensor:
        """a(t)."""
        return self.a(t.double())

    def noise(self, t: Tensor) -> Tensor:
        """s(t)."""
        return self.s(t.double())

    def prior(self, *, noise: Tensor) -> Tensor:
        """s(T) ε."""
        return float(self.noise(self.grid(steps=1))) * noise

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        """x_t − s F, over a + s."""
        a_B111, s_B111 = expand_B111(self.signal(t)), expand_B111(self.noise(t))
        return ((x_t - s_B111 * raw) / (a_B111 + s_B111)).to(x_t.dtype)

    def grid(self, *, steps: int) -> Tensor:
        """Evenly from T down."""
        even = self.last * torch.arange(steps, 0, -1, dtype=torch.float64) / steps
        return even.ceil().long() if self.discrete else even

    def network_time(self, t: Tensor) -> Tensor:
        """1000 t/T."""
        return (t.double() * (1000 / self.last)).float()

    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        """x_t / √(a²/4 + s²)."""
        scale_B111 = expand_B111(torch.rsqrt(self.signal(t).square() / 4 + self.noise(t).square()))
        return scale_B111.to(x_t.dtype) * x_t


PATHS: Final[tuple[PlainPath, ...]] = (
    PlainPath(
        name="discrete",
        a=lambda t: torch.cos(t * (0.99 * math.pi / 2 / _TIMESTEPS)),
        s=lambda t: torch.sin(t * (0.99 * math.pi / 2 / _TIMESTEPS)),
        last=float(_TIMESTEPS),
        discrete=True,
    ),
    PlainPath(name="linear", a=lambda t: 1 - t, s=lambda t: t * 1, last=1.0),
    PlainPath(name="exploding", a=torch.ones_like, s=lambda t: t * 1, last=_LARGEST_SIGMA),
)
"""The three, for tests of parametrizations."""


def plain_paths() -> tuple[Schedule, ...]:
    """A small schedule of each kind of path, for tests: discrete, linear and exploding."""
    return PATHS
