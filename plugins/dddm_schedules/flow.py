"""The linear path of rectified flow (Liu et al. 2022, arXiv 2209.03003; Lipman et al. 2022).

    x_t = (1 − t) x_0 + t ε,  t real in (0, T], T = 1
    F predicts the velocity ε − x_0, so that D = x_t − t F

Training times are uniform, or logit-normal (Esser et al. 2024, arXiv 2403.03206, eq. 19):

    t = 1 / (1 + exp(−u)),  u ~ N(mean, std²)

Legend: B images of C channels, H rows, W columns.  Coefficients are float64.
"""

from typing import Final, final

import torch
from torch import Tensor

from dddm.interfaces.schedule import Schedule, expand_B111
from dddm_schedules.options import FlowOptions

_NETWORK_TIMES: Final = 1000.0


@final
class Flow(Schedule):
    """The schedule `linear`."""

    def __init__(self, options: FlowOptions) -> None:
        self._options = options

    @property
    def last_time(self) -> float:
        """T = 1."""
        return 1.0

    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        """Uniform or logit-normal in (0, 1], (count,), float64, on the generator's device."""
        given = {"generator": generator, "device": generator.device, "dtype": torch.float64}
        if self._options.times == "uniform":
            # `rand` may give 0 and never gives 1; a time must not be 0.
            return 1 - torch.rand(count, **given)  # type: ignore[call-overload, no-any-return]
        normal: Tensor = torch.randn(count, **given)  # type: ignore[call-overload]
        return torch.sigmoid(self._options.mean + self._options.std * normal)

    def signal(self, t: Tensor) -> Tensor:
        """1 − t, float64; t are real numbers in [0, 1]."""
        return 1 - _real(t)

    def noise(self, t: Tensor) -> Tensor:
        """t, float64; t are real numbers in [0, 1]."""
        return _real(t).clone()

    def prior(self, *, noise: Tensor) -> Tensor:
        """The noise itself: of x_0 nothing is left at T."""
        return noise

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        """x_t − t F, (B, C, H, W)."""
        return x_t - expand_B111(self.noise(t)).to(x_t.dtype) * raw

    def grid(self, *, steps: int) -> Tensor:
        """1 = t_1 > … > t_s > 0, evenly: (s−i)/s for i = 0…s−1, (s,), float64, CPU.

        Raises:
            ValueError: if `steps` is below 1; there is no largest number.
        """
        if steps < 1:
            raise ValueError(f"{steps} steps were asked for; there must be at least 1")
        return torch.arange(steps, 0, -1, dtype=torch.float64) / steps

    def network_time(self, t: Tensor) -> Tensor:
        """1000 t, float32, as of a discrete schedule at the same fraction of T."""
        return (_real(t) * _NETWORK_TIMES).to(torch.float32)

    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        """x_t unchanged: its variance is at most 1, and never far below that of the images."""
        del t
        return x_t


def _real(t: Tensor) -> Tensor:
    """Times as float64.

    Raises:
        TypeError: if `t` holds integers: 500 of a discrete schedule must not pass for a time.
    """
    if not t.is_floating_point():
        raise TypeError(f"times of this schedule are real numbers in [0, 1], not {t.dtype}")
    return t.to(torch.float64)
