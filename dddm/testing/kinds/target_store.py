"""What a target store promises; see `dddm.interfaces.target_store`.

What is said of any order of calls is tried by `dddm.testing.store_walk`.

Legend: N images in S shards, B of a batch.
"""

from typing import Final

import torch
from torch import Tensor

from dddm.interfaces.info import ImageShape
from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import MemoryUsage, ShardState, TargetStore
from dddm.testing.check import Suite, expect, expecting
from dddm.testing.material import expect_equal, expect_tensor, gpus, noise
from dddm.testing.store_bench import as_saved, bench
from dddm.testing.store_walk import walk
from dddm.testing.subject import Subject

TARGET_STORE: Final = Suite(
    "target-store",
    capabilities={
        "processes": "stores of several processes share a folder, and shards move between them",
        "devices": "it takes and gives estimates on a GPU",
    },
)

SHARDS: Final = Shards(images=10, count=5, owned=(1, 4))
OWNED: Final = torch.tensor([1, 6, 4, 9])
_MANY: Final = Shards.whole(1000)
_WALKS: Final = (4, 8, 12, 16, 24, 32, 48, 64)
"""How many orders each walk has."""
_OFF: Final = 0.05
"""Mean and deviation of 6,000 numbers, to some 4 deviations of theirs."""


@TARGET_STORE.check()
def begins_as_zeros(subject: Subject) -> None:
    """Opened with `initial="zeros"`, a row is zeros before it is written, and then what was."""
    with bench(subject) as at:
        store = at.opened(SHARDS, initial="zeros")
        expect(not store.read(OWNED).any(), "a row that was not written is not zeros")
        expect(not store.peek(OWNED).any(), "`peek` sees something else than `read`")
        given = noise(2, *at.shape.as_tuple, seed=5)
        store.write(OWNED[:2], estimate=given)
        at.expect_kept(store.read(OWNED[:2]), given, "after a write")
        expect(not store.read(OWNED[2:]).any(), "a write of other rows changes rows of zeros")


@TARGET_STORE.check()
def begins_as_noise(subject: Subject) -> None:
    """Before it is written a row is N(0, I), by seed and index alone, however it is read."""
    with bench(subject) as at:
        first = at.opened(SHARDS).read(OWNED)
        shape = (4, *at.shape.as_tuple)
        expect_tensor(first, shape=shape, dtype=torch.float32, what="what is read")
        turned = at.opened(SHARDS).read(OWNED.flip(0)).flip(0)
        expect_equal(turned, first, "read in another order, rows are other noise")
        one = torch.cat([at.opened(SHARDS).read(k[None]) for k in OWNED])
        expect_equal(one, first, "read one by one, rows are other noise")
        whole = at.opened(Shards.whole(10)).read(OWNED)
        expect_equal(whole, first, "a process that owns all images has other noise for them")
        other = at.opened(SHARDS, seed=4).read(OWNED)
        expect(not torch.equal(other, first), "another seed gives the same noise")
        rows = at.opened(_MANY).read(torch.arange(1000)).flatten(1)
        mean, deviation = float(rows.mean()), float(rows.std())
        expect(
            abs(mean) < _OFF and abs(deviation - 1) < _OFF,
            f"the noise has mean {mean:.3f} and deviation {deviation:.3f}",
        )
        different = {tuple(row) for row in rows.tolist()}
        expect(len(different) == len(rows), "two images have the same noise")


@TARGET_STORE.check()
def keeps_what_is_written(subject: Subject) -> None:
    """A row is what was written last, within `relative_error`; the others stay as they were."""
    with bench(subject) as at:
        store = at.opened(SHARDS)
        before = store.read(OWNED)
        given = noise(2, *at.shape.as_tuple, seed=5)
        store.write(torch.tensor([9, 6]), estimate=given)
        at.expect_kept(store.read(torch.tensor([9, 6])), given, "two rows")
        at.expect_kept(store.read(torch.tensor([6, 9])), given.flip(0), "two rows, turned round")
        at.expect_kept(store.read(OWNED[[0, 2]]), before[[0, 2]], "rows that were not written")


