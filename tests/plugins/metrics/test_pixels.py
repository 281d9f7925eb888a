"""Metrics on pixels against their formulas, and what a loss needs of them."""

import math
from decimal import Decimal, localcontext

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from image_pairs import image_pairs

from dddm.interfaces.metric import Metric
from dddm.interfaces.plugin import NoOptions
from dddm_metrics.options import PseudoHuberElementwiseOptions, PseudoHuberOptions
from dddm_metrics.pixels import (
    L1,
    PseudoHuber,
    PseudoHuberElementwise,
    SquaredL2,
    difference,
    pixel_mean,
    pseudo_huber,
)

METRICS = [
    L1(NoOptions()),
    SquaredL2(NoOptions()),
    PseudoHuber(PseudoHuberOptions(c=0.0043)),
    PseudoHuberElementwise(PseudoHuberElementwiseOptions()),
]
every_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda m: type(m).__name__)
Pair = tuple[torch.Tensor, torch.Tensor]
constants = st.floats(1e-6, 10)


@every_metric
@given(pair=image_pairs())
def test_distance_is_a_float32_for_each_sample_and_at_least_zero(
    metric: Metric, pair: Pair
) -> None:
    """Every d ≥ 0, finite, (B,), float32."""
    distance = metric.distance(estimate=pair[0], target=pair[1])
    assert distance.shape == (len(pair[0]),)
    assert distance.dtype == torch.float32
    assert (distance >= 0).all()
    assert distance.isfinite().all()


@every_metric
@given(pair=image_pairs())
def test_distance_to_itself_is_zero(metric: Metric, pair: Pair) -> None:
    """d(x, x) = 0, exactly."""
    assert (metric.distance(estimate=pair[0], target=pair[0]) == 0).all()


@every_metric
@given(pair=image_pairs())
def test_distance_is_symmetric(metric: Metric, pair: Pair) -> None:
    """d(a, b) = d(b, a), bit for bit."""
    there = metric.distance(estimate=pair[0], target=pair[1])
    back = metric.distance(estimate=pair[1], target=pair[0])
    assert torch.equal(there, back)


@every_metric
@given(pair=image_pairs())
def test_samples_do_not_see_each_other(metric: Metric, pair: Pair) -> None:
    """A sample's distance is the same alone as in its batch."""
    together = metric.distance(estimate=pair[0], target=pair[1])
    for row, distance in enumerate(together):
        alone = metric.distance(estimate=pair[0][row, None], target=pair[1][row, None])
        torch.testing.assert_close(alone[0], distance, rtol=1e-6, atol=1e-12)


@every_metric
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_measured_in_float32_or_better(
    metric: Metric, dtype: torch.dtype
) -> None:
    """The result is float32, and as exact as if the same numbers had come in float32."""
    a, b = torch.randn(2, 3, 2, 4, 4).to(dtype)
    distance = metric.distance(estimate=a, target=b)
    assert distance.dtype == torch.float32
    expected = metric.distance(estimate=a.float(), target=b.float())
    torch.testing.assert_close(distance, expected, rtol=1e-6, atol=0)


@every_metric
def test_autocast_changes_nothing(metric: Metric) -> None:
    """Inside autocast, distances are those outside, bit for bit."""
    a, b = torch.randn(2, 3, 2, 4, 4)
    expected = metric.distance(estimate=a, target=b)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(metric.distance(estimate=a, target=b), expected)


@every_metric
def test_gradient_at_equality_is_finite(metric: Metric) -> None:
    """A perfect estimate moves nothing and breaks nothing."""
    target = torch.randn(2, 1, 3, 3)
    estimate = target.clone().requires_grad_()
    loss = metric.distance(estimate=estimate, target=target).mean()
    (gradient,) = torch.autograd.grad(loss, estimate)
    assert torch.equal(gradient, torch.zeros_like(target))


