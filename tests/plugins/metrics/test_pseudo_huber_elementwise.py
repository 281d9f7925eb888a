"""Pseudo-Huber, elementwise form, against its formula and its theorems."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from image_pairs import image_pairs

from dddm_metrics.options import PseudoHuberElementwiseOptions, PseudoHuberOptions
from dddm_metrics.pseudo_huber import PseudoHuber
from dddm_metrics.pseudo_huber_elementwise import PseudoHuberElementwise

Pair = tuple[torch.Tensor, torch.Tensor]
constants = st.floats(1e-6, 10)


def distance(pair: Pair, *, c: float) -> torch.Tensor:
    """The metric's value, as float64."""
    metric = PseudoHuberElementwise(PseudoHuberElementwiseOptions(c=c))
    return metric.distance(estimate=pair[0], target=pair[1]).double()


@given(image_pairs(), constants)
def test_is_its_formula(pair: Pair, c: float) -> None:
    """The value is the mean of √((a − b)² + c²) − c of float64 arithmetic."""
    squared = (pair[0].double() - pair[1].double()).square()
    expected = ((squared + c**2).sqrt() - c).mean(dim=(1, 2, 3))
    torch.testing.assert_close(distance(pair, c=c), expected, rtol=2e-6, atol=1e-14)


@given(image_pairs(), constants)
def test_lies_between_l1_less_c_and_l1(pair: Pair, c: float) -> None:
    """L1 − c ≤ d ≤ L1: so d is at most L1, and tends to it as c → 0."""
    l1 = (pair[0].double() - pair[1].double()).abs().mean(dim=(1, 2, 3))
    assert (distance(pair, c=c) <= l1 * (1 + 1e-6)).all()
    assert (distance(pair, c=c) >= l1 * (1 - 1e-6) - c).all()


def test_is_the_vector_form_for_a_single_pixel_only() -> None:
    """Of one pixel the two forms agree; of more they have different scales."""
    vector = PseudoHuber(PseudoHuberOptions(c=0.1))
    pixel = torch.randn(2, 3, 1, 1, 1)
    one = vector.distance(estimate=pixel[0], target=pixel[1]).double()
    torch.testing.assert_close(distance((pixel[0], pixel[1]), c=0.1), one)

    zeros, ones = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    of_image = vector.distance(estimate=ones, target=zeros).item()
    assert of_image == torch.tensor(math.sqrt(16.01) - 0.1)
    assert distance((ones, zeros), c=0.1).item() < of_image / 4
