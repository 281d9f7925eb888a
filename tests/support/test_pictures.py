"""Pictures show the pixels they are given, where they belong."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from dddm.support.pictures import grid, picture, png_bytes

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


def test_a_picture_is_enlarged_by_whole_pixels() -> None:
    image = images(1)[0]
    expected = channels_last(image).repeat(3, axis=0).repeat(3, axis=1)
    np.testing.assert_array_equal(np.asarray(picture(image, scale=3)), expected)


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
    """8×8 digits are drawn four times as large; nothing is interpolated."""
    shown = images(1, channels=1, size=8)
    sheet = np.asarray(grid(shown, gap=0))
    expected = channels_last(shown[0]).repeat(4, axis=0).repeat(4, axis=1)
    np.testing.assert_array_equal(sheet, expected)


def test_png_bytes_are_the_picture() -> None:
    drawn = grid(images(4))
    again = Image.open(io.BytesIO(png_bytes(drawn)))
    assert again.format == "PNG"
    np.testing.assert_array_equal(np.asarray(again), np.asarray(drawn))
