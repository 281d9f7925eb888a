"""Images as uint8 and as numbers in [-1, 1]."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from dddm.support.images import from_uint8, to_uint8

LEVELS = torch.arange(256, dtype=torch.uint8)


def test_every_level_survives_the_round_trip() -> None:
    assert torch.equal(to_uint8(from_uint8(LEVELS)), LEVELS)


def test_levels_fill_the_range_evenly() -> None:
    """0 becomes -1, 255 becomes 1, in float32, in equal steps."""
    values = from_uint8(LEVELS)
    assert values.dtype == torch.float32
    assert values[0] == -1
    assert values[-1] == 1
    torch.testing.assert_close(values.diff(), torch.full((255,), 2 / 255), rtol=0, atol=2e-7)


@given(st.floats(-1, 1, width=32))
def test_numbers_are_rounded_to_the_nearest_level(value: float) -> None:
    """No number is moved by more than half a level, as truncation would."""
    level = to_uint8(torch.tensor([value])).item()
    assert abs(level - (value + 1) * 127.5) <= 0.5 + 1e-4


@given(st.floats(1, 1e6, width=32))
def test_numbers_outside_the_range_are_clamped(value: float) -> None:
    """What lies beyond white is white, and does not wrap around to black."""
    assert to_uint8(torch.tensor([value, -value])).tolist() == [255, 0]


def test_the_arguments_are_not_changed() -> None:
    values = torch.tensor([-2.0, 0.3])
    to_uint8(values)
    assert torch.equal(values, torch.tensor([-2.0, 0.3]))
    levels = LEVELS.clone()
    from_uint8(levels)
    assert torch.equal(levels, LEVELS)
