"""What F is of x_0 and ε, without scaling by the data.

    residual        D = x_t − F                                       the paper, eq. 3
    noise           F = ε            D = (x_t − s F) / a              Ho et al. 2020
    v-prediction    F = a ε − s x_0  D = (a x_t − s F) / (a² + s²)    Salimans & Ho 2022
    velocity        F = ε − x_0      D = (x_t − s F) / (a + s)        Liu et al. 2022

The last three are exact on every path x_t = a x_0 + s ε.  v-prediction is made for a variance
preserving one, where a² + s² = 1 and F is the velocity of x_t along the circle; velocity for the
linear one of rectified flow, where a + s = 1 and F is dx_t/dt.

c_in is the schedule's own: 1 for variance preserving paths, as it is in these papers.
"""

from typing import Final

import torch
from torch import Tensor

from dddm.errors import RecipeError
from dddm.interfaces.schedule import Schedule
from dddm_parametrizations.affine import Affine, Coefficients, OfPath
from dddm_parametrizations.options import PlainOptions

_LARGEST_SIGMA: Final = 1e6
"""Beyond which (x_t − s F)/a keeps no digit of float32."""


def residual(options: PlainOptions, *, schedule: Schedule) -> Affine:
    """Make the parametrization `residual`."""

    def coefficients(a: Tensor, s: Tensor) -> Coefficients:
        del s
        return Coefficients(skip=torch.ones_like(a), out=-torch.ones_like(a))

    return _plain(options, schedule=schedule, coefficients=coefficients)


def noise(options: PlainOptions, *, schedule: Schedule) -> Affine:
    """Make the parametrization `noise`.

    Raises:
        RecipeError: on a path that ends in noise alone: ε then says nothing of x_0.
    """
    last = schedule.grid(steps=1)
    if float(schedule.noise(last)) > _LARGEST_SIGMA * float(schedule.signal(last)):
        raise RecipeError(
            "at the last time the schedule leaves nothing of the image, so a network that predicts "
            "the noise cannot say what the image is",
            where="parametrization.use",
            remedy='write use = "v-prediction" or "velocity"',
        )

    def coefficients(a: Tensor, s: Tensor) -> Coefficients:
        return Coefficients(skip=1 / a, out=-s / a)

    return _plain(options, schedule=schedule, coefficients=coefficients)


def v_prediction(options: PlainOptions, *, schedule: Schedule) -> Affine:
    """Make the parametrization `v-prediction`."""

    def coefficients(a: Tensor, s: Tensor) -> Coefficients:
        square = a.square() + s.square()
        return Coefficients(skip=a / square, out=-s / square)

    return _plain(options, schedule=schedule, coefficients=coefficients)


def velocity(options: PlainOptions, *, schedule: Schedule) -> Affine:
    """Make the parametrization `velocity`."""

    def coefficients(a: Tensor, s: Tensor) -> Coefficients:
        return Coefficients(skip=1 / (a + s), out=-s / (a + s))

    return _plain(options, schedule=schedule, coefficients=coefficients)


def _plain(options: PlainOptions, *, schedule: Schedule, coefficients: OfPath) -> Affine:
    return Affine(
        schedule,
        coefficients=coefficients,
        network_time=options.network_time,
        sigma_data=options.sigma_data,
    )
