"""Averages of images of any size."""

import pytest
import torch

from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import NoOptions
from dddm_features.pixels import Pixels
from dddm_features.pixels_8x8 import Pixels8x8


def test_each_number_is_the_mean_of_its_part() -> None:
    """64×64 pixels become 8×8 means of 8×8 pixels, in the order of `pixels`."""
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    found = Pixels8x8(NoOptions()).extract(images)
    means = images.double().reshape(2, 3, 8, 8, 8, 8).mean(dim=(3, 5)) / 127.5 - 1
    torch.testing.assert_close(found, means.flatten(1).float(), rtol=0, atol=1e-6)
    assert found.dtype == torch.float32


def test_images_of_8x8_are_their_own_features() -> None:
    """There they are what `pixels` gives, under another name."""
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    small, plain = Pixels8x8(NoOptions()), Pixels(NoOptions())
    assert torch.equal(small.extract(images), plain.extract(images))
    assert small.fingerprint != plain.fingerprint


@pytest.mark.parametrize("shape", [(3, 33, 50), (1, 4, 4), (4, 1, 7)])
def test_any_shape_is_taken(shape: tuple[int, int, int]) -> None:
    """Sizes that 8 does not divide, and smaller ones: always 64 numbers a channel."""
    channels, height, width = shape
    features = Pixels8x8(NoOptions())
    features.check_shape(ImageShape(channels=channels, height=height, width=width))
    images = torch.full((2, *shape), 200, dtype=torch.uint8)
    found = features.extract(images)
    assert found.shape == (2, 64 * channels)
    torch.testing.assert_close(found, torch.full_like(found, 200 / 127.5 - 1))
