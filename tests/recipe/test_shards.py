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
    assert str(refused.value.remedy).startswith("use 1, 2, 3, 6 processes; or")
    assert "train.shards = 12" in str(refused.value.remedy)


@pytest.mark.parametrize(
    ("processes", "batch", "way"),
    [
        (24, 1536, "train.shards = 48"),
        (48, 1536, "train.shards = 48"),
        (1024, 4096, "train.shards = 1024"),
        (24, 1024, "such as of 1008 or 1032, with train.shards = 24"),
        (128, 64, "such as of 128, with train.shards = 128"),
    ],
)
def test_the_refusal_says_what_lets_so_many_share_a_run(
    processes: int, batch: int, way: str
) -> None:
    """The shards that fit, or else the batch; what it says is true."""
    with pytest.raises(UsageError) as refused:
        check_processes(processes, batch_images=batch, shards=None)
    assert way in str(refused.value.remedy)
    shards = int(way.rpartition(" ")[2])
    check_processes(processes, batch_images=processes * shards, shards=shards)
