"""Images as uint8, as numbers in [-1, 1], and as pictures."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dddm.support.images import from_uint8, grid, picture, png_bytes, to_uint8

LEVELS = torch.arange(256, dtype=torch.uint8)


def test_every_level_survives_the_round_trip() -> None:
    """0 becomes -1, 255 becomes 1, in equal steps."""
    values = from_uint8(LEVELS)
    assert torch.equal(to_uint8(values), LEVELS)
    assert (values.dtype, values[0].item(), values[-1].item()) == (torch.float32, -1, 1)
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


MODES = [(1, "L"), (3, "RGB"), (4, "RGBA")]


def images(count: int, channels: int = 3, size: int = 4) -> torch.Tensor:
    """Random images."""
    return torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8)


def channels_last(image: torch.Tensor) -> np.ndarray:
    """(C, H, W) → (H, W, C), or (H, W) for grey, as a picture's pixels are."""
    pixels: np.ndarray = image.permute(1, 2, 0).numpy()
    return pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels


@pytest.mark.parametrize(("channels", "mode"), MODES)
def test_a_picture_shows_its_pixels(channels: int, mode: str) -> None:
    image = images(1, channels)[0]
    drawn = picture(image)
    assert drawn.mode == mode
    np.testing.assert_array_equal(np.asarray(drawn), channels_last(image))


@pytest.mark.parametrize(("channels", "mode"), MODES)
def test_a_grid_shows_each_image_in_its_cell(channels: int, mode: str) -> None:
    """Image k stands in row k // columns, column k % columns, with a gap around it."""
    shown = images(5, channels, size=40)
    drawn = grid(shown, columns=3, gap=2)
    assert drawn.mode == mode
    assert drawn.size == (3 * 42 + 2, 2 * 42 + 2)
    sheet = np.asarray(drawn)
    for k, image in enumerate(shown):
        top, left = 2 + (k // 3) * 42, 2 + (k % 3) * 42
        cell = sheet[top : top + 40, left : left + 40]
        np.testing.assert_array_equal(cell, channels_last(image))
    assert (sheet[:2] == 128).all()
    assert (sheet[44:84, 86:126] == 128).all()


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (4, 2), (5, 3), (9, 3), (10, 4)])
def test_a_grid_is_about_square(count: int, columns: int) -> None:
    """Without a number of columns there are ⌈√count⌉ of them."""
    rows = -(-count // columns)
    assert grid(images(count, size=40), gap=0).size == (40 * columns, 40 * rows)


def test_small_images_are_enlarged_to_be_seen() -> None:
    """8×8 digits are drawn four times as large, without interpolation, also as PNG."""
    shown = images(1, channels=1, size=8)
    expected = channels_last(shown[0]).repeat(4, axis=0).repeat(4, axis=1)
    for drawn in (grid(shown, gap=0), picture(shown[0], scale=4)):
        np.testing.assert_array_equal(
            np.asarray(Image.open(io.BytesIO(png_bytes(drawn)))), expected
        )
