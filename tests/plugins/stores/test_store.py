"""Every kind of store: what it holds, what it refuses, and that it shares nothing with callers."""

from pathlib import Path

import pytest
import torch
from stores import KINDS, StoreKind, as_saved
from torch import Tensor

from dddm.errors import EnvironmentProblem
from dddm.interfaces.info import ImageShape
from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import MemoryUsage, TargetStore
from dddm.support.noise import noise_by_index

SHAPE = ImageShape(channels=2, height=3, width=4)
SHARDS = Shards(images=10, count=5, owned=(1, 4))
OWNED = torch.tensor([1, 6, 4, 9])

every_kind = pytest.mark.parametrize("kind", KINDS, ids=str)


def opened(
    kind: StoreKind,
    folder: Path,
    *,
    shards: Shards = SHARDS,
    seed: int = 3,
    shape: ImageShape = SHAPE,
) -> TargetStore:
    """A store of ten images, some of them owned, in epoch 0."""
    store = kind.open(folder, shards=shards, shape=shape, seed=seed)
    store.begin_epoch(0)
    return store


def estimates(count: int) -> Tensor:
    """Some estimates."""
    return torch.randn(count, *SHAPE.as_tuple)


@every_kind
def test_rows_begin_as_noise_of_seed_and_index(kind: StoreKind, tmp_path: Path) -> None:
    """A row depends on nothing else: neither on precision nor on who owns what."""
    expected = noise_by_index(seed=3, purpose="store", index=OWNED, shape=SHAPE.as_tuple)
    assert torch.equal(opened(kind, tmp_path / "a").read(OWNED), expected)
    whole = opened(kind, tmp_path / "b", shards=Shards.whole(10))
    assert torch.equal(whole.read(OWNED), expected)
    assert not torch.equal(opened(kind, tmp_path / "c", seed=4).read(OWNED), expected)


@every_kind
def test_a_row_is_what_was_written_last(kind: StoreKind, tmp_path: Path) -> None:
    """Rows come back in the order asked for; the others stay as they were."""
    store = opened(kind, tmp_path)
    before = store.read(OWNED)
    written = estimates(2)
    store.write(torch.tensor([9, 6]), estimate=written)
    torch.testing.assert_close(store.read(torch.tensor([6, 9])), kind.kept(written).flip(0))
    assert torch.equal(store.read(torch.tensor([1, 4])), before[[0, 2]])


