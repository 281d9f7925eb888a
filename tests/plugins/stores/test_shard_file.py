"""A file that goes back to its snapshots: nothing they name is overwritten, whatever fails."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from torch import Tensor

from dddm.errors import EnvironmentProblem, EstimatesLost
from dddm_stores.shard_file import Rows, ShardFile, Snapshot

ROWS: Final = 40
ROW_BYTES: Final = 24
EVERY: Final = torch.arange(ROWS)


def opened(folder: Path, *, rows: int = ROWS, row_bytes: int = ROW_BYTES) -> ShardFile:
    """A file that keeps two snapshots."""
    return ShardFile(folder / "shard-0000.rows", rows=rows, row_bytes=row_bytes, kept_snapshots=2)


def some_rows(seed: int, count: int = ROWS) -> Tensor:
    """(count, R), uint8."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, ROW_BYTES), generator=generator, dtype=torch.uint8)


def bytes_at(file: ShardFile, at_n: Rows) -> np.ndarray[Any, Any]:
    """What the file holds where a snapshot says."""
    contents = np.fromfile(file.path, np.uint8).reshape(-1, ROW_BYTES)
    return contents[at_n]


def test_snapshots_stay_through_many_epochs(tmp_path: Path) -> None:
    """Both kept snapshots keep their bytes while every row changes again and again."""
    file = opened(tmp_path)
    order = torch.Generator().manual_seed(0)
    kept: list[tuple[Rows, Tensor]] = []
    present = some_rows(0)
    file.write(EVERY, rows=present)
    for epoch in range(1, 12):
        present = some_rows(epoch)
        for batch in torch.split(torch.randperm(ROWS, generator=order), 7):
            file.write(batch, rows=present[batch])
            for at_n, rows in kept:
                assert np.array_equal(bytes_at(file, at_n), rows.numpy())
        assert torch.equal(file.read(EVERY), present)
        if epoch % 2:
            at_n = file.snapshot().at_n
            kept = [*kept, (at_n, present)][-2:]
    assert len(np.fromfile(file.path, np.uint8)) == 3 * ROWS * ROW_BYTES


def test_a_snapshot_that_is_no_longer_kept_is_refused(tmp_path: Path) -> None:
    """Three snapshots, two kept: the oldest is refused by name, and the others are whole."""
    file = opened(tmp_path)
    snapshots = []
    for epoch in range(3):
        file.write(EVERY, rows=some_rows(epoch))
        snapshots.append(file.snapshot())
    file.close()
    again = opened(tmp_path)
    with pytest.raises(EstimatesLost, match="no longer holds"):
        again.restore(snapshots[0])
    again.restore(snapshots[1])
    assert torch.equal(again.read(EVERY), some_rows(1))


def test_what_came_before_a_restored_snapshot_may_be_gone(tmp_path: Path) -> None:
    """After going back from the third to the second, the first is not taken for whole."""
    file = opened(tmp_path)
    snapshots = []
    for epoch in range(3):
        file.write(EVERY, rows=some_rows(epoch))
        snapshots.append(file.snapshot())
    file.restore(snapshots[1])
    with pytest.raises(EstimatesLost, match="no longer holds"):
        file.restore(snapshots[0])


@pytest.mark.parametrize("lost_snapshots", [0, 1, 2])
def test_a_run_that_was_killed_leaves_an_equal_file(tmp_path: Path, lost_snapshots: int) -> None:
    """Going back, also behind snapshots whose checkpoints were not finished, changes no place."""
    order = [torch.randperm(ROWS, generator=torch.Generator().manual_seed(k)) for k in range(12)]

    def epochs(file: ShardFile, numbers: range) -> list[Snapshot]:
        found = []
        for epoch in numbers:
            for batch in torch.split(order[epoch][:30], 7):
                file.write(batch, rows=some_rows(epoch)[batch].contiguous())
            found.append(file.snapshot())
        return found

    (tmp_path / "undisturbed").mkdir()
    undisturbed = opened(tmp_path / "undisturbed")
    epochs(undisturbed, range(12))
    file = opened(tmp_path)
    last = epochs(file, range(6))[5 - min(lost_snapshots, 1)]
    for batch in torch.split(order[6][: 7 * lost_snapshots + 7], 7):
        file.write(batch, rows=some_rows(6)[batch].contiguous())
    file.close()
    again = opened(tmp_path)
    again.restore(last)
    epochs(again, range(6 - min(lost_snapshots, 1), 12))
    for name in ("shard-0000.rows", "shard-0000.json"):
        mine, whole = tmp_path / name, tmp_path / "undisturbed" / name
        assert mine.read_bytes() == whole.read_bytes(), name


