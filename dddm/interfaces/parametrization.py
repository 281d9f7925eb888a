"""How the network is called, and how its output becomes an estimate of x_0.

    D(x_t, t) = c_skip(t) x_t + c_out(t) F(c_in(t) x_t, c_noise(t))

Eq. 3 of the paper, x_t − F, is c_skip = c_in = 1 and c_out = −1.  Every schedule has a default
parametrization, which a recipe's `[parametrization]` replaces.

Shapes: B images of C channels, H rows, W columns.  Times are 1-D tensors of B entries.
"""

from abc import ABC, abstractmethod

from torch import Tensor


class Parametrization(ABC):
    """D(x_t, t) of a path x_t = a(t) x_0 + s(t) ε.

    Coefficients are computed from the schedule's a(t) and s(t), in float64, and may not divide by
    a(T), which is 0 on the linear path.  The result for an image depends on its own time alone.

    A target of kind `parametrization` is called as `target(options, schedule=Schedule)`.  It may
    raise a RecipeError for a path that it cannot be used on, but not for a variance preserving path
    with a(T) > 0.
    """

    @abstractmethod
    def network_time(self, t: Tensor) -> Tensor:
        """c_noise(t), float32: what the network sees of `t`, different at every time.

        Finite, also at 0, which a second time may be.
        """

    @abstractmethod
    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        """c_in(t) x_t: what the network sees of `x_t`, scaled to about unit variance."""

    @abstractmethod
    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        """The estimate of x_0, (B, C, H, W), float32, from the network's raw output F.

        At T it depends on F.
        """
