"""Pixel features are the image itself."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import NoOptions
from dddm_features.pixels import Pixels


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
    """0 becomes -1 and 255 becomes 1, exactly."""
    ends = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2)
    assert Pixels(NoOptions()).extract(ends).tolist() == [[-1.0, 1.0]]


def test_the_images_are_left_alone() -> None:
    """Extracting changes no image."""
    images = torch.randint(0, 256, (2, 1, 3, 3)).to(torch.uint8)
    before = images.clone()
    Pixels(NoOptions()).extract(images)
    assert torch.equal(images, before)


def test_what_it_says_of_itself() -> None:
    """Dimensions follow from the shape, nothing was trained, and the fingerprint is fixed."""
    features = Pixels(NoOptions())
    assert features.dimensions is None
    assert features.trained_on is None
    assert len(features.fingerprint) == 64
    assert features.fingerprint == Pixels(NoOptions()).fingerprint
