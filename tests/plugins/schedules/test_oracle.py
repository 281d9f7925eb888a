"""The oracle: for Gaussian images the best estimate and its loss are known in closed form.

    x_0 ~ N(0, v):  f*(x_t) = v a x_t / (v a² + s²),  E d(f*, x_0) = v s² / (v a² + s²)

with d the squared L2 distance.  A fresh-noise x̂ tells nothing of x_0, so no model that leaks
nothing does better.
"""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dddm.interfaces.plugin import NoOptions
from dddm_metrics.pixels import SquaredL2
from dddm_schedules.discrete import VarianceExploding, vp
from dddm_schedules.options import VeOptions, VpOptions

IMAGES, SHAPE = 2000, (1, 8, 8)
PIXELS = IMAGES * math.prod(SHAPE)
SCHEDULE = vp(VpOptions())


def diffused(*, variance: float, time: int, seed: int) -> tuple[torch.Tensor, ...]:
    """Images x_0 ~ N(0, v), the same at `time`, and the times."""
    generator = torch.Generator().manual_seed(seed)
    x_0 = math.sqrt(variance) * torch.randn(IMAGES, *SHAPE, generator=generator)
    noise = torch.randn(IMAGES, *SHAPE, generator=generator)
    t = torch.full((IMAGES,), time)
    return x_0, SCHEDULE.diffuse(x_0=x_0, t=t, noise=noise), t


def loss_of(slope: float, *, variance: float, time: int, seed: int) -> float:
    """Mean squared L2 of the estimate slope · x_t, formed through eq. 3 from its F."""
    x_0, x_t, t = diffused(variance=variance, time=time, seed=seed)
    estimate = SCHEDULE.estimate(x_t=x_t, raw=x_t - slope * x_t, t=t)
    return float(SquaredL2(NoOptions()).distance(estimate=estimate, target=x_0).double().mean())


def oracle(*, variance: float, time: int) -> tuple[float, float]:
    """The slope of f* and its loss."""
    alpha_bar = float(SCHEDULE.signal(torch.tensor(time))) ** 2
    total = variance * alpha_bar + 1 - alpha_bar
    return variance * math.sqrt(alpha_bar) / total, variance * (1 - alpha_bar) / total


@settings(max_examples=15)
@given(st.floats(0.05, 4.0), st.integers(1, 1000), st.integers(0, 2**32))
def test_loss_of_the_best_estimate(variance: float, time: int, seed: int) -> None:
    """Its Monte Carlo loss is the closed form, within five standard errors."""
    slope, expected = oracle(variance=variance, time=time)
    standard_error = expected * math.sqrt(2 / PIXELS)
    measured = loss_of(slope, variance=variance, time=time, seed=seed)
    assert abs(measured - expected) < 5 * standard_error + 1e-6 * variance


@settings(max_examples=15)
@given(
    st.floats(0.05, 4.0),
    st.integers(1, 1000),
    st.floats(-0.5, 0.5).filter(lambda off: abs(off) > 0.1),
    st.integers(0, 2**32),
)
def test_no_other_linear_estimate_is_better(
    variance: float, time: int, off: float, seed: int
) -> None:
    """Moving the slope off f* costs off² E x_t², within five standard errors on equal images."""
    slope, best = oracle(variance=variance, time=time)
    alpha_bar = float(SCHEDULE.signal(torch.tensor(time))) ** 2
    power = variance * alpha_bar + 1 - alpha_bar
    # The loss changes by off² x_t² + 2 off x_t (f* − x_0), of which the residual is independent.
    standard_error = math.sqrt((2 * off**4 * power**2 + 4 * off**2 * power * best) / PIXELS)
    cost = loss_of(slope + off, variance=variance, time=time, seed=seed) - loss_of(
        slope, variance=variance, time=time, seed=seed
    )
    assert cost > 0
    assert abs(cost - off**2 * power) < 5 * standard_error + 1e-6 * power


@settings(max_examples=15)
@given(st.floats(0.05, 4.0), st.integers(2, 1000), st.integers(0, 2**32))
def test_ve_reaches_the_best_loss(variance: float, time: int, seed: int) -> None:
    """F of `ve` can express f*, whose Monte Carlo loss is the closed form."""
    schedule = VarianceExploding(VeOptions())
    x_0, noise = torch.randn(
        2, IMAGES, *SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    x_0 = math.sqrt(variance) * x_0
    t = torch.full((IMAGES,), time)
    x_t = schedule.diffuse(x_0=x_0, t=t, noise=noise)
    sigma = float(schedule.noise(torch.tensor(time)))
    kappa = 0.01 / sigma
    best = variance / (variance + sigma**2) * x_t
    estimate = schedule.estimate(x_t=x_t, raw=(best - kappa * x_t) / (1 - kappa), t=t)
    loss = float(SquaredL2(NoOptions()).distance(estimate=estimate, target=x_0).double().mean())
    expected = variance * sigma**2 / (variance + sigma**2)
    assert abs(loss - expected) < 5 * expected * math.sqrt(2 / x_0.numel()) + 1e-6 * variance
