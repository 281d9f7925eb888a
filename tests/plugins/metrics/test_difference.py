"""What the metrics on pixels share."""

from decimal import Decimal, localcontext

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dddm_metrics.difference import difference, pixel_mean, round_corner


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


def test_shapes_that_would_broadcast_are_refused() -> None:
    """One image is not compared with many by accident."""
    with pytest.raises(ValueError, match=r"\(1, 1, 2, 2\).*\(3, 1, 2, 2\)"):
        difference(estimate=torch.zeros(1, 1, 2, 2), target=torch.zeros(3, 1, 2, 2))


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
        assert round_corner(distance=d_32, c=c_32).item() == pytest.approx(
            expected, rel=1e-6, abs=0
        )


@pytest.mark.parametrize("c", [1e-30, 1e-12, 1.4e-4, 1.0])
def test_gradient_at_the_corner_is_zero(c: float) -> None:
    """The slope at 0 is 0 and not NaN, even where c² is too small for float32."""
    distance = torch.zeros(3, requires_grad=True)
    (gradient,) = torch.autograd.grad(round_corner(distance=distance, c=c).sum(), distance)
    assert torch.equal(gradient, torch.zeros(3))
