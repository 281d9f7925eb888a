"""Shards and batches, counted without torch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dddm.errors import UsageError
from dddm.recipe.model import batches_per_epoch, check_processes, default_shards


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


@given(batch=st.integers(1, 500), processes=st.integers(1, 64))
def test_processes_own_whole_shards(batch: int, processes: int) -> None:
    """A number of processes is refused exactly where it does not divide the shards."""
    if default_shards(batch) % processes:
        with pytest.raises(UsageError, match="cannot share"):
            check_processes(processes, batch_images=batch, shards=None)
    else:
        check_processes(processes, batch_images=batch, shards=None)


def test_the_numbers_that_fit_are_named() -> None:
    """The remedy is one a user can follow at once."""
    with pytest.raises(UsageError, match="4 processes cannot share 6 shards") as refused:
        check_processes(4, batch_images=12, shards=6)
    assert refused.value.remedy == "use 1, 2, 3, 6 processes, or another train.batch_images"
