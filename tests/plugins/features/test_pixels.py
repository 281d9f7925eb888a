"""Pixels as features, and averages of them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import NoOptions
from dddm_features.pixels import Pixels, Pixels8x8


@settings(max_examples=20, deadline=None)
@given(shape=st.tuples(*[st.integers(1, 5)] * 4))
def test_any_shape_is_flattened(shape: tuple[int, int, int, int]) -> None:
    """A vector holds C·H·W values in [-1, 1], in the order of the image."""
    images = torch.randint(0, 256, shape).to(torch.uint8)
    features = Pixels(NoOptions())
    features.check_shape(ImageShape(channels=shape[1], height=shape[2], width=shape[3]))
    vectors = features.extract(images)
    assert vectors.shape == (shape[0], shape[1] * shape[2] * shape[3])
    assert vectors.dtype == torch.float32
    assert torch.equal(((vectors + 1) * 127.5).round().to(torch.uint8), images.flatten(1))


def test_the_ends_of_the_range() -> None:
    ends = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2)
    assert Pixels(NoOptions()).extract(ends).tolist() == [[-1.0, 1.0]]


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
def test_any_shape_is_averaged(shape: tuple[int, int, int]) -> None:
    """Sizes that 8 does not divide, and smaller ones: always 64 numbers a channel."""
    features = Pixels8x8(NoOptions())
    found = features.extract(torch.full((2, *shape), 200, dtype=torch.uint8))
    assert found.shape == (2, 64 * shape[0])
    torch.testing.assert_close(found, torch.full_like(found, 200 / 127.5 - 1))