@every_metric
def test_several_distances_are_those_of_each_target(metric: Metric) -> None:
    """Asked for together or one by one: the same values, each with the estimate's gradient."""
    a, b, c = torch.randn(3, 2, 1, 3, 3)
    a.requires_grad_()
    together = metric.distances(estimate=a, targets=(b, c))
    for found, target in zip(together, (b, c), strict=True):
        assert torch.equal(found, metric.distance(estimate=a, target=target))
        assert found.requires_grad


@every_metric
def test_one_image_is_not_compared_with_many(metric: Metric) -> None:
    """Shapes that differ are refused instead of being broadcast."""
    with pytest.raises(ValueError, match=r"\(1, 1, 2, 2\).*\(3, 1, 2, 2\)"):
        metric.distance(estimate=torch.zeros(1, 1, 2, 2), target=torch.zeros(3, 1, 2, 2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_is_subtracted_in_float32(dtype: torch.dtype) -> None:
    """What comes in at low precision is not rounded to it again."""
    a = torch.full((1, 1, 1, 1), 1.0).to(dtype)
    b = torch.full((1, 1, 1, 1), 2.0**-14).to(dtype)
    result = difference(estimate=a, target=b)
    assert result.dtype == torch.float32
    assert result.item() == 1 - 2.0**-14


def test_double_precision_is_kept() -> None:
    """float64 is subtracted as float64: 1e-12 survives beside 1."""
    a = torch.full((1, 1, 1, 1), 1 + 1e-12, dtype=torch.float64)
    assert difference(estimate=a, target=torch.ones(1, 1, 1, 1)).item() == pytest.approx(
        1e-12, rel=1e-3
    )


def test_pixel_mean_is_over_all_but_the_batch() -> None:
    """One float32 number a sample."""
    value = torch.arange(8, dtype=torch.float64).reshape(2, 1, 2, 2)
    assert torch.equal(pixel_mean(value), torch.tensor([1.5, 5.5]))


@given(st.floats(1e-12, 1e4), st.floats(1e-6, 1e2))
def test_rounded_corner_keeps_its_digits(distance: float, c: float) -> None:
    """In float32, √(d² + c²) − c agrees with 60-digit arithmetic to 1e-6, however small d is."""
    d_32, c_32 = torch.tensor(distance), float(torch.tensor(c))
    with localcontext() as context:
        context.prec = 60
        d = Decimal(d_32.item())
        expected = float((d * d + Decimal(c_32) ** 2).sqrt() - Decimal(c_32))
    if expected > 1e-30:  # below, float32 itself runs out of digits
        assert pseudo_huber(d_32, c=c_32).item() == pytest.approx(expected, rel=1e-6, abs=0)


@pytest.mark.parametrize("c", [1e-30, 1e-12, 1.4e-4, 1.0])
def test_gradient_at_the_corner_is_zero(c: float) -> None:
    """The slope at 0 is 0 and not NaN, even where c² is too small for float32."""
    distance = torch.zeros(3, requires_grad=True)
    (gradient,) = torch.autograd.grad(pseudo_huber(distance, c=c).sum(), distance)
    assert torch.equal(gradient, torch.zeros(3))


@given(image_pairs())
def test_l1_and_l2_are_means_over_pixels(pair: Pair) -> None:
    """The values are those of float64 arithmetic; no root is taken of the square."""
    a, b = pair
    exact = a.double() - b.double()
    for metric, expected in (
        (L1(NoOptions()), exact.abs().mean(dim=(1, 2, 3))),
        (SquaredL2(NoOptions()), exact.square().mean(dim=(1, 2, 3))),
    ):
        distance = metric.distance(estimate=a, target=b)
        torch.testing.assert_close(distance.double(), expected, rtol=1e-6, atol=1e-12)


def norm(pair: Pair) -> torch.Tensor:
    return (pair[0].double() - pair[1].double()).square().sum(dim=(1, 2, 3)).sqrt()


def vector_form(pair: Pair, *, c: float) -> torch.Tensor:
    metric = PseudoHuber(PseudoHuberOptions(c=c))
    return metric.distance(estimate=pair[0], target=pair[1]).double()


@given(image_pairs(), constants)
def test_vector_form_is_its_formula(pair: Pair, c: float) -> None:
    """The value is √(‖a − b‖² + c²) − c of float64 arithmetic, up to what cancels there."""
    expected = (norm(pair).square() + c**2).sqrt() - c
    torch.testing.assert_close(vector_form(pair, c=c), expected, rtol=2e-6, atol=1e-14)


@given(image_pairs(), constants)
def test_lies_between_the_norm_less_c_and_the_norm(pair: Pair, c: float) -> None:
    """‖·‖ − c ≤ d ≤ ‖·‖: so d is at most the norm, and tends to it as c → 0."""
    rounding = 1e-6 * norm(pair)
    assert (vector_form(pair, c=c) <= norm(pair) + rounding).all()
    assert (vector_form(pair, c=c) >= norm(pair) - c - rounding).all()


def test_triangle_inequality_does_not_hold() -> None:
    """With c = 1, from 0 over 1 to 2 is 2(√2 − 1) = 0.83, but straight it is √5 − 1 = 1.24."""
    zero, one, two = (torch.full((1, 1, 1, 1), value) for value in (0.0, 1.0, 2.0))
    straight = vector_form((zero, two), c=1.0).item()
    over_one = vector_form((zero, one), c=1.0).item() + vector_form((one, two), c=1.0).item()
    assert straight == pytest.approx(math.sqrt(5) - 1)
    assert over_one == pytest.approx(2 * (math.sqrt(2) - 1))
    assert straight > over_one


@given(image_pairs(), constants)
def test_gradient_is_the_difference_over_the_root(pair: Pair, c: float) -> None:
    """∂d/∂a = (a − b)/√(‖a − b‖² + c²), so that no sample's gradient exceeds 1."""
    estimate = pair[0].clone().requires_grad_()
    metric = PseudoHuber(PseudoHuberOptions(c=c))
    total = metric.distance(estimate=estimate, target=pair[1]).sum()
    (gradient,) = torch.autograd.grad(total, estimate)
    root = (norm(pair).square() + c**2).sqrt().reshape(-1, 1, 1, 1)
    expected = (pair[0].double() - pair[1].double()) / root
    torch.testing.assert_close(gradient.double(), expected, rtol=1e-5, atol=1e-7)


def elementwise_form(pair: Pair, *, c: float) -> torch.Tensor:
    metric = PseudoHuberElementwise(PseudoHuberElementwiseOptions(c=c))
    return metric.distance(estimate=pair[0], target=pair[1]).double()


@given(image_pairs(), constants)
def test_elementwise_form_is_its_formula(pair: Pair, c: float) -> None:
    """The value is the mean of √((a − b)² + c²) − c of float64 arithmetic."""
    squared = (pair[0].double() - pair[1].double()).square()
    expected = ((squared + c**2).sqrt() - c).mean(dim=(1, 2, 3))
    torch.testing.assert_close(elementwise_form(pair, c=c), expected, rtol=2e-6, atol=1e-14)


@given(image_pairs(), constants)
def test_lies_between_l1_less_c_and_l1(pair: Pair, c: float) -> None:
    """L1 − c ≤ d ≤ L1: so d is at most L1, and tends to it as c → 0."""
    l1 = (pair[0].double() - pair[1].double()).abs().mean(dim=(1, 2, 3))
    assert (elementwise_form(pair, c=c) <= l1 * (1 + 1e-6)).all()
    assert (elementwise_form(pair, c=c) >= l1 * (1 - 1e-6) - c).all()


def test_both_forms_agree_for_a_single_pixel_only() -> None:
    """For one pixel the two forms agree; for more they have different scales."""
    vector = PseudoHuber(PseudoHuberOptions(c=0.1))
    pixel = torch.randn(2, 3, 1, 1, 1)
    one = vector.distance(estimate=pixel[0], target=pixel[1]).double()
    torch.testing.assert_close(elementwise_form((pixel[0], pixel[1]), c=0.1), one)

    zeros, ones = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    of_image = vector.distance(estimate=ones, target=zeros).item()
    assert of_image == torch.tensor(math.sqrt(16.01) - 0.1)
    assert elementwise_form((ones, zeros), c=0.1).item() < of_image / 4
