"""Shards and batches, counted without torch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dddm.recipe.shards import batches_per_epoch, default_shards


@pytest.mark.parametrize(("batch", "shards"), [(100, 4), (1024, 64), (7, 1), (128, 64), (96, 32)])
def test_default_shards(batch: int, shards: int) -> None:
    """The largest power of two up to 64 that divides the batch."""
    assert default_shards(batch) == shards


@given(images=st.integers(1, 5000), batch=st.integers(1, 2000))
def test_a_batch_is_filled_exactly_where_there_are_enough_images(images: int, batch: int) -> None:
    """With the default shards an epoch has a batch if and only if the images are as many."""
    count = batches_per_epoch(images=images, batch_images=batch, shards=default_shards(batch))
    assert (count > 0) == (images >= batch)
    assert count * batch <= images
