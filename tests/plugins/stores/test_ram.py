"""The RAM store: what it holds, what it refuses, and that it shares nothing with its callers."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from dddm.errors import EnvironmentProblem
from dddm.interfaces.facts import ImageShape
from dddm.interfaces.plugin import NoOptions
from dddm.support.noise import noise_by_index
from dddm_stores.ram import RamStore

SHAPE = ImageShape(channels=2, height=3, width=4)
OWNED = torch.tensor([1, 4, 5, 9])


def opened(*, owned: Tensor = OWNED, seed: int = 3, shape: ImageShape = SHAPE) -> RamStore:
    """A store of ten images, some of them owned, in epoch 0."""
    store = RamStore(NoOptions())
    store.open(
        images=10,
        shape=shape,
        seed=seed,
        owned=owned,
        folder=Path("unused"),
        device=torch.device("cpu"),
    )
    store.begin_epoch(0)
    return store


def estimates(count: int) -> Tensor:
    """Some estimates."""
    return torch.randn(count, *SHAPE.as_tuple)


def test_rows_begin_as_noise_of_seed_and_index() -> None:
    """A row does not depend on which rows the process owns beside it."""
    expected = noise_by_index(seed=3, purpose="store", index=OWNED, shape=SHAPE.as_tuple)
    assert torch.equal(opened().read(OWNED), expected)
    assert torch.equal(opened(owned=torch.arange(10)).read(OWNED), expected)
    assert not torch.equal(opened(seed=4).read(OWNED), expected)


def test_a_row_is_what_was_written_last() -> None:
    """Rows come back in the order asked for; the others stay as they were."""
    store = opened()
    before = store.read(OWNED)
    written = estimates(2)
    store.write(torch.tensor([9, 4]), estimate=written)
    assert torch.equal(store.read(torch.tensor([4, 9])), written.flip(0))
    assert torch.equal(store.read(torch.tensor([1, 5])), before[[0, 2]])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_floating_dtype_is_written_and_float32_is_read(dtype: torch.dtype) -> None:
    """An estimate is kept in float32 whatever precision the network computed in."""
    store = opened()
    written = estimates(1).to(dtype)
    store.write(OWNED[:1], estimate=written)
    assert store.read(OWNED[:1]).dtype == torch.float32
    assert torch.equal(store.read(OWNED[:1]), written.float())


def test_takes_four_bytes_a_number_for_owned_rows_alone() -> None:
    """The size is n·C·H·W·4."""
    assert opened().size_bytes() == 4 * 2 * 3 * 4 * 4


def test_shares_nothing_with_what_is_written_or_read() -> None:
    """Changing a tensor that was written or read does not change the store."""
    store = opened()
    written = estimates(1)
    store.write(OWNED[:1], estimate=written)
    kept = written.clone()
    written.zero_()
    store.read(OWNED[:1]).zero_()
    store.peek(OWNED[:1]).zero_()
    assert torch.equal(store.read(OWNED[:1]), kept)


def test_keeps_no_graph() -> None:
    """An estimate that carries a gradient is stored without it."""
    store = opened()
    store.write(OWNED[:1], estimate=estimates(1).requires_grad_())
    assert not store.read(OWNED[:1]).requires_grad


def test_an_epoch_writes_a_row_once() -> None:
    """A second write is an error that names image and epoch; the next epoch may write again."""
    store = opened()
    store.write(torch.tensor([4]), estimate=estimates(1))
    before = store.read(OWNED)
    with pytest.raises(ValueError, match="images 4 were written in epoch 0"):
        store.write(torch.tensor([1, 4]), estimate=estimates(2))
    assert torch.equal(store.read(OWNED), before)
    store.write(torch.tensor([1]), estimate=estimates(1))
    store.begin_epoch(1)
    store.write(torch.tensor([1, 4]), estimate=estimates(2))


def test_an_index_stands_once_in_a_write() -> None:
    """Which of two estimates would win is not left to chance."""
    store = opened()
    before = store.read(OWNED)
    with pytest.raises(ValueError, match="images 5 stand twice"):
        store.write(torch.tensor([5, 1, 5]), estimate=estimates(3))
    assert torch.equal(store.read(OWNED), before)


def test_foreign_images_are_refused() -> None:
    """Another process's image is neither read nor written."""
    store = opened()
    before = store.read(OWNED)
    with pytest.raises(ValueError, match="does not hold images 2, 11"):
        store.read(torch.tensor([1, 2, 11]))
    with pytest.raises(ValueError, match="does not hold images 0"):
        store.peek(torch.tensor([0]))
    with pytest.raises(ValueError, match="does not hold images 2"):
        store.write(torch.tensor([1, 2]), estimate=estimates(2))
    assert torch.equal(store.read(OWNED), before)


