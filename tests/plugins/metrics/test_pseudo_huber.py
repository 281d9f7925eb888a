"""Pseudo-Huber, vector form, against its formula and its theorems."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from image_pairs import image_pairs

from dddm_metrics.options import PseudoHuberOptions
from dddm_metrics.pseudo_huber import PseudoHuber

Pair = tuple[torch.Tensor, torch.Tensor]
constants = st.floats(1e-6, 10)


def norm(pair: Pair) -> torch.Tensor:
    """‖a − b‖ of each sample, float64."""
    return (pair[0].double() - pair[1].double()).square().sum(dim=(1, 2, 3)).sqrt()


def distance(pair: Pair, *, c: float) -> torch.Tensor:
    """The metric's value, as float64."""
    metric = PseudoHuber(PseudoHuberOptions(c=c))
    return metric.distance(estimate=pair[0], target=pair[1]).double()


@given(image_pairs(), constants)
def test_is_its_formula(pair: Pair, c: float) -> None:
    """The value is √(‖a − b‖² + c²) − c of float64 arithmetic, up to what cancels there."""
    expected = (norm(pair).square() + c**2).sqrt() - c
    torch.testing.assert_close(distance(pair, c=c), expected, rtol=2e-6, atol=1e-14)


@given(image_pairs(), constants)
def test_lies_between_the_norm_less_c_and_the_norm(pair: Pair, c: float) -> None:
    """‖·‖ − c ≤ d ≤ ‖·‖: so d is at most the norm, and tends to it as c → 0."""
    rounding = 1e-6 * norm(pair)
    assert (distance(pair, c=c) <= norm(pair) + rounding).all()
    assert (distance(pair, c=c) >= norm(pair) - c - rounding).all()


@given(image_pairs(), constants, st.floats(1.01, 100))
def test_falls_as_c_rises(pair: Pair, c: float, factor: float) -> None:
    """A larger c rounds off more."""
    rounding = 1e-6 * norm(pair)
    assert (distance(pair, c=c * factor) <= distance(pair, c=c) + rounding).all()


def test_triangle_inequality_does_not_hold() -> None:
    """With c = 1, from 0 over 1 to 2 is 2(√2 − 1) = 0.83, but straight it is √5 − 1 = 1.24."""
    zero, one, two = (torch.full((1, 1, 1, 1), value) for value in (0.0, 1.0, 2.0))
    straight = distance((zero, two), c=1.0).item()
    over_one = distance((zero, one), c=1.0).item() + distance((one, two), c=1.0).item()
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
