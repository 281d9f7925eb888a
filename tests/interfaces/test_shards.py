"""Shards: every image in one of them, every shard with one process."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from dddm.interfaces.shards import Shards


@given(images=st.integers(0, 300), processes=st.integers(1, 8), each=st.integers(1, 8))
def test_processes_divide_the_images(images: int, processes: int, each: int) -> None:
    """Whatever the numbers, each image is owned once, and rows are counted right."""
    owned = []
    for rank in range(processes):
        shards = Shards.of_process(
            images=images, count=processes * each, rank=rank, processes=processes
        )
        own = [int(k) for shard in shards.owned for k in shards.images_of(shard)]
        assert len(own) == shards.rows
        owned += own
    assert sorted(owned) == list(range(images))


@given(images=st.integers(1, 300), count=st.integers(1, 70))
def test_an_image_is_found_by_division(images: int, count: int) -> None:
    """Image k stands in shard k mod S at place k div S."""
    shards = Shards.of_process(images=images, count=count, rank=0, processes=1)
    for k in range(images):
        assert shards.images_of(k % count)[k // count] == k
    assert sum(shards.size(shard) for shard in range(count)) == images


def test_whole_is_one_shard() -> None:
    """For whoever has no others to share with."""
    shards = Shards.whole(7)
    assert (shards.count, shards.owned, shards.rows) == (1, (0,), 7)
    assert torch.equal(shards.images_of(0), torch.arange(7))