@every_kind
def test_shards_may_alternate_in_a_batch(kind: StoreKind, tmp_path: Path) -> None:
    """A batch is usually shard after shard; any other order is as right."""
    store = opened(kind, tmp_path)
    mixed = torch.tensor([1, 4, 6, 9])
    written = estimates(4)
    store.write(mixed, estimate=written)
    torch.testing.assert_close(store.read(mixed), kind.kept(written))
    torch.testing.assert_close(store.read(mixed.flip(0)), kind.kept(written).flip(0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@every_kind
def test_any_floating_dtype_is_written_and_float32_is_read(
    kind: StoreKind, tmp_path: Path, dtype: torch.dtype
) -> None:
    """Whatever precision the network computed in, and whatever is kept, float32 comes back."""
    store = opened(kind, tmp_path)
    written = estimates(1).to(dtype)
    store.write(OWNED[:1], estimate=written)
    found = store.read(OWNED[:1])
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, kind.kept(written.float()))


@pytest.mark.parametrize(
    ("precision", "row_bytes"), [("float32", 96), ("float16", 48), ("bfloat16", 48), ("int8", 28)]
)
def test_says_what_its_rows_take(precision: str, row_bytes: int) -> None:
    """n·C·H·W numbers, in memory, on the disk with their snapshots, or on the device."""

    def memory_usage(place: str) -> MemoryUsage:
        store = StoreKind(place, precision).make()
        return store.memory_usage(rows=100, shape=SHAPE, kept_snapshots=2)

    assert memory_usage("ram") == MemoryUsage(memory=100 * row_bytes)
    assert memory_usage("device") == MemoryUsage(device=100 * row_bytes)
    assert memory_usage("mmap") == MemoryUsage(memory=100 * 4 * 4, disk=100 * 3 * row_bytes)


@every_kind
def test_shares_nothing_with_what_is_written_or_read(kind: StoreKind, tmp_path: Path) -> None:
    """Changing a tensor that was written or read does not change the store."""
    store = opened(kind, tmp_path)
    written = estimates(4)
    store.write(OWNED, estimate=written)
    kept = kind.kept(written)
    written.zero_()
    store.read(OWNED).zero_()
    store.peek(OWNED).zero_()
    torch.testing.assert_close(store.read(OWNED), kept)


@every_kind
def test_keeps_no_graph(kind: StoreKind, tmp_path: Path) -> None:
    """An estimate that carries a gradient is stored without it."""
    store = opened(kind, tmp_path)
    store.write(OWNED[:1], estimate=estimates(1).requires_grad_())
    assert not store.read(OWNED[:1]).requires_grad


@every_kind
def test_an_epoch_writes_a_row_once(kind: StoreKind, tmp_path: Path) -> None:
    """A second write is an error that names image and epoch; the next epoch may write again."""
    store = opened(kind, tmp_path)
    store.write(torch.tensor([6]), estimate=estimates(1))
    before = store.read(OWNED)
    with pytest.raises(ValueError, match="images 6 were written in epoch 0"):
        store.write(torch.tensor([1, 6]), estimate=estimates(2))
    assert torch.equal(store.read(OWNED), before)
    store.write(torch.tensor([1]), estimate=estimates(1))
    store.begin_epoch(1)
    store.write(torch.tensor([1, 6]), estimate=estimates(2))


@every_kind
def test_an_index_stands_once_in_a_write(kind: StoreKind, tmp_path: Path) -> None:
    """Which of two estimates would win is not left to chance."""
    store = opened(kind, tmp_path)
    before = store.read(OWNED)
    with pytest.raises(ValueError, match="images 9 stand twice"):
        store.write(torch.tensor([9, 1, 9]), estimate=estimates(3))
    assert torch.equal(store.read(OWNED), before)


@every_kind
def test_foreign_images_are_refused(kind: StoreKind, tmp_path: Path) -> None:
    """Another process's image, or one that does not exist, is neither read nor written."""
    store = opened(kind, tmp_path)
    before = store.read(OWNED)
    with pytest.raises(ValueError, match="does not hold images 2, 11, -1"):
        store.read(torch.tensor([1, 2, 11, -1]))
    with pytest.raises(ValueError, match="does not hold images 0"):
        store.peek(torch.tensor([0]))
    with pytest.raises(ValueError, match="does not hold images 2"):
        store.prefetch(torch.tensor([2]))
    with pytest.raises(ValueError, match="does not hold images 2"):
        store.write(torch.tensor([1, 2]), estimate=estimates(2))
    assert torch.equal(store.read(OWNED), before)


@pytest.mark.parametrize("shape", [(1, 2, 3, 4), (2, 1, 3, 4), (2, 2, 3, 5)])
@every_kind
def test_estimates_of_another_shape_are_refused(
    kind: StoreKind, tmp_path: Path, shape: tuple[int, ...]
) -> None:
    """Nothing is broadcast into rows."""
    store = opened(kind, tmp_path)
    before = store.read(OWNED)
    with pytest.raises(ValueError, match=r"not \(2, 2, 3, 4\)"):
        store.write(OWNED[:2], estimate=torch.zeros(shape))
    assert torch.equal(store.read(OWNED), before)


@every_kind
def test_what_was_fetched_early_is_what_is_read(kind: StoreKind, tmp_path: Path) -> None:
    """Noise and rows; for other images than those announced it does not matter."""
    store = opened(kind, tmp_path)
    written = estimates(2)
    store.write(OWNED[:2], estimate=written)
    expected = store.peek(OWNED)
    store.prefetch(OWNED)
    assert torch.equal(store.read(OWNED), expected)
    store.prefetch(OWNED)
    assert torch.equal(store.read(OWNED[1:3]), expected[1:3])
    assert torch.equal(store.read(OWNED), expected)
    store.close()


@every_kind
def test_a_write_after_an_early_fetch_is_seen(kind: StoreKind, tmp_path: Path) -> None:
    """What was fetched is forgotten if it changes before it is read."""
    store = opened(kind, tmp_path)
    store.prefetch(OWNED)
    written = estimates(1)
    store.write(OWNED[2:3], estimate=written)
    torch.testing.assert_close(store.read(OWNED)[2:3], kind.kept(written))
    store.close()


@every_kind
def test_restore_goes_on_within_the_epoch(kind: StoreKind, tmp_path: Path) -> None:
    """A new store takes up rows, epoch and which of them the epoch has written."""
    store = opened(kind, tmp_path)
    store.begin_epoch(7)
    store.write(OWNED[:2], estimate=estimates(2))
    expected, state = store.read(OWNED), as_saved(store.snapshot())
    store.close()
    other = opened(kind, tmp_path)
    other.restore(state)
    assert torch.equal(other.read(OWNED), expected)
    with pytest.raises(ValueError, match="images 1 were written in epoch 7"):
        other.write(OWNED[:1], estimate=estimates(1))
    other.write(OWNED[2:], estimate=estimates(2))


@every_kind
def test_restored_state_stays_the_callers(kind: StoreKind, tmp_path: Path) -> None:
    """Writes after a restore do not reach the state that was restored."""
    store = opened(kind, tmp_path)
    store.write(OWNED[:2], estimate=estimates(2))
    state = as_saved(store.snapshot())
    kept = {
        shard: {name: part.clone() for name, part in own.items()} for shard, own in state.items()
    }
    store.restore(state)
    store.begin_epoch(1)
    store.write(OWNED, estimate=estimates(4))
    for shard, own in kept.items():
        for name, part in own.items():
            assert torch.equal(state[shard][name], part)


@every_kind
@pytest.mark.parametrize(
    "other",
    [
        Shards(images=10, count=5, owned=(1,)),
        Shards(images=11, count=5, owned=(0, 1, 4)),
        Shards(images=15, count=5, owned=(1, 4)),
    ],
    ids=["fewer shards", "one image more elsewhere", "more images"],
)
def test_state_of_other_shards(kind: StoreKind, tmp_path: Path, other: Shards) -> None:
    """A shard of another size, or that is missing, is refused; one more is another process's."""
    store = opened(kind, tmp_path / "own")
    state = as_saved(opened(kind, tmp_path / "other", shards=other).snapshot())
    if other.images == 11:
        store.restore(state)
    else:
        with pytest.raises(ValueError, match=r"lacks shard 4|is torch\..* of shape"):
            store.restore(state)


@every_kind
def test_a_missing_part_is_refused(kind: StoreKind, tmp_path: Path) -> None:
    """Each part of the state by its name."""
    store = opened(kind, tmp_path)
    state = as_saved(store.snapshot())
    for name in state[1]:
        part = {other: tensor for other, tensor in state[1].items() if other != name}
        with pytest.raises(ValueError, match=f"shard 1: {name} (is missing|does not fit)"):
            store.restore({**state, 1: part})


@pytest.mark.parametrize("place", ["ram", "device"])
def test_rows_of_another_precision_are_refused(place: str, tmp_path: Path) -> None:
    """Half-precision rows are not taken for float32."""
    halves = opened(StoreKind(place, "float16"), tmp_path).snapshot()
    store = opened(StoreKind(place, "float32"), tmp_path)
    with pytest.raises(ValueError, match=r"rows is torch\.uint8 of shape \(2, 48\), not"):
        store.restore(as_saved(halves))


@pytest.mark.parametrize("place", ["ram", "device"])
def test_too_little_memory_is_said_at_once(place: str, tmp_path: Path) -> None:
    """Opening a store that cannot fit is a user's problem with its size and a remedy."""
    vast = ImageShape(channels=3, height=10**7, width=10**7)
    with pytest.raises(EnvironmentProblem, match=r"take 1\.2 PB") as caught:
        opened(StoreKind(place, "float32"), tmp_path, shards=Shards.whole(1), shape=vast)
    assert caught.value.remedy is not None


def test_a_file_larger_than_the_file_system_allows_is_said_at_once(tmp_path: Path) -> None:
    """The same for a disk."""
    vast = ImageShape(channels=3, height=10**8, width=10**8)
    with pytest.raises(EnvironmentProblem, match=r"shard-0000\.rows"):
        opened(StoreKind("mmap", "float32"), tmp_path, shards=Shards.whole(1), shape=vast)


@every_kind
def test_a_store_of_no_rows_is_a_store(kind: StoreKind, tmp_path: Path) -> None:
    """A shard without images can still be saved and restored."""
    store = opened(kind, tmp_path, shards=Shards(images=2, count=4, owned=(2, 3)))
    store.restore(as_saved(store.snapshot()))
    assert store.read(torch.empty(0, dtype=torch.int64)).shape == (0, 2, 3, 4)
    with pytest.raises(ValueError, match="does not hold images 0"):
        store.read(torch.tensor([0]))


def test_a_gigantic_store_begins_in_no_time_and_no_space(tmp_path: Path) -> None:
    """A 31.5 GB store: sparse files, and noise for the rows that are asked for alone."""
    shards = Shards(images=1_281_167, count=64, owned=tuple(range(64)))
    imagenet = ImageShape(channels=3, height=64, width=64)
    store = StoreKind("mmap", "float16").open(tmp_path, shards=shards, shape=imagenet)
    store.begin_epoch(0)
    index = torch.tensor([0, 1_281_166, 77])
    store.read(index)
    store.write(index, estimate=torch.zeros(3, *imagenet.as_tuple))
    assert not store.read(index).any()
    files = list(tmp_path.glob("*.rows"))
    assert sum(file.stat().st_size for file in files) == 1_281_167 * 3 * 24_576
    assert sum(file.stat().st_blocks * 512 for file in files) < 1 << 20
    store.close()
