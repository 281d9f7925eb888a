"""Simple statistics of images, by plain loops."""

import math

import pytest
import torch

from dddm.support.image_statistics import IMAGE_STATISTICS, image_statistics
from dddm.support.noise import generator_for


def test_by_plain_loops() -> None:
    images = torch.randint(0, 256, (3, 2, 4, 5), generator=generator_for("s")).to(torch.uint8)
    for image_CHW, found in zip(images, image_statistics(images).tolist(), strict=True):
        v = (image_CHW.double() / 255).tolist()
        values = [x for channel in v for line in channel for x in line]
        mean = sum(values) / len(values)
        contrast = math.sqrt(sum((x - mean) ** 2 for x in values) / len(values))
        squares = [
            (channel[i + a][j + b] - channel[i][j]) ** 2
            for channel in v
            for a, b in ((0, 1), (1, 0))
            for i in range(4 - a)
            for j in range(5 - b)
        ]
        edges = sum(squares) / len(squares)
        assert found == pytest.approx([mean, contrast, edges], rel=1e-5)


def test_known_images() -> None:
    """Stripes have edges one way only; a single pixel has none, and no contrast."""
    stripes = torch.tensor([0, 255], dtype=torch.uint8).repeat(4, 2).view(1, 1, 4, 4)
    assert image_statistics(stripes).tolist() == [[0.5, 0.5, 0.5]]
    pixel = torch.full((1, 1, 1, 1), 51, dtype=torch.uint8)
    assert image_statistics(pixel)[0].tolist() == pytest.approx([0.2, 0, 0])
    assert image_statistics(pixel[:0]).shape == (0, len(IMAGE_STATISTICS))
