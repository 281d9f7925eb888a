"""What all parametrizations share: an estimate that is affine in x_t and F.

    D(x_t, t) = skip(t) x_t + out(t) F(input(t) x_t, network time)

On a path x_t = a(t) x_0 + s(t) ε the noise beside a whole image is σ = s/a, which is how formulas
for x_0 + σ ε are read for every path: x_t/a takes the place of their x.  Where a is 0, as at the
end of the linear path, σ is infinite; so coefficients are written in a and s.

    log-sigma    ¼ ln σ                            Karras et al. 2022 (arXiv 2206.00364), table 1
    arctan       1000 · (2/π) · atan(σ/σ_d)        from 0 to 1000, evenly for a circular path

Legend: B images of C channels, H rows, W columns.  Coefficients are float64, images float32.
"""

import math
from collections.abc import Callable
from typing import Final, NamedTuple, final

import torch
from torch import Tensor

from dddm.interfaces.parametrization import Parametrization
from dddm.interfaces.schedule import Schedule, expand_B111
from dddm_parametrizations.options import NetworkTime

_LEAST: Final = 1e-8
"""Of a and s in ln σ, which is infinite where one of them is 0."""
_NETWORK_TIMES: Final = 1000.0


@final
class Coefficients(NamedTuple):
    """Those of x_t and of F in the estimate, (B,), float64."""

    skip: Tensor
    out: Tensor


OfPath = Callable[[Tensor, Tensor], Coefficients]
"""Coefficients from a and s, (B,), float64."""


@final
class Affine(Parametrization):
    """D = skip x_t + out F.

    Args:
        coefficients: `skip` and `out` from a and s.
        input_scale: c_in from a and s; None for what the schedule does.
        network_time: which time the network sees.
        sigma_data: σ_d of `arctan`.
    """

    def __init__(
        self,
        schedule: Schedule,
        *,
        coefficients: OfPath,
        input_scale: Callable[[Tensor, Tensor], Tensor] | None = None,
        network_time: NetworkTime,
        sigma_data: float,
    ) -> None:
        self._schedule = schedule
        self._coefficients = coefficients
        self._input_scale = input_scale
        self._network_time = network_time
        self._sigma_data = sigma_data

    def network_time(self, t: Tensor) -> Tensor:
        """What the network sees of t, (B,), float32."""
        if self._network_time == "schedule":
            return self._schedule.network_time(t)
        a, s = self._path(t)
        if self._network_time == "log-sigma":
            return ((s.clamp_min(_LEAST).log() - a.clamp_min(_LEAST).log()) / 4).float()
        return (torch.atan2(s, self._sigma_data * a) * (_NETWORK_TIMES * 2 / math.pi)).float()

    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        """c_in x_t, (B, C, H, W)."""
        if self._input_scale is None:
            return self._schedule.network_input(x_t=x_t, t=t)
        return expand_B111(self._input_scale(*self._path(t))).to(x_t.dtype) * x_t

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        """The estimate, (B, C, H, W)."""
        skip_B111, out_B111 = (
            expand_B111(each).to(x_t.dtype) for each in self._coefficients(*self._path(t))
        )
        return skip_B111 * x_t + out_B111 * raw

    def _path(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return a(t) and s(t)."""
        return self._schedule.signal(t), self._schedule.noise(t)
