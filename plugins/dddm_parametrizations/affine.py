"""All built-in parametrizations: estimates that are affine in x_t and F.

    D(x_t, t) = c_skip(t) x_t + c_out(t) F(c_in(t) x_t, network time)

on a path x_t = a(t) x_0 + s(t) ε.  By what F is asked for, without scaling by the data and with the
schedule's own c_in:

    residual        F = x_t − x_0    D = x_t − F                      the paper, eq. 3
    x-prediction    F = x_0          D = F                            Ho et al. 2020, §3.2
    noise           F = ε            D = (x_t − s F) / a              Ho et al. 2020
    v-prediction    F = a ε − s x_0  D = (a x_t − s F) / (a² + s²)    Salimans & Ho 2022
    velocity        F = ε − x_0      D = (x_t − s F) / (a + s)        Liu et al. 2022

All are exact on every path.  v-prediction is made for a variance preserving one, where a² + s² = 1
and F is the velocity of x_t along the circle; velocity for the linear one of rectified flow, where
a + s = 1 and F is dx_t/dt.

Preconditioned, so that the network's input and the F that it is asked for have unit variance at
every time where the images have variance σ_d²; with σ = s/a, and x_t/a for the papers' x_0 + σ ε:

    edm           c_skip = σ_d² / (σ² + σ_d²)              Karras et al. 2022 (arXiv 2206.00364),
                  c_out  = σ σ_d / √(σ² + σ_d²)            table 1
    consistency   c_skip = σ_d² / ((σ − σ_min)² + σ_d²)    Song et al. 2023 (arXiv 2303.01469),
                  c_out  = σ_d (σ − σ_min) / √(σ² + σ_d²)  appendix C
                  c_in   = 1 / √(σ² + σ_d²)                of both

At σ_min and below, D of `consistency` is x_t/a whatever the network's output; `edm` is the same
with σ_min = 0.  In a and s, with w² = s² + a² σ_d² and δ = max(0, s − a σ_min):

    D = (a σ_d² / (δ² + a² σ_d²)) x_t + (δ σ_d / w) F(x_t / w, …)

Network times, beside the schedule's own:

    unit         t/T                               from 0 to 1: for derivatives along t, which a
                                                   factor of 1000 makes a thousand times as large
    log-sigma    ¼ ln σ                            EDM, table 1
    arctan       1000 · (2/π) · atan(σ/σ_d)        from 0 to 1000, evenly for a circular path

Coefficients are float64, images float32.
"""

import math
from collections.abc import Callable
from typing import Final, final

import torch
from torch import Tensor

from dddm.errors import RecipeError
from dddm.interfaces.parametrization import Parametrization
from dddm.interfaces.schedule import Schedule, expand_B111
from dddm_parametrizations.options import ConsistencyOptions, EdmOptions, PlainOptions

_SMALLEST: Final = 1e-8
"""Of a and s in ln σ, which is infinite where one of them is 0."""
_NETWORK_TIMES: Final = 1000.0
_LARGEST_SIGMA: Final = 1e6
"""Above it, (x_t − s F)/a keeps no digit of float32."""


@final
class Affine(Parametrization):
    """D = c_skip x_t + c_out F.

    Args:
        coefficients: c_skip and c_out from a and s, all (B,), float64.  They are functions of a and
            s, not of σ = s/a, because a may be 0 at the end of a path.
        input_scale: c_in from a and s; None for the schedule's own.
    """

    def __init__(
        self,
        options: PlainOptions | EdmOptions | ConsistencyOptions,
        *,
        schedule: Schedule,
        coefficients: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
        input_scale: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        self._schedule = schedule
        self._coefficients = coefficients
        self._input_scale = input_scale
        self._network_time = options.network_time
        self._sigma_data = options.sigma_data

    def network_time(self, t: Tensor) -> Tensor:
        if self._network_time == "schedule":
            return self._schedule.network_time(t)
        if self._network_time == "unit":
            return (t.to(torch.float64) / self._schedule.last_time).float()
        a, s = self._schedule.signal(t), self._schedule.noise(t)
        if self._network_time == "log-sigma":
            return ((s.clamp_min(_SMALLEST).log() - a.clamp_min(_SMALLEST).log()) / 4).float()
        # atan2, because σ/σ_d is infinite where a is 0.
        return (torch.atan2(s, self._sigma_data * a) * (_NETWORK_TIMES * 2 / math.pi)).float()

    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        if self._input_scale is None:
            return self._schedule.network_input(x_t=x_t, t=t)
        scale_B = self._input_scale(self._schedule.signal(t), self._schedule.noise(t))
        return expand_B111(scale_B).to(x_t.dtype) * x_t

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        skip_B, out_B = self._coefficients(self._schedule.signal(t), self._schedule.noise(t))
        return expand_B111(skip_B).to(x_t.dtype) * x_t + expand_B111(out_B).to(x_t.dtype) * raw


def residual(options: PlainOptions, *, schedule: Schedule) -> Affine:
    """Make the parametrization `residual`."""

    def coefficients(a: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        del s
        return torch.ones_like(a), -torch.ones_like(a)

    return Affine(options, schedule=schedule, coefficients=coefficients)


def x_prediction(options: PlainOptions, *, schedule: Schedule) -> Affine:
    """Make the parametrization `x-prediction`."""

    def coefficients(a: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(a), torch.ones_like(s)

    return Affine(options, schedule=schedule, coefficients=coefficients)


def noise(options: PlainOptions, *, schedule: Schedule) -> Affine:
    """Make the parametrization `noise`.

    Raises:
        RecipeError: on a path that ends in noise alone: there ε does not determine x_0.
    """
    last = schedule.grid(steps=1)
    if float(schedule.noise(last)) > _LARGEST_SIGMA * float(schedule.signal(last)):
        raise RecipeError(
            "the schedule leaves nothing of the image at the last time, where an image cannot be "
            "recovered from the predicted noise",
            where="parametrization.use",
            remedy='write use = "v-prediction" or "velocity"',
        )
    return Affine(options, schedule=schedule, coefficients=lambda a, s: (1 / a, -s / a))


def v_prediction(options: PlainOptions, *, schedule: Schedule) -> Affine:
    """Make the parametrization `v-prediction`."""

    def coefficients(a: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        square = a.square() + s.square()
        return a / square, -s / square

    return Affine(options, schedule=schedule, coefficients=coefficients)


def velocity(options: PlainOptions, *, schedule: Schedule) -> Affine:
    """Make the parametrization `velocity`."""
    return Affine(options, schedule=schedule, coefficients=lambda a, s: (1 / (a + s), -s / (a + s)))


def edm(options: EdmOptions, *, schedule: Schedule) -> Affine:
    """Make the parametrization `edm`."""
    return _preconditioned(options, schedule=schedule, sigma_min=0.0)


def consistency(options: ConsistencyOptions, *, schedule: Schedule) -> Affine:
    """Make the parametrization `consistency`."""
    return _preconditioned(options, schedule=schedule, sigma_min=options.sigma_min)


def _preconditioned(
    options: EdmOptions | ConsistencyOptions, *, schedule: Schedule, sigma_min: float
) -> Affine:
    sigma_data = options.sigma_data

    def inverse_w(a: Tensor, s: Tensor) -> Tensor:
        return torch.rsqrt(s.square() + (a * sigma_data).square())

    def coefficients(a: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        delta = (s - a * sigma_min).clamp_min(0)
        skip = a * sigma_data**2 / (delta.square() + (a * sigma_data).square())
        return skip, delta * sigma_data * inverse_w(a, s)

    return Affine(options, schedule=schedule, coefficients=coefficients, input_scale=inverse_w)
