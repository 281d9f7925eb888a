"""Kinds of features beside plain loops over what they say they are."""

import math
from typing import Any, final

import pytest
import torch
from torch import Tensor

from dddm.interfaces.plugin import NoOptions
from dddm_features.digits_classifier import DigitsClassifier
from dddm_features.pixels import Pixels8x8
from dddm_objectives.kernels import (
    contrast,
    groups_of,
    moments,
    of_features,
    patches,
    pixels,
    random_network,
    statistics,
)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 2, 9, 12, generator=torch.Generator().manual_seed(0)).double() * 2 - 1


def deviation(values: Tensor) -> float:
    return math.sqrt(float(values.var(correction=0)) + 1e-6)


def windows(image: Tensor, size: int) -> list[Tensor]:
    """Square windows (C·size·size) that overlap by half, row by row."""
    step = max(1, (size + 1) // 2)
    _, height, width = image.shape
    return [
        image[:, row : row + size, column : column + size].flatten()
        for row in range(0, height - size + 1, step)
        for column in range(0, width - size + 1, step)
    ]


def test_pixels_are_means_of_windows(images: Tensor) -> None:
    whole, thirds = pixels((1, 3))(images)
    assert torch.equal(whole, images.flatten(1)[:, None])
    assert thirds.shape == (3, 1, 2 * 3 * 4)
    assert float(thirds[1, 0, 12 + 4 + 2]) == pytest.approx(float(images[1, 1, 3:6, 6:9].mean()))


def test_patches_are_windows(images: Tensor) -> None:
    for found, size in zip(patches((3, 4))(images), (3, 4), strict=True):
        expected = torch.stack([torch.stack(windows(image, size)) for image in images])
        assert torch.equal(found, expected)


def test_contrast_is_what_neighbours_do_not_share(images: Tensor) -> None:
    """Minus the mean over 3×3 pixels, fewer at the border: brightness cancels, scale does not."""
    _, channels, height, width = images.shape
    local = images.clone()
    for channel in range(channels):
        for row in range(height):
            for column in range(width):
                near = images[
                    :, channel, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2
                ]
                local[:, channel, row, column] -= near.mean(dim=(1, 2))
    (found,) = contrast((5,))(images)
    expected = torch.stack([torch.stack(windows(image, 5)) for image in local])
    torch.testing.assert_close(found, expected)
    (brighter,) = contrast((5,))(images + 0.5)
    torch.testing.assert_close(brighter, found)
    (stronger,) = contrast((5,))(2 * images)
    torch.testing.assert_close(stronger, 2 * found)


def test_statistics_are_of_the_whole_image(images: Tensor) -> None:
    (found,) = statistics(images)
    assert found.shape == (3, 1, 7 * 2)
    image = images[2]
    expected = [float(image[c].mean()) for c in range(2)]
    expected += [deviation(image[c]) for c in range(2)]
    for far in (1, 2):
        for dim in (0, 1):
            moved = [torch.roll(image[c], -far, dim) for c in range(2)]
            expected += [float((moved[c] - image[c]).abs().mean()) for c in range(2)]
    expected += [float((1 / (1 + (-4 * image[c]).exp())).mean()) for c in range(2)]
    assert found[2, 0].tolist() == pytest.approx(expected)


def test_statistics_tell_ink_apart() -> None:
    """A stroke of twice the width has about twice the share of bright pixels, wherever it is."""
    thin, thick, moved = (torch.full((1, 1, 12, 12), -1.0) for _ in range(3))
    thin[..., 4:5] = 1
    thick[..., 4:6] = 1
    moved[..., 7:8] = 1
    of = {name: statistics(image)[0][0, 0] for name, image in
          {"thin": thin, "thick": thick, "moved": moved}.items()}  # fmt: skip
    torch.testing.assert_close(of["thin"], of["moved"])
    dark = 1 / (1 + math.exp(4))
    assert float(of["thin"][-1]) == pytest.approx(dark + (1 - 2 * dark) / 12)
    assert float(of["thick"][-1]) == pytest.approx(dark + (1 - 2 * dark) / 6)


def test_random_convolutions_are_fixed(images: Tensor) -> None:
    """Another instance has the same weights; an image without contrast gives what brightness does.

    Two layers of ReLU are positively homogeneous: half the contrast gives half the features.
    """
    (first,), (again,) = (random_network()(images.float()) for _ in range(2))
    assert torch.equal(first, again)
    (half,) = random_network()(images.float() / 2)
    torch.testing.assert_close(half, first / 2)
    assert first.shape == (3, 30, 64)  # 5×6 places


def test_groups_of_maps(images: Tensor) -> None:
    """Places of a lattice, moments of the whole, moments of cells."""
    one = torch.rand(2, 3, 16, 24, dtype=torch.float64)
    places, whole, cells = groups_of([one])
    assert places.shape == (2, 8 * 8, 3)
    assert torch.equal(places[1, 8 * 2 + 5], one[1, :, 1 + 2 * 2, 1 + 3 * 5])
    assert whole.shape == (2, 1, 6)
    expected = [float(one[0, c].mean()) for c in range(3)]
    expected += [deviation(one[0, c]) for c in range(3)]
    assert whole[0, 0].tolist() == pytest.approx(expected)
    assert cells.shape == (2, 16, 6)
    cell = one[1, :, 4:8, 18:24]  # row 1 and column 3 of 4×4
    expected = [float(cell[c].mean()) for c in range(3)] + [deviation(cell[c]) for c in range(3)]
    assert cells[1, 4 + 3].tolist() == pytest.approx(expected)


def test_small_maps_have_fewer_cells() -> None:
    tiny = torch.rand(2, 5, 2, 3)
    places, _, cells = groups_of([tiny])
    assert places.shape == (2, 6, 5)
    assert cells.shape == (2, 6, 10)
    # One place in each cell: its mean is its value, and nothing deviates.
    torch.testing.assert_close(cells[..., :5], places)
    torch.testing.assert_close(cells[..., 5:], torch.full((2, 6, 5), 1e-3))


def test_moments_have_a_gradient_where_nothing_varies() -> None:
    flat = torch.zeros(1, 2, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(moments(flat, cells=2).sum(), flat)
    assert bool(gradient.isfinite().all())


@final
class Counted:
    """Features with one map."""

    def __init__(self) -> None:
        self.calls = 0

    def maps(self, images: Tensor) -> tuple[Tensor, ...]:
        self.calls += 1
        return (images,)


def test_a_network_computes_its_maps_once() -> None:
    features: Any = Counted()
    found = of_features(features)(torch.rand(2, 3, 8, 8))
    assert len(found) == 3
    assert features.calls == 1


def test_features_without_maps_are_one_group() -> None:
    images = torch.rand(2, 1, 16, 16) * 2 - 1
    (found,) = of_features(Pixels8x8(NoOptions()))(images)
    torch.testing.assert_close(found[:, 0], torch.nn.functional.avg_pool2d(images, 2).flatten(1))


def test_maps_of_the_digits_classifier() -> None:
    """The last map is what the hidden layer sees."""
    features = DigitsClassifier(NoOptions())
    images = torch.rand(2, 1, 8, 8) * 2 - 1
    fine, coarse = features.maps(images)
    assert (fine.shape, coarse.shape) == ((2, 32, 8, 8), (2, 32, 4, 4))
    hidden = features._network.trunk[7:](coarse.double())
    torch.testing.assert_close(hidden.float(), features.embed(images))
