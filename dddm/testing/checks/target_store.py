"""What a target store promises; see `dddm.interfaces.target_store`.

Legend: N images in S shards, B of a batch.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import torch
from torch import Tensor

from dddm.interfaces.info import ImageShape
from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import MemoryUsage, ShardState, TargetStore
from dddm.testing.check import Suite, raises
from dddm.testing.stores import KEPT_SNAPSHOTS, SHAPE, SHARDS, Stores, as_saved
from dddm.testing.subject import Subject
from dddm.testing.tensors import assert_equal, assert_tensor, gpus, noise

_OWNED: Final = torch.tensor([1, 6, 4, 9])
_OFF: Final = 0.05
"""Mean and deviation of 6,000 numbers, to about 4 of their standard deviations."""
_RUNS: Final = 10
_RULES: Final = 30
"""How many random sequences of calls are tried, and how long each is."""


def _on(subject: Subject, device: torch.device) -> Iterator[Stores]:
    with tempfile.TemporaryDirectory() as folder:
        stores = Stores(subject, folder=Path(folder), device=device)
        try:
            yield stores
        finally:
            stores.close()


def _one_store(subject: Subject) -> Iterator[tuple[Stores, TargetStore]]:
    for stores in _on(subject, torch.device("cpu")):
        yield stores, stores.open()


def _subject(subject: Subject) -> Iterator[tuple[Subject]]:
    yield (subject,)


TARGET_STORE: Final = Suite(
    "target-store",
    interface=TargetStore,
    cases=_one_store,
    capabilities={
        "processes": "stores of several processes share a folder, and shards move between them",
        "devices": "it takes and gives estimates on a GPU",
    },
)


def _estimates(count: int, seed: int) -> Tensor:
    return noise(count, *SHAPE.as_tuple, seed=seed)


@TARGET_STORE.check(cases=_subject)
def keeps_runs_apart(subject: Subject) -> None:
    """Runs and fields are given folders of their own, and the same ones again."""
    folders = [Path(run) / "memory" / field for run in ("/a/x", "/b/x") for field in ("f", "g")]
    chosen = [subject.make().choose_folder(folder) for folder in folders]
    assert len(set(chosen)) == len(folders), f"{len(folders)} runs and fields share {chosen}"
    again = [subject.make().choose_folder(folder) for folder in folders]
    assert again == chosen, f"a run that is resumed is given {again} instead of {chosen}"


@TARGET_STORE.check()
def begins_as_zeros(stores: Stores, _: TargetStore) -> None:
    """Opened with `initial="zeros"`, rows are zeros until they are written."""
    store = stores.open(initial="zeros")
    assert not store.read(_OWNED).any(), "a row that was not written is not zeros"
    assert not store.peek(_OWNED).any(), "`peek` sees something else than `read`"
    given = _estimates(2, 5)
    store.write(_OWNED[:2], estimate=given)
    stores.assert_rows(store.read(_OWNED[:2]), given, "rows after a write")
    assert not store.read(_OWNED[2:]).any(), "a write of other rows changes rows of zeros"


@TARGET_STORE.check()
def begins_as_noise(stores: Stores, store: TargetStore) -> None:
    """Before it is written, a row is N(0, I) noise that depends only on seed and index."""
    first = store.read(_OWNED)
    assert_tensor(first, shape=(4, *SHAPE.as_tuple), dtype=torch.float32, what="what is read")
    turned = stores.open().read(_OWNED.flip(0)).flip(0)
    assert_equal(turned, first, "read in another order, rows are other noise")
    one_by_one = torch.cat([stores.open().read(k[None]) for k in _OWNED])
    assert_equal(one_by_one, first, "read one by one, rows are other noise")
    whole = stores.open(Shards.whole(10)).read(_OWNED)
    assert_equal(whole, first, "a process that owns all images has other noise for them")
    other = stores.open(seed=4).read(_OWNED)
    assert not torch.equal(other, first), "another seed gives the same noise"
    rows = stores.open(Shards.whole(1000)).read(torch.arange(1000)).flatten(1)
    mean, deviation = float(rows.mean()), float(rows.std())
    normal = abs(mean) < _OFF and abs(deviation - 1) < _OFF
    assert normal, f"the noise has mean {mean:.3f} and deviation {deviation:.3f}"
    assert len(set(map(tuple, rows.tolist()))) == len(rows), "two images have the same noise"


@TARGET_STORE.check()
def keeps_what_is_written(stores: Stores, store: TargetStore) -> None:
    """A written row is read back within `relative_error`; other rows are unchanged."""
    before = store.read(_OWNED)
    given = _estimates(2, 5)
    store.write(torch.tensor([9, 6]), estimate=given)
    stores.assert_rows(store.read(torch.tensor([9, 6])), given, "two rows")
    stores.assert_rows(store.read(torch.tensor([6, 9])), given.flip(0), "two rows, swapped,")
    stores.assert_rows(store.read(_OWNED[[0, 2]]), before[[0, 2]], "rows that were not written")


@TARGET_STORE.check()
def floating_dtypes(stores: Stores, _: TargetStore) -> None:
    """Estimates of any floating dtype can be written; reads are float32, without gradient."""
    dtypes = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    for epoch, dtype in enumerate(dtypes):
        store = stores.open()
        store.begin_epoch(epoch)
        given = _estimates(4, epoch).to(dtype).requires_grad_()
        store.write(_OWNED, estimate=given)
        found = store.read(_OWNED)
        assert found.dtype == torch.float32, f"{found.dtype} is read after {dtype}"
        assert not found.requires_grad, "what is read carries a gradient"
        stores.assert_rows(found, given.detach().float(), f"rows written as {dtype}")


@TARGET_STORE.check()
def shares_nothing(stores: Stores, store: TargetStore) -> None:
    """The store shares no memory with tensors that were written, read or peeked."""
    given = _estimates(4, 5)
    kept = given.clone()
    store.write(_OWNED, estimate=given)
    for what, tensor in (
        ("written", given), ("read", store.read(_OWNED)), ("peeked", store.peek(_OWNED)),
    ):  # fmt: skip
        tensor.zero_()
        stores.assert_rows(store.read(_OWNED), kept, f"rows, after what was {what} changed,")


@TARGET_STORE.check()
def writes_once_an_epoch(_: Stores, store: TargetStore) -> None:
    """A second write of a row in one epoch raises a ValueError and changes no row."""
    store.write(_OWNED[:1], estimate=_estimates(1, 5))
    before = store.peek(_OWNED)
    with raises(ValueError, "a second write of image 1 in epoch 0"):
        store.write(_OWNED[:2], estimate=_estimates(2, 6))
    assert_equal(store.peek(_OWNED), before, "a refused write changed a row")
    store.write(_OWNED[1:], estimate=_estimates(3, 7))


@TARGET_STORE.check()
def epochs_begin_anew(stores: Stores, store: TargetStore) -> None:
    """Each row can be written again in the next epoch; beginning the current one has no effect."""
    store.write(_OWNED, estimate=_estimates(4, 5))
    store.begin_epoch(0)
    with raises(ValueError, "a second write, after beginning epoch 0 again,"):
        store.write(_OWNED, estimate=_estimates(4, 6))
    store.begin_epoch(1)
    given = _estimates(4, 7)
    store.write(_OWNED, estimate=given)
    stores.assert_rows(store.read(_OWNED), given, "rows of the second epoch")


@TARGET_STORE.check()
def an_index_once_in_a_write(_: Stores, store: TargetStore) -> None:
    """A repeated index in one write raises a ValueError and changes no row."""
    before = store.peek(_OWNED)
    with raises(ValueError, "a write of images 9, 1, 9"):
        store.write(torch.tensor([9, 1, 9]), estimate=_estimates(3, 0))
    assert_equal(store.peek(_OWNED), before, "a refused write changed a row")


@TARGET_STORE.check()
def foreign_images(_: Stores, store: TargetStore) -> None:
    """Reading or writing an image that this process does not own raises a ValueError."""
    before = store.peek(_OWNED)
    for foreign in (0, 2, 10, 11, -1):
        index = torch.tensor([1, foreign])
        for function in (store.read, store.peek):
            with raises(ValueError, f"{function.__name__} of image {foreign}"):
                function(index)
        with raises(ValueError, f"write of image {foreign}"):
            store.write(index, estimate=_estimates(2, 0))
    assert_equal(store.peek(_OWNED), before, "a refused write changed a row")


@TARGET_STORE.check()
def peek_and_prefetch_leave_no_trace(stores: Stores, store: TargetStore) -> None:
    """`peek` equals `read`; after `prefetch`, `read` still returns the newest rows."""
    store.write(_OWNED[:2], estimate=_estimates(2, 5))
    expected = store.peek(_OWNED)
    assert_equal(store.read(_OWNED), expected, "`read` differs from `peek`")
    store.prefetch(_OWNED)
    given = _estimates(2, 6)
    store.write(_OWNED[2:], estimate=given)
    found = store.read(_OWNED)
    assert_equal(found[:2], expected[:2], "rows that were prefetched differ")
    stores.assert_rows(found[2:], given, "rows written after they were prefetched")
    store.prefetch(_OWNED)
    assert_equal(store.read(_OWNED[1:3]), found[1:3], "other rows than were prefetched differ")


@TARGET_STORE.check()
def goes_on_within_an_epoch(stores: Stores, store: TargetStore) -> None:
    """A new store restores a snapshot: its rows, and which of them this epoch has written."""
    store.begin_epoch(7)
    store.write(_OWNED[:2], estimate=_estimates(2, 5))
    expected, state = store.peek(_OWNED), as_saved(store.snapshot())
    store.flush()
    store.close()
    other = stores.open()
    other.restore(state)
    other.verify()
    assert_equal(other.read(_OWNED), expected, "rows differ after `restore`")
    other.begin_epoch(7)
    with raises(ValueError, "a second write of a row in one epoch, after `restore`,"):
        other.write(_OWNED[:1], estimate=_estimates(1, 0))
    other.write(_OWNED[2:], estimate=_estimates(2, 6))


@TARGET_STORE.check()
def a_crash_loses_what_came_later(stores: Stores, store: TargetStore) -> None:
    """After a crash, a new store restores its snapshot, even if rows were overwritten since."""
    store.write(_OWNED, estimate=_estimates(4, 5))
    expected, state = store.peek(_OWNED), as_saved(store.snapshot())
    store.begin_epoch(1)
    store.write(_OWNED, estimate=_estimates(4, 6))
    # It is neither flushed nor closed: the process was killed.
    other = stores.open()
    other.restore(state)
    assert_equal(other.read(_OWNED), expected, "rows are not those of the snapshot")


@TARGET_STORE.check()
def keeps_its_newest_snapshots(stores: Stores, store: TargetStore) -> None:
    """Each of the newest `kept_snapshots` can be restored, even if rows were overwritten since."""
    states, rows = [], []
    for epoch in range(4):
        store.begin_epoch(epoch)
        store.write(_OWNED, estimate=_estimates(4, epoch))
        rows.append(store.peek(_OWNED))
        states.append(as_saved(store.snapshot()))
    store.begin_epoch(4)
    store.write(_OWNED, estimate=_estimates(4, 4))
    other = stores.open()
    other.restore(states[-KEPT_SNAPSHOTS])
    message = f"rows are not those of the snapshot {KEPT_SNAPSHOTS} ago"
    assert_equal(other.read(_OWNED), rows[-KEPT_SNAPSHOTS], message)


@TARGET_STORE.check()
def state_stays_the_caller_s(_: Stores, store: TargetStore) -> None:
    """Writes after `restore` do not modify the restored state."""
    store.write(_OWNED, estimate=_estimates(4, 5))
    state = as_saved(store.snapshot())
    kept = as_saved(state)
    store.restore(state)
    store.begin_epoch(1)
    store.write(_OWNED, estimate=_estimates(4, 6))
    for shard, parts in kept.items():
        for name, value in parts.items():
            assert_equal(state[shard][name], value, f"{name} of shard {shard} was changed")


@TARGET_STORE.check()
def refuses_a_strange_state(stores: Stores, store: TargetStore) -> None:
    """Restoring a state of another size, or without a shard, raises a ValueError."""
    state = as_saved(store.snapshot())
    more = as_saved(stores.open(Shards(images=15, count=5, owned=(1, 4))).snapshot())
    for what, strange in (
        ("of more images", more),
        ("without shard 4", {1: state[1]}),
        ("without tensors", {1: {}, 4: {}}),
    ):
        with raises(ValueError, f"a state {what}"):
            store.restore(strange)


@TARGET_STORE.check()
def snapshots_every_shard(_: Stores, store: TargetStore) -> None:
    """`snapshot` returns CPU tensors for each owned shard, and for no other."""
    state = store.snapshot()
    assert set(state) == set(SHARDS.owned), f"states of shards {sorted(state)}, not 1 and 4"
    for parts in state.values():
        for name, value in parts.items():
            on_cpu = isinstance(value, Tensor) and value.device.type == "cpu"
            assert on_cpu, f"{name} is not a tensor on the CPU"


@TARGET_STORE.check(capability="processes")
def shards_move_between_processes(stores: Stores, _: TargetStore) -> None:
    """Snapshots of 2 processes can be restored by 1 or 4; each image is in exactly one store."""
    images, count = 11, 4

    def processes(total: int) -> Iterator[tuple[TargetStore, Tensor]]:
        for rank in range(total):
            shards = Shards.of_process(images=images, count=count, rank=rank, processes=total)
            index = torch.cat([shards.images_of(shard) for shard in shards.owned])
            yield stores.open(shards), index

    given = _estimates(images, 5)
    state: dict[int, ShardState] = {}
    for store, index in list(processes(2)):
        store.write(index, estimate=given[index])
        state |= as_saved(store.snapshot())
    assert set(state) == set(range(count)), f"states of shards {sorted(state)} were saved"
    for total in (1, 4):
        held = torch.zeros(images, dtype=torch.int64)
        for store, index in list(processes(total)):
            store.restore(state)
            held[index] += 1
            stores.assert_rows(store.read(index), given[index], f"rows read by {total} processes")
            foreign = [k for k in range(images) if k not in index.tolist()]
            if foreign:
                with raises(ValueError, "reading a row of another process"):
                    store.read(torch.tensor(foreign[:1]))
        assert (held == 1).all(), "an image is in no store, or in two"


@TARGET_STORE.check()
def a_store_of_no_rows(stores: Stores, _: TargetStore) -> None:
    """Shards without images are saved and restored like others."""
    store = stores.open(Shards(images=2, count=4, owned=(2, 3)))
    store.restore(as_saved(store.snapshot()))
    found = store.read(torch.empty(0, dtype=torch.int64))
    assert tuple(found.shape) == (0, *SHAPE.as_tuple), f"it reads {tuple(found.shape)}"


@TARGET_STORE.check(cases=lambda subject: [(subject.make(),)])
def says_what_it_takes(store: TargetStore) -> None:
    """`memory_usage`, before `open`, is proportional to the number of rows."""
    shape = ImageShape(channels=3, height=8, width=8)
    none, some, many = (
        store.memory_usage(rows=rows, shape=shape, kept_snapshots=2) for rows in (0, 1000, 2000)
    )
    assert isinstance(some, MemoryUsage), f"it gives {some!r}, not a MemoryUsage"
    assert none.total == 0, f"no rows take {none.total} bytes"
    enough = some.total >= 1000 * shape.values / 8
    assert enough, f"1000 rows of {shape.values} numbers take {some.total} bytes"
    assert many.total == 2 * some.total, f"1000 rows take {some.total}, 2000 {many.total}"


@TARGET_STORE.check(cases=_subject)
def any_order_of_calls(subject: Subject) -> None:
    """In any order of reads, writes, epochs, snapshots and crashes it acts as a table of rows.

    Hypothesis draws the calls, the same every time, and a failure lists them.
    """
    hypothesis = pytest.importorskip("hypothesis", reason="hypothesis is not installed")
    from hypothesis.stateful import run_state_machine_as_test

    from dddm.testing.checks.store_machine import machine_of

    settings = hypothesis.settings(
        max_examples=_RUNS,
        stateful_step_count=_RULES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],  # shrinking a failure would take minutes
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    run_state_machine_as_test(machine_of(subject), settings=settings)


def _on_gpus(subject: Subject) -> Iterator[tuple[Stores, torch.device]]:
    for device in gpus():
        for stores in _on(subject, device):
            yield stores, device


@TARGET_STORE.check(capability="devices", cases=_on_gpus)
def devices(stores: Stores, device: torch.device) -> None:
    """Opened for a GPU, it accepts estimates and returns rows there."""
    store = stores.open()
    assert store.read(_OWNED).device.type == device.type, "noise is read elsewhere"
    given = _estimates(4, 5)
    store.write(_OWNED, estimate=given.to(device))
    found = store.read(_OWNED)
    assert found.device.type == device.type, f"rows are on {found.device}"
    stores.assert_rows(found.cpu(), given, f"rows on {device}")
