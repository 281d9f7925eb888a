"""Denoisers of a few lines, for the samplers; each counts how often it is asked."""

from collections.abc import Callable
from typing import final

from attrs import frozen
from torch import Tensor

from dddm.interfaces.sampler import Denoiser
from dddm.interfaces.schedule import Schedule


@final
@frozen(kw_only=True)
class Begun:
    """What f is given beside the estimate."""

    x_t: Tensor
    t: Tensor
    label: Tensor | None


@final
class ToyDenoiser(Denoiser):
    """f(begun, estimate) is any function.

    Attributes:
        begun: what `begin` was called with, in order.
        refined: the estimates that `refine` was called with, in order.
    """

    def __init__(self, schedule: Schedule, f: Callable[[Begun, Tensor], Tensor]) -> None:
        self._schedule = schedule
        self._f = f
        self.begun: list[Begun] = []
        self.refined: list[Tensor] = []

    @property
    def schedule(self) -> Schedule:
        """The schedule it was made with."""
        return self._schedule

    def begin(self, *, x_t: Tensor, t: Tensor, label: Tensor | None) -> Begun:
        """Remember the arguments."""
        self.begun.append(Begun(x_t=x_t, t=t, label=label))
        return self.begun[-1]

    def select(self, begun: Begun, *, index: Tensor) -> Begun:
        """The same of some images."""
        label = None if begun.label is None else begun.label[index]
        return Begun(x_t=begun.x_t[index], t=begun.t[index], label=label)

    def refine(self, begun: Begun, *, estimate: Tensor) -> Tensor:
        """Apply f."""
        self.refined.append(estimate)
        return self._f(begun, estimate)


def mixing(begun: Begun, estimate: Tensor) -> Tensor:
    """A contraction that uses everything: estimate, x_t, time and label, each image on its own."""
    mixed = 0.5 * estimate.roll(1, dims=-1) + 0.3 * begun.x_t.tanh()
    mixed = mixed + (begun.t.float() * 1e-4).reshape(-1, 1, 1, 1)
    return mixed if begun.label is None else mixed + 0.01 * begun.label.reshape(-1, 1, 1, 1)
