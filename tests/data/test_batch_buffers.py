"""Memory is used again only when nobody can see it."""

import gc

import torch

from dddm.data.batch_buffers import BatchBuffers


def test_a_batch_that_is_held_keeps_its_memory() -> None:
    """However it is held: as itself, as a view, or as a numpy array."""
    buffers = BatchBuffers(row_bytes=8)
    whole = buffers.take(4).fill_(1)
    view = buffers.take(4).fill_(2).view(2, 16)[1:]
    array = buffers.take(4).fill_(3).numpy()
    gc.collect()
    for value in range(10, 20):
        buffers.take(4).fill_(value)
    assert set(whole.flatten().tolist()) == {1}
    assert set(view.flatten().tolist()) == {2}
    assert set(array.flatten().tolist()) == {3}


def test_memory_is_used_again() -> None:
    """Once the batch is gone, the next of at most its size lies in the same place."""
    buffers = BatchBuffers(row_bytes=8)
    batch = buffers.take(4)
    place = batch.data_ptr()
    assert buffers.take(4).data_ptr() != place
    del batch
    assert buffers.take(3).data_ptr() == place


def test_each_batch_has_its_shape() -> None:
    """Larger and smaller ones, in any order."""
    buffers = BatchBuffers(row_bytes=8)
    for rows in (4, 2, 5, 0, 3):
        batch = buffers.take(rows)
        assert batch.shape == (rows, 8)
        assert batch.dtype == torch.uint8
