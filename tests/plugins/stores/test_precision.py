"""What each precision makes of a number: its bound, and what it refuses."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dddm.errors import TrainingFailed
from dddm_stores.precision import Floating, Int8, Precision

FLOAT32 = Floating(torch.float32)
FLOAT16 = Floating(torch.float16)
BFLOAT16 = Floating(torch.bfloat16)
EVERY = [FLOAT32, FLOAT16, BFLOAT16, Int8()]

numbers = st.floats(-65_000, 65_000, width=32)
images = st.lists(st.lists(numbers, min_size=6, max_size=6), min_size=1, max_size=4)


def to_images(values: list[list[float]]) -> Tensor:
    """(B, 1, 2, 3), float32."""
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 2, 3)


def there_and_back(precision: Precision, image_BCHW: Tensor) -> Tensor:
    """What is read after it was written, in double precision."""
    rows_BR = precision.encode(image_BCHW)
    assert rows_BR.dtype == torch.uint8
    assert rows_BR.shape == (len(image_BCHW), precision.row_bytes(6))
    return precision.decode(rows_BR, shape=(1, 2, 3)).double()


@given(images)
@settings(deadline=None)
def test_float32_is_exact(values: list[list[float]]) -> None:
    """Every bit comes back."""
    image = to_images(values)
    assert torch.equal(there_and_back(FLOAT32, image), image.double())


@given(images)
@settings(deadline=None)
def test_float16_is_off_by_half_a_step(values: list[list[float]]) -> None:
    """|error| ≤ 2⁻¹¹ |x| + 2⁻²⁵, also for numbers too small for full precision."""
    image = to_images(values)
    error = (there_and_back(FLOAT16, image) - image.double()).abs()
    assert bool((error <= 2**-11 * image.double().abs() + 2**-25).all())


@given(images)
@settings(deadline=None)
def test_bfloat16_is_off_by_half_a_step(values: list[list[float]]) -> None:
    """|error| ≤ 2⁻⁸ |x|, and for the tiniest numbers half of its smallest."""
    image = to_images(values)
    error = (there_and_back(BFLOAT16, image) - image.double()).abs()
    assert bool((error <= 2**-8 * image.double().abs() + 2.0**-134).all())


@given(images)
@settings(deadline=None)
def test_int8_is_off_by_half_of_its_scale(values: list[list[float]]) -> None:
    """|error| ≤ max |x| / 254 of the same image, up to float32's rounding; 0 stays 0."""
    image = to_images(values)
    kept = there_and_back(Int8(), image)
    bound_B = image.double().abs().flatten(1).amax(1) / 254
    error_B = (kept - image.double()).abs().flatten(1).amax(1)
    assert bool((error_B <= bound_B * (1 + 1e-4) + torch.finfo(torch.float32).tiny).all())
    assert bool((kept[image == 0] == 0).all())


@given(images)
@settings(deadline=None)
def test_a_kept_estimate_is_kept_as_it_is(values: list[list[float]]) -> None:
    """What was read and is written again does not drift."""
    for precision in EVERY:
        once = there_and_back(precision, to_images(values)).float()
        torch.testing.assert_close(
            there_and_back(precision, once).float(), once, rtol=1e-6, atol=1e-30
        )


@pytest.mark.parametrize("bad", [65_520.0, -65_520.0, 1e30, math.inf, -math.inf, math.nan])
def test_what_float16_cannot_hold_is_refused(bad: float) -> None:
    """An estimate never becomes infinite unseen; the largest that fits is kept."""
    image = torch.zeros(2, 1, 2, 3)
    image[1, 0, 1, 1] = bad
    with pytest.raises(TrainingFailed, match="cannot be kept in float16"):
        FLOAT16.encode(image)
    image[1, 0, 1, 1] = 65_519.0
    assert there_and_back(FLOAT16, image).max() == 65_504


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_what_is_not_finite_has_no_scale(bad: float) -> None:
    """8 bits cannot hold it."""
    with pytest.raises(TrainingFailed, match="not all finite"):
        Int8().encode(torch.full((1, 1, 2, 3), bad))


@pytest.mark.parametrize(
    ("precision", "row_bytes"), list(zip(EVERY, [48, 24, 24, 16], strict=True))
)
def test_bytes_of_a_row(precision: Precision, row_bytes: int) -> None:
    """4, 2, 2 and 1 bytes a number; a scale of 4 bytes beside the last."""
    assert precision.row_bytes(12) == row_bytes


@pytest.mark.parametrize("precision", EVERY)
def test_no_images_are_no_rows(precision: Precision) -> None:
    """An empty batch goes through."""
    assert there_and_back(precision, torch.empty(0, 1, 2, 3)).shape == (0, 1, 2, 3)