def test_the_name_of_an_overwritten_snapshot_does_not_come_back(tmp_path: Path) -> None:
    """Its places are still taken after a restore; it cannot be returned to all the same."""
    file = opened(tmp_path)
    snapshots = []
    for epoch in range(3):
        file.write(EVERY, rows=some_rows(epoch))
        snapshots.append(file.snapshot())
    file.close()
    again = opened(tmp_path)
    again.restore(snapshots[1])
    assert len(again.held_kn) == 2
    again.close()
    with pytest.raises(EstimatesLost, match="no longer holds"):
        opened(tmp_path).restore(snapshots[0])


@pytest.mark.parametrize("how", ["missing", "short"])
def test_a_damaged_file_is_refused(tmp_path: Path, how: str) -> None:
    """A file that was removed or cut is named; it is not filled with zeros in silence."""
    file = opened(tmp_path)
    file.write(EVERY, rows=some_rows(0))
    snapshot = file.snapshot()
    file.close()
    if how == "missing":
        file.path.unlink()
    else:
        os.truncate(file.path, ROWS)
    with pytest.raises(EstimatesLost, match="is missing, or has another size"):
        opened(tmp_path).restore(snapshot)


def test_a_row_that_changed_on_the_disk_is_not_read(tmp_path: Path) -> None:
    """One flipped bit, found when its row is read, and in no other row; also after a restore."""
    file = opened(tmp_path)
    file.write(EVERY, rows=some_rows(0))
    snapshot = file.snapshot()
    contents = bytearray(file.path.read_bytes())
    contents[int(snapshot.at_n[7]) * ROW_BYTES + 5] ^= 16
    file.path.write_bytes(contents)
    again = opened(tmp_path)
    again.restore(snapshot)
    for reader in (file, again):
        assert torch.equal(reader.read(EVERY[:7]), some_rows(0)[:7])
        with pytest.raises(EstimatesLost, match="no longer holds 1 estimate") as refused:
            reader.read(EVERY)
        assert refused.value.remedy is not None
        with pytest.raises(EstimatesLost, match="no longer holds 1 estimate"):
            list(reader.verify())
    again.write(EVERY[7:8], rows=some_rows(1)[7:8])
    assert torch.equal(again.read(EVERY[7:8]), some_rows(1)[7:8])
    assert sum(again.verify()) == ROWS


def test_rows_that_were_never_written_need_no_proof(tmp_path: Path) -> None:
    """They are noise, which is made again."""
    file = opened(tmp_path)
    assert list(file.verify()) == []
    file.write(EVERY[3:9], rows=some_rows(0)[3:9])
    assert sum(file.verify()) == 6


def test_a_new_file_takes_no_space(tmp_path: Path) -> None:
    """A store of a gigabyte begins as a sparse file."""
    file = opened(tmp_path, rows=100_000, row_bytes=12_288)
    assert file.path.stat().st_size == 3 * 100_000 * 12_288
    assert file.path.stat().st_blocks * 512 < 1 << 20
    file.close()


def test_a_file_of_no_rows_is_a_file(tmp_path: Path) -> None:
    """There may be more shards than images."""
    file = opened(tmp_path, rows=0)
    snapshot = file.snapshot()
    file.restore(snapshot)
    assert file.read(torch.empty(0, dtype=torch.int64)).shape == (0, ROW_BYTES)


def failing_at(number: int, real: Callable[..., Any]) -> Callable[..., Any]:
    """`real`, which finds the disk full when it is called for the `number`-th time."""
    calls = 0

    def call(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args)

    return call


@pytest.mark.parametrize("number", range(1, 8))
def test_a_full_disk_leaves_the_snapshots_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Whichever of the writes of a batch fails, the error says so, and the snapshot loads."""
    file = opened(tmp_path)
    for place in range(0, ROWS, 2):  # so that free places do not stand together
        file.write(torch.tensor([place]), rows=some_rows(0)[place : place + 1])
    file.snapshot()
    file.write(EVERY[::3], rows=some_rows(1)[::3].contiguous())
    snapshot = file.snapshot()
    before = bytes_at(file, snapshot.at_n[snapshot.at_n >= 0])

    def write_all() -> None:
        for first in range(0, ROWS, 5):
            file.write(EVERY[first : first + 5], rows=some_rows(2)[first : first + 5])

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", failing_at(number, os.pwrite))
        with pytest.raises(EnvironmentProblem, match="no space left"):
            write_all()
    file.close()
    again = opened(tmp_path)
    again.restore(snapshot)
    assert np.array_equal(bytes_at(again, again.at_n[again.at_n >= 0]), before)


def test_a_write_that_stops_short_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system may write fewer bytes than it was given."""
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, left, at: real(file, left[:5], at))
    file = opened(tmp_path)
    file.write(EVERY, rows=some_rows(0))
    assert torch.equal(file.read(EVERY), some_rows(0))