@TARGET_STORE.check()
def floating_dtypes(subject: Subject) -> None:
    """Estimates of any floating dtype may be written; float32, without gradient, is read."""
    with bench(subject) as at:
        for epoch, dtype in enumerate(
            (torch.float16, torch.bfloat16, torch.float32, torch.float64)
        ):
            store = at.opened(SHARDS)
            store.begin_epoch(epoch)
            given = noise(4, *at.shape.as_tuple, seed=epoch).to(dtype).requires_grad_()
            store.write(OWNED, estimate=given)
            found = store.read(OWNED)
            expect(found.dtype == torch.float32, f"{found.dtype} is read after {dtype}")
            expect(not found.requires_grad, "what is read carries a gradient")
            at.expect_kept(found, given.detach().float(), f"rows written as {dtype}")


@TARGET_STORE.check()
def shares_nothing(subject: Subject) -> None:
    """Who changes a tensor that was written, read or peeked changes nothing in the store."""
    with bench(subject) as at:
        store = at.opened(SHARDS)
        given = noise(4, *at.shape.as_tuple, seed=5)
        kept = given.clone()
        store.write(OWNED, estimate=given)
        for what, tensor in (
            ("written", given), ("read", store.read(OWNED)), ("peeked", store.peek(OWNED)),
        ):  # fmt: skip
            tensor.zero_()
            at.expect_kept(store.read(OWNED), kept, f"rows, after what was {what} changed,")


@TARGET_STORE.check()
def writes_once_an_epoch(subject: Subject) -> None:
    """A second write of a row in one epoch is a ValueError, and changes no row."""
    with bench(subject) as at:
        store = at.opened(SHARDS)
        store.write(OWNED[:1], estimate=noise(1, *at.shape.as_tuple, seed=5))
        before = store.peek(OWNED)
        with expecting(ValueError, otherwise="image 1 was written twice in epoch 0"):
            store.write(OWNED[:2], estimate=noise(2, *at.shape.as_tuple, seed=6))
        expect_equal(store.peek(OWNED), before, "a refused write changed a row")
        store.write(OWNED[1:], estimate=noise(3, *at.shape.as_tuple, seed=7))


@TARGET_STORE.check()
def epochs_begin_anew(subject: Subject) -> None:
    """In the next epoch each row may be written again; to begin the present one changes nothing."""
    with bench(subject) as at:
        store = at.opened(SHARDS)
        store.write(OWNED, estimate=noise(4, *at.shape.as_tuple, seed=5))
        store.begin_epoch(0)
        with expecting(ValueError, otherwise="beginning epoch 0 again allowed a second write"):
            store.write(OWNED, estimate=noise(4, *at.shape.as_tuple, seed=6))
        store.begin_epoch(1)
        given = noise(4, *at.shape.as_tuple, seed=7)
        store.write(OWNED, estimate=given)
        at.expect_kept(store.read(OWNED), given, "rows of the second epoch")


@TARGET_STORE.check()
def an_index_once_in_a_write(subject: Subject) -> None:
    """An index that stands twice in one write is a ValueError, and changes no row."""
    with bench(subject) as at:
        store = at.opened(SHARDS)
        before = store.peek(OWNED)
        with expecting(ValueError, otherwise="images 9, 1, 9 were written at once"):
            store.write(torch.tensor([9, 1, 9]), estimate=noise(3, *at.shape.as_tuple))
        expect_equal(store.peek(OWNED), before, "a refused write changed a row")


@TARGET_STORE.check()
def foreign_images(subject: Subject) -> None:
    """An image of another process, or that there is not, is a ValueError, read or written."""
    with bench(subject) as at:
        store = at.opened(SHARDS)
        before = store.peek(OWNED)
        for foreign in (0, 2, 10, 11, -1):
            index = torch.tensor([1, foreign])
            for called, name in ((store.read, "read"), (store.peek, "peeked")):
                with expecting(ValueError, otherwise=f"image {foreign} was {name}"):
                    called(index)
            with expecting(ValueError, otherwise=f"image {foreign} was written"):
                store.write(index, estimate=noise(2, *at.shape.as_tuple))
        expect_equal(store.peek(OWNED), before, "a refused write changed a row")


