"""Which images stand in which batch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dddm.errors import RecipeError
from dddm.training.batches import BatchPlan


@st.composite
def plans(draw: st.DrawFn) -> BatchPlan:
    shards = draw(st.integers(1, 8))
    batch = shards * draw(st.integers(1, 6))
    images = draw(st.integers(batch + shards, 200))
    return BatchPlan.make(
        images=images, batch_images=batch, shards=shards, seed=draw(st.integers(0, 9))
    )


@given(plan=plans(), epoch=st.integers(0, 5))
def test_an_epoch_visits_each_image_at_most_once(plan: BatchPlan, epoch: int) -> None:
    """All indices of an epoch differ, are in range, and the rest is counted as stale."""
    index = plan.epoch(epoch)
    assert index.shape == (plan.batches_per_epoch, plan.batch_images)
    flat = index.flatten().tolist()
    assert len(set(flat)) == len(flat)
    assert set(flat) <= set(range(plan.images))
    assert plan.stale_images == plan.images - len(flat)


@given(plan=plans(), epoch=st.integers(0, 5))
def test_every_batch_takes_the_same_count_from_every_shard(plan: BatchPlan, epoch: int) -> None:
    """So a process that owns whole shards knows its part of each batch by itself."""
    for batch in plan.epoch(epoch):
        counts = torch.bincount(batch % plan.shards, minlength=plan.shards)
        assert (counts == plan.batch_images // plan.shards).all()


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    """Equal when asked twice, different in another epoch and under another seed."""
    plan = BatchPlan.make(images=100, batch_images=20, shards=None, seed=0)
    other = BatchPlan.make(images=100, batch_images=20, shards=None, seed=1)
    assert torch.equal(plan.epoch(3), plan.epoch(3))
    assert not torch.equal(plan.epoch(3), plan.epoch(4))
    assert not torch.equal(plan.epoch(3), other.epoch(3))


def test_the_papers_batches_leave_848_images_stale() -> None:
    """50,000 images in batches of 1024: 48 batches, 848 images left, 64 shards."""
    plan = BatchPlan.make(images=50_000, batch_images=1024, shards=None, seed=0)
    assert (plan.shards, plan.batches_per_epoch, plan.stale_images) == (64, 48, 848)


def test_what_cannot_be_cut_is_refused() -> None:
    """Shards that do not divide the batch, and a batch larger than the data set."""
    with pytest.raises(RecipeError, match="cannot be split"):
        BatchPlan.make(images=100, batch_images=10, shards=3, seed=0)
    with pytest.raises(RecipeError, match="more than the 9 training images"):
        BatchPlan.make(images=9, batch_images=10, shards=1, seed=0)


@given(plan=plans(), epoch=st.integers(0, 5), data=st.data())
def test_processes_divide_each_batch_by_what_they_own(
    plan: BatchPlan, epoch: int, data: st.DataObject
) -> None:
    """The parts of all processes are the batch, and each holds images of its own shards alone."""
    fit = [count for count in range(1, plan.shards + 1) if plan.shards % count == 0]
    processes = data.draw(st.sampled_from(fit))
    index = plan.epoch(epoch)
    parts = []
    for rank in range(processes):
        part = index[:, plan.process_slice(rank=rank, processes=processes)]
        owned = plan.shards_of(rank=rank, processes=processes).owned
        assert set((part % plan.shards).flatten().tolist()) <= set(owned)
        parts.append(part)
    assert torch.equal(torch.cat(parts, dim=1), index)
    assert len({part.shape for part in parts}) == 1
