"""The forward process: how noise enters an image, and how an estimate is formed from F's output.

`estimate`, `network_time` and `network_input` are the schedule's default parametrization, which a
recipe can replace (`dddm.interfaces.parametrization`).

Shapes: B images of C channels, H rows, W columns.  Times are 1-D tensors of B entries.
"""

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor


def expand_B111(coefficient_B: Tensor) -> Tensor:
    """(B,) → (B, 1, 1, 1), so that one coefficient multiplies a whole image."""
    return coefficient_B.reshape(-1, 1, 1, 1)


class Schedule(ABC):
    """The coefficients of `x_t = a(t) x_0 + s(t) ε`, the last time T, and eq. 3's combination.

    A target of kind `schedule` is called as `target(options)`.  Its registration describes it by a
    `ScheduleInfo`; without one, it is taken to be discrete.
    """

    @property
    @abstractmethod
    def last_time(self) -> float:
        """T: the time from which samples start.  Integral for a discrete schedule."""

    @abstractmethod
    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        """Draw `count` training times, (count,), on the generator's device.

        A discrete schedule draws integers from {1…T} (int64), a continuous one real numbers from
        (0, T] (float64), from any distribution: uniform, log-normal, logit-normal.
        """

    @abstractmethod
    def signal(self, t: Tensor) -> Tensor:
        """a(t), float64, of the shape and on the device of `t`; a(0) = 1."""

    @abstractmethod
    def noise(self, t: Tensor) -> Tensor:
        """s(t), float64, of the shape and on the device of `t`; s(0) = 0."""

    @abstractmethod
    def prior(self, *, noise: Tensor) -> Tensor:
        """x_T for sampling, from standard normal noise of the same shape (B, C, H, W)."""

    @abstractmethod
    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        """The estimate of x_0 from the network's raw output F (eq. 3; for VP: `x_t − F`)."""

    @abstractmethod
    def grid(self, *, steps: int) -> Tensor:
        """`steps` times, strictly falling, the first of them T, the last above 0; on the CPU.

        Raises:
            ValueError: if there are not that many different times.
        """

    @abstractmethod
    def network_time(self, t: Tensor) -> Tensor:
        """What the network sees of `t`, float32: any finite numbers, different at every time."""

    @abstractmethod
    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        """What the network sees of `x_t`: scaled to about unit variance."""

    @final
    def diffuse(self, *, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """`x_t = a(t) x_0 + s(t) ε`, computed in the precision of `x_0`, (B, C, H, W)."""
        signal_B111 = expand_B111(self.signal(t)).to(x_0.dtype)
        noise_B111 = expand_B111(self.noise(t)).to(x_0.dtype)
        return signal_B111 * x_0 + noise_B111 * noise