@TARGET_STORE.check()
def peek_and_prefetch_leave_no_trace(subject: Subject) -> None:
    """`peek` gives what `read` gives; what was announced is read as it is when it is read."""
    with bench(subject) as at:
        store = at.opened(SHARDS)
        store.write(OWNED[:2], estimate=noise(2, *at.shape.as_tuple, seed=5))
        expected = store.peek(OWNED)
        expect_equal(store.read(OWNED), expected, "`read` differs from `peek`")
        store.prefetch(OWNED)
        given = noise(2, *at.shape.as_tuple, seed=6)
        store.write(OWNED[2:], estimate=given)
        found = store.read(OWNED)
        expect_equal(found[:2], expected[:2], "rows that were announced differ")
        at.expect_kept(found[2:], given, "rows written after they were announced")
        store.prefetch(OWNED)
        some = store.read(OWNED[1:3])
        expect_equal(some, found[1:3], "other rows than were announced differ")


@TARGET_STORE.check()
def goes_on_within_an_epoch(subject: Subject) -> None:
    """A new store takes up a snapshot: rows, and which of them the epoch has written."""
    with bench(subject) as at:
        store = at.opened(SHARDS)
        store.begin_epoch(7)
        store.write(OWNED[:2], estimate=noise(2, *at.shape.as_tuple, seed=5))
        expected, state = store.peek(OWNED), as_saved(store.snapshot())
        store.flush()
        store.close()
        other = at.opened(SHARDS)
        other.restore(state)
        other.verify()
        expect_equal(other.read(OWNED), expected, "rows differ after `restore`")
        other.begin_epoch(7)
        with expecting(ValueError, otherwise="a row of this epoch was written again after it"):
            other.write(OWNED[:1], estimate=noise(1, *at.shape.as_tuple))
        other.write(OWNED[2:], estimate=noise(2, *at.shape.as_tuple, seed=6))


@TARGET_STORE.check()
def a_crash_loses_what_came_later(subject: Subject) -> None:
    """After a crash a new store returns to its snapshot, though rows were overwritten since."""
    with bench(subject) as at:
        store = at.opened(SHARDS)
        store.write(OWNED, estimate=noise(4, *at.shape.as_tuple, seed=5))
        expected, state = store.peek(OWNED), as_saved(store.snapshot())
        store.begin_epoch(1)
        store.write(OWNED, estimate=noise(4, *at.shape.as_tuple, seed=6))
        # It is neither flushed nor closed: the process was killed.
        other = at.opened(SHARDS)
        other.restore(state)
        expect_equal(other.read(OWNED), expected, "rows are not those of the snapshot")


@TARGET_STORE.check()
def keeps_its_newest_snapshots(subject: Subject) -> None:
    """It returns to the oldest of `kept_snapshots`, though rows were overwritten since each."""
    with bench(subject) as at:
        store = at.opened(SHARDS)
        states, rows = [], []
        for epoch in range(4):
            store.begin_epoch(epoch)
            store.write(OWNED, estimate=noise(4, *at.shape.as_tuple, seed=epoch))
            rows.append(store.peek(OWNED))
            states.append(as_saved(store.snapshot()))
        store.begin_epoch(4)
        store.write(OWNED, estimate=noise(4, *at.shape.as_tuple, seed=4))
        other = at.opened(SHARDS)
        other.restore(states[-at.kept_snapshots])
        expect_equal(
            other.read(OWNED),
            rows[-at.kept_snapshots],
            f"rows are not those of the snapshot {at.kept_snapshots} ago",
        )


@TARGET_STORE.check()
def state_stays_the_caller_s(subject: Subject) -> None:
    """Writes after `restore` change nothing in the state that was restored."""
    with bench(subject) as at:
        store = at.opened(SHARDS)
        store.write(OWNED, estimate=noise(4, *at.shape.as_tuple, seed=5))
        state = as_saved(store.snapshot())
        kept = {shard: {n: v.clone() for n, v in parts.items()} for shard, parts in state.items()}
        store.restore(state)
        store.begin_epoch(1)
        store.write(OWNED, estimate=noise(4, *at.shape.as_tuple, seed=6))
        for shard, parts in kept.items():
            for name, value in parts.items():
                expect_equal(state[shard][name], value, f"{name} of shard {shard} was changed")


@TARGET_STORE.check()
def refuses_a_strange_state(subject: Subject) -> None:
    """The state of a store of another size or shape, or that lacks a shard, is a ValueError."""
    with bench(subject) as at:
        store = at.opened(SHARDS)
        state = as_saved(store.snapshot())
        more = as_saved(at.opened(Shards(images=15, count=5, owned=(1, 4))).snapshot())
        for what, strange in (
            ("of more images", more),
            ("without shard 4", {1: state[1]}),
            ("without parts", {1: {}, 4: {}}),
        ):
            with expecting(ValueError, otherwise=f"a state {what} was taken"):
                store.restore(strange)