@pytest.mark.parametrize("shape", [(1, 2, 3, 4), (2, 1, 3, 4), (2, 2, 3, 5)])
def test_estimates_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    """Nothing is broadcast into rows."""
    store = opened()
    before = store.read(OWNED)
    with pytest.raises(ValueError, match=r"not \(2, 2, 3, 4\)"):
        store.write(OWNED[:2], estimate=torch.zeros(shape))
    assert torch.equal(store.read(OWNED), before)


def test_a_snapshot_does_not_follow_later_writes() -> None:
    """What a checkpoint is about to save stays as it was."""
    store = opened()
    state = store.snapshot()
    before = store.read(OWNED)
    store.write(OWNED, estimate=estimates(4))
    assert torch.equal(state["rows"], before)
    assert not state["written"].any()


def test_restore_goes_on_within_the_epoch() -> None:
    """A new store takes up rows, epoch and which of them the epoch has written."""
    store = opened()
    store.begin_epoch(7)
    store.write(OWNED[:2], estimate=estimates(2))
    other = opened()
    other.restore(store.snapshot())
    assert torch.equal(other.read(OWNED), store.read(OWNED))
    with pytest.raises(ValueError, match="images 1 were written in epoch 7"):
        other.write(OWNED[:1], estimate=estimates(1))
    other.write(OWNED[2:], estimate=estimates(2))


def test_restored_state_stays_the_callers() -> None:
    """Writes after a restore do not reach the state that was restored."""
    store = opened()
    state = store.snapshot()
    kept = state["rows"].clone()
    store.restore(state)
    store.write(OWNED, estimate=estimates(4))
    assert torch.equal(state["rows"], kept)
    assert not state["written"].any()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (opened(owned=torch.tensor([1, 4, 5])), "rows is"),
        (opened(owned=torch.tensor([1, 4, 5, 8])), "other images"),
        (opened(shape=ImageShape(channels=2, height=4, width=3)), "rows is"),
    ],
)
def test_state_of_other_images_is_refused(other: RamStore, message: str) -> None:
    """A state of another size, shape or process is an error that changes nothing."""
    store = opened()
    before = store.read(OWNED)
    with pytest.raises(ValueError, match=message):
        store.restore(other.snapshot())
    assert torch.equal(store.read(OWNED), before)


def test_state_of_another_kind_of_store_is_refused() -> None:
    """Half-precision rows, or a part that is missing, are not taken for this store's."""
    store = opened()
    state = dict(store.snapshot())
    with pytest.raises(ValueError, match=r"rows is torch\.float16"):
        store.restore({**state, "rows": state["rows"].half()})
    del state["written"]
    with pytest.raises(ValueError, match="written is missing"):
        store.restore(state)


def test_too_little_memory_is_said_at_once() -> None:
    """Opening a store that cannot fit is a user's problem with its size and a remedy."""
    vast = ImageShape(channels=3, height=10**7, width=10**7)
    with pytest.raises(EnvironmentProblem, match=r"take 1200000\.0 GB") as caught:
        opened(owned=torch.tensor([0]), shape=vast)
    assert caught.value.remedy is not None


def test_a_store_of_no_rows_is_a_store() -> None:
    """A process without images can still be saved and restored."""
    store = opened(owned=torch.empty(0, dtype=torch.int64))
    store.restore(store.snapshot())
    assert store.read(torch.empty(0, dtype=torch.int64)).shape == (0, 2, 3, 4)
    with pytest.raises(ValueError, match="does not hold images 0"):
        store.read(torch.tensor([0]))
