"""Barron's general robust loss against its formula, its limits and its theorems."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dddm_plugin_example.options import RobustOptions
from dddm_plugin_example.robust import Robust, rho

quick = settings(deadline=None, max_examples=60)
alphas = st.floats(-50, 2).filter(lambda alpha: abs(alpha) > 1e-3 and alpha < 2 - 1e-3)
errors = st.floats(1e-4, 1e4)
"""d/c: from where all of them are the square to where none is."""


def of(error: float, alpha: float) -> float:
    """ρ at d/c = error, as this package computes it: in float32."""
    return rho(torch.tensor(error).square(), alpha=alpha).item()


def metric(**options: Any) -> Robust:
    return Robust(RobustOptions(**({"c": 0.5} | options)))


def pair() -> tuple[Tensor, Tensor]:
    a, b = torch.randn(2, 3, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    return a, b


@quick
@given(errors, alphas)
def test_is_its_formula(error: float, alpha: float) -> None:
    """Eq. 8 of the paper, in float64, with and, where it has digits left, without its rewriting."""
    b = abs(alpha - 2)
    expected = b / alpha * math.expm1(alpha / 2 * math.log1p(error**2 / b))
    assert of(error, alpha) == pytest.approx(expected, rel=1e-4)
    if error > 0.1:
        printed = b / alpha * ((error**2 / b + 1) ** (alpha / 2) - 1)
        assert of(error, alpha) == pytest.approx(printed, rel=1e-4)


@quick
@given(errors, st.sampled_from([1e-4, 1e-6, 1e-12, 0.0]))
def test_towards_two_it_is_half_the_square(error: float, away: float) -> None:
    """α → 2: ½(d/c)²."""
    assert of(error, 2 - away) == pytest.approx(error**2 / 2, rel=max(1e-5, 20 * away))


@quick
@given(errors)
def test_at_one_it_is_the_rounded_norm(error: float) -> None:
    """α = 1: √((d/c)² + 1) − 1, which is Charbonnier's and pseudo-Huber's, divided by c."""
    rounded = error * (error / (math.hypot(error, 1) + 1))
    assert of(error, 1.0) == pytest.approx(rounded, rel=1e-5)


@quick
@given(errors, st.sampled_from([1e-4, -1e-4, 1e-6, -1e-6, 1e-12, -1e-300, 0.0]))
def test_towards_zero_it_is_the_logarithm(error: float, away: float) -> None:
    """α → 0, from either side: Cauchy's log(½(d/c)² + 1)."""
    tolerance = max(1e-5, 20 * abs(away))
    assert of(error, away) == pytest.approx(math.log1p(error**2 / 2), rel=tolerance)


@quick
@given(errors)
def test_at_minus_two_it_is_geman_mcclure(error: float) -> None:
    """α = −2: 2(d/c)² / ((d/c)² + 4)."""
    assert of(error, -2.0) == pytest.approx(2 * error**2 / (error**2 + 4), rel=1e-5)


@quick
@given(errors, st.sampled_from([-1e5, -1e7, -1e9, -1e30, -1e300]))
def test_towards_minus_infinity_it_is_welsch(error: float, alpha: float) -> None:
    """α → −∞: 1 − exp(−½(d/c)²)."""
    expected = -math.expm1(-(error**2) / 2)
    assert of(error, alpha) == pytest.approx(expected, rel=max(1e-5, 20 / abs(alpha)))


@quick
@given(errors, st.floats(-50, 2), st.floats(-50, 2))
def test_rises_with_alpha(error: float, one: float, other: float) -> None:
    """The paper's theorem: the same error counts for more under a larger α."""
    low, high = sorted((one, other))
    assert of(error, low) <= of(error, high) * (1 + 1e-5)


@quick
@given(st.floats(0, 1e4), st.floats(0, 1e4), st.floats(-50, 2))
def test_rises_with_the_error(one: float, other: float, alpha: float) -> None:
    """A larger error never counts for less."""
    low, high = sorted((one, other))
    assert of(low, alpha) <= of(high, alpha) * (1 + 1e-5)


@quick
@given(errors, st.floats(-50, -0.1))
def test_is_bounded_below_zero(error: float, alpha: float) -> None:
    """For α < 0 no error counts for more than |α−2|/|α|: nothing pulls at what is lost."""
    assert of(error, alpha) <= (2 - alpha) / -alpha * (1 + 1e-5)


@quick
@given(st.floats(1e-3, 1e3), st.floats(-50, 2))
def test_gradient_is_the_papers(error: float, alpha: float) -> None:
    """∂ρ/∂d = (d/c²) ((d/c)²/|α−2| + 1)^(α/2−1); what has all but vanished is lost in rounding."""
    d = torch.tensor(error, requires_grad=True)
    (gradient,) = torch.autograd.grad(rho(d.square(), alpha=alpha), d)
    b = abs(alpha - 2)
    expected = error * (1.0 if b < 1e-7 else (error**2 / b + 1) ** (alpha / 2 - 1))
    assert gradient.item() == pytest.approx(expected, rel=1e-3, abs=1e-6 * error)


@pytest.mark.parametrize("of", ["image", "pixel"])
@pytest.mark.parametrize("alpha", [2.0, 1.0, 0.0, -2.0, -1e9])
def test_gradient_at_equality_is_zero(alpha: float, of: str) -> None:
    """A perfect estimate is at distance 0, moves nothing and breaks nothing."""
    target = torch.randn(2, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    estimate = target.clone().requires_grad_()
    distance = metric(alpha=alpha, of=of).distance(estimate=estimate, target=target)
    (gradient,) = torch.autograd.grad(distance.sum(), estimate)
    assert torch.equal(distance, torch.zeros(2))
    assert torch.equal(gradient, torch.zeros_like(target))


def test_an_image_is_measured_by_its_norm() -> None:
    """With α = 1 the form for images is √(‖a − b‖² + c²) − c, divided by c."""
    a, b = pair()
    square = (a.double() - b.double()).square()
    expected = ((square.sum(dim=(1, 2, 3)) + 0.25).sqrt() - 0.5) / 0.5
    torch.testing.assert_close(metric().distance(estimate=a, target=b), expected.float())


def test_pixels_are_measured_one_by_one() -> None:
    """With α = 0 the form for pixels is the mean of log(½((a − b)/c)² + 1)."""
    a, b = pair()
    expected = ((a.double() - b.double()) / 0.5).square().div(2).log1p().mean(dim=(1, 2, 3))
    distance = metric(alpha=0.0, of="pixel").distance(estimate=a, target=b)
    torch.testing.assert_close(distance, expected.float())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_measured_in_float32_or_better(dtype: torch.dtype) -> None:
    """The result is float32, and as exact as if the same numbers had come in float32."""
    a, b = (part.to(dtype) for part in pair())
    distance = metric().distance(estimate=a, target=b)
    assert distance.dtype == torch.float32
    expected = metric().distance(estimate=a.float(), target=b.float())
    torch.testing.assert_close(distance, expected, rtol=1e-6, atol=0)


def test_one_image_is_not_compared_with_many() -> None:
    """Shapes that differ are refused instead of being broadcast."""
    with pytest.raises(ValueError, match="shape"):
        metric().distance(estimate=torch.zeros(1, 1, 2, 2), target=torch.zeros(3, 1, 2, 2))