@TARGET_STORE.check()
def snapshots_every_shard(subject: Subject) -> None:
    """`snapshot` gives a state of tensors on the CPU for each shard that is owned, and no other."""
    with bench(subject) as at:
        state = at.opened(SHARDS).snapshot()
        expect(set(state) == set(SHARDS.owned), f"states of shards {sorted(state)}, not 1 and 4")
        for parts in state.values():
            for name, value in parts.items():
                on_cpu = isinstance(value, Tensor) and value.device.type == "cpu"
                expect(on_cpu, f"{name} is no tensor on the CPU")


@TARGET_STORE.check(capability="processes")
def shards_move_between_processes(subject: Subject) -> None:
    """What 2 processes wrote and saved, 1 or 4 read: every image in one store, none lost."""
    images, count = 11, 4
    every = torch.arange(images)
    with bench(subject) as at:
        stores = at.processes(2, images=images, count=count)
        given = noise(images, *at.shape.as_tuple, seed=5)
        state: dict[int, ShardState] = {}
        for store, shards in stores:
            index = torch.cat([shards.images_of(shard) for shard in shards.owned])
            store.write(index, estimate=given[index])
            state |= as_saved(store.snapshot())
        expect(set(state) == set(range(count)), f"states of shards {sorted(state)} were saved")
        for processes in (1, 4):
            held = torch.zeros(images, dtype=torch.int64)
            for store, shards in at.processes(processes, images=images, count=count):
                store.restore(state)
                index = torch.cat([shards.images_of(shard) for shard in shards.owned])
                held[index] += 1
                at.expect_kept(store.read(index), given[index], f"rows read by {processes}")
                foreign = every[~torch.isin(every, index)]
                if len(foreign):
                    with expecting(ValueError, otherwise="a row of another process was read"):
                        store.read(foreign[:1])
            expect(bool((held == 1).all()), "an image is in no store, or in two")


@TARGET_STORE.check()
def a_store_of_no_rows(subject: Subject) -> None:
    """A process may own shards without images: these are saved and restored like others."""
    with bench(subject) as at:
        store = at.opened(Shards(images=2, count=4, owned=(2, 3)))
        store.restore(as_saved(store.snapshot()))
        found = store.read(torch.empty(0, dtype=torch.int64))
        expect(tuple(found.shape) == (0, *at.shape.as_tuple), f"it reads {tuple(found.shape)}")


@TARGET_STORE.check()
def says_what_it_takes(subject: Subject) -> None:
    """`memory_usage`, before `open`, grows with the rows, and is 0 for none."""
    shape = ImageShape(channels=3, height=8, width=8)
    store: TargetStore = subject.make()

    def memory_usage(rows: int) -> MemoryUsage:
        return store.memory_usage(rows=rows, shape=shape, kept_snapshots=2)

    none, some, many = memory_usage(0), memory_usage(1000), memory_usage(2000)
    expect(isinstance(some, MemoryUsage), f"it gives {some!r}, no MemoryUsage")
    expect(none.total == 0, f"no rows take {none.total} bytes")
    expect(
        some.total >= 1000 * shape.values / 8, f"1000 rows of 192 numbers take {some.total} bytes"
    )
    expect(many.total == 2 * some.total, f"1000 rows take {some.total}, 2000 {many.total}")


@TARGET_STORE.check()
def any_order_of_calls(subject: Subject) -> None:
    """In any order of reads, writes, epochs, snapshots and crashes it is a table of rows.

    The orders are drawn from one seed, short walks first.
    """
    for seed, steps in enumerate(_WALKS):
        with bench(subject) as at:
            walk(at, seed=seed, steps=steps)


@TARGET_STORE.check(capability="devices")
def devices(subject: Subject) -> None:
    """Opened for a GPU it takes estimates and gives rows there."""
    for device in gpus():
        with bench(subject, device=device) as at:
            store = at.opened(SHARDS)
            expect(store.read(OWNED).device.type == device.type, "noise is read elsewhere")
            given = noise(4, *at.shape.as_tuple, seed=5)
            store.write(OWNED, estimate=given.to(device))
            found = store.read(OWNED)
            expect(found.device.type == device.type, f"rows are on {found.device}")
            at.expect_kept(found.cpu(), given, f"rows on {device}")
