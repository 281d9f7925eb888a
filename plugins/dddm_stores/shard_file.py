"""One shard's rows in a file that goes back to its snapshots without copying them.

A row that a snapshot refers to is never overwritten: the next value of the same image goes to a
free place in the file.  So a snapshot is a table of where each row is, some bytes an image, and the
file holds as many versions of a row as snapshots and the present differ by, at most one more than
the snapshots kept.  Places that were never written take no space on the disk.

Rows are written by `pwrite`, runs of them at once: writing into mapped memory would first read the
pages that are about to be replaced, and a full disk would kill the process instead of raising.
They are read from mapped memory, after the system was told which rows will be needed: without that
it waits for each in turn, and reads five times as much as a row.

The CRC-32 of every row is in memory and in snapshots, and compared whenever the row is read, and
for all rows when a run goes on: a disk that returns other bytes than it was given does not change a
run in silence.

Legend: n rows, c places in the file, R bytes in a row, B rows of a batch.
"""

import hashlib
import json
import mmap
import os
import platform
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, final

import numpy as np
import numpy.typing as npt
import torch
from attrs import frozen
from torch import Tensor

from dddm.errors import EstimatesLost
from dddm.support.files import atomic_write_text, raise_on_disk_full
from dddm.support.json_files import LIST, check_object, read_json
from dddm.support.quantities import counted
from dddm_stores.storage import word_of

_NOWHERE: Final = -1
_VERIFY_CHUNK_ROWS: Final = 1024

Rows = npt.NDArray[np.int32]
Sums = npt.NDArray[np.uint32]


def name_of(at: Rows) -> str:
    """What a snapshot is called: a digest of where its rows are."""
    return hashlib.blake2b(at.tobytes(), digest_size=16).hexdigest()


def _sums_of(rows_BR: Tensor) -> Sums:
    """The CRC-32 of each row."""
    return np.fromiter((zlib.crc32(row) for row in rows_BR.numpy()), np.uint32, len(rows_BR))


@final
@frozen(kw_only=True)
class Snapshot:
    """What a shard's file is asked to go back to.

    Attributes:
        at_n: where each row is in the file; -1 for one that was never written.
        sum_n: the CRC-32 of each.
        held_kn: where they were in this snapshot and in those before it that are kept.
    """

    at_n: Rows
    sum_n: Sums
    held_kn: Rows


@final
class ShardFile:
    """The rows of one shard.

    Args:
        path: of the file; made if absent.
        rows: n.
        row_bytes: R.
        kept_snapshots: how many of the newest snapshots stay whole.
    """

    def __init__(self, path: Path, *, rows: int, row_bytes: int, kept_snapshots: int) -> None:
        self.path = path
        self._row_bytes = row_bytes
        self._kept = kept_snapshots
        self._places = rows * (kept_snapshots + 1)
        self.at_n: Rows = np.full(rows, _NOWHERE, np.int32)
        self.sum_n: Sums = np.zeros(rows, np.uint32)
        self.held_kn: list[Rows] = []
        self._whole: set[str] = set()
        self._open()
        self._find_free()
        self._unsynced = False

    def _open(self) -> None:
        with raise_on_disk_full(self.path):
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            size = self._places * self._row_bytes
            self._was_whole = os.fstat(self._file).st_size == size
            os.ftruncate(self._file, size)
        word = word_of(self._row_bytes)
        self._mapped_cR = torch.empty(0, self._row_bytes // word.itemsize, dtype=word)
        if size:
            mapped = mmap.mmap(self._file, size)
            self._mapped_cR = torch.frombuffer(mapped, dtype=word).view(self._places, -1)

    def _find_free(self) -> None:
        """Which places no snapshot and no present row takes, in the order of the file."""
        taken_c = np.zeros(self._places, bool)
        for at_n in (*self.held_kn, self.at_n):
            taken_c[at_n[at_n >= 0]] = True
        self._free: Rows = np.flatnonzero(~taken_c).astype(np.int32)
        self._next_free = 0
        # Whether the present version of a row is a snapshot's too, or there is none.
        self._fixed_n = np.ones(len(self.at_n), bool)

    def prefetch(self, place: Tensor) -> None:
        """Let the disk begin to fetch the rows at places (B,), int64, all at once."""
        if not hasattr(os, "posix_fadvise"):  # macOS
            return
        for at in self.at_n[place.numpy()].tolist():  # a call an image, of a microsecond
            os.posix_fadvise(
                self._file, at * self._row_bytes, self._row_bytes, os.POSIX_FADV_WILLNEED
            )

    def read(self, place: Tensor) -> Tensor:
        """Rows (B, R), uint8, at places (B,), int64; each was written before.

        Raises:
            EstimatesLost: if the file no longer holds what was written.
        """
        rows_BR, damaged = self._look(place)
        if damaged:
            raise self._lost(damaged)
        return rows_BR

    def _look(self, place: Tensor) -> tuple[Tensor, int]:
        """Rows (B, R), uint8, and how many of them are not what was written."""
        place_B = place.numpy()
        index_B = torch.from_numpy(self.at_n[place_B].astype(np.int64))
        rows_BR = self._mapped_cR.index_select(0, index_B).view(torch.uint8)
        return rows_BR, int((_sums_of(rows_BR) != self.sum_n[place_B]).sum())

    def _lost(self, damaged: int) -> EstimatesLost:
        return EstimatesLost(
            f"{self.path.name} no longer holds {counted(damaged, 'estimate')} as written",
            where=str(self.path),
            remedy="check the disk, and give the same command again: it resumes from the "
            "newest checkpoint whose estimates are intact",
        )

    def verify(self) -> Iterator[int]:
        """Read all rows that were written, in the file's order; yields how many at a time.

        Raises:
            EstimatesLost: at the end, if the file no longer holds what was written.
        """
        order_n = np.argsort(self.at_n, kind="stable")
        written = torch.from_numpy(order_n[self.at_n[order_n] >= 0])
        damaged = 0
        self.prefetch(written[:_VERIFY_CHUNK_ROWS])
        for first in range(0, len(written), _VERIFY_CHUNK_ROWS):
            end = first + _VERIFY_CHUNK_ROWS
            self.prefetch(written[end : end + _VERIFY_CHUNK_ROWS])
            damaged += self._look(written[first:end])[1]
            yield len(written[first:end])
        if damaged:
            raise self._lost(damaged)

    def write(self, place: Tensor, *, rows: Tensor) -> None:
        """Replace rows at distinct places (B,), int64, by (B, R), uint8, contiguous.

        Raises:
            EnvironmentProblem: if there is no space; the snapshots stay whole.
        """
        place_B = place.numpy()
        fixed_B = self._fixed_n[place_B]
        at_B = self.at_n[place_B]
        new = int(fixed_B.sum())
        at_B[fixed_B] = self._free[self._next_free : self._next_free + new]
        with raise_on_disk_full(self.path):
            self._put(at_B, rows=rows.numpy())
        self._next_free += new
        self.at_n[place_B] = at_B
        self.sum_n[place_B] = _sums_of(rows)
        self._fixed_n[place_B] = False
        self._unsynced = True

    def _put(self, at_B: Rows, *, rows: npt.NDArray[np.uint8]) -> None:
        ends = np.flatnonzero(np.diff(at_B) != 1) + 1
        for first, end in zip([0, *ends.tolist()], [*ends.tolist(), len(at_B)], strict=True):
            left = rows[first:end].data.cast("B")
            offset = int(at_B[first]) * self._row_bytes
            while left:
                done = os.pwrite(self._file, left, offset)
                left, offset = left[done:], offset + done

    def flush(self) -> None:
        """Wait until everything written is on the disk."""
        if self._unsynced:
            with raise_on_disk_full(self.path):
                # macOS has no fdatasync.
                getattr(os, "fdatasync", os.fsync)(self._file)
            self._unsynced = False

    def snapshot(self) -> Snapshot:
        """Hold on to the rows as they are, and let go of the oldest snapshot."""
        at_n = self.at_n.copy()
        self.held_kn = [*self.held_kn, at_n][-self._kept :]
        self._whole.add(name_of(at_n))
        self._find_free()
        self._note_held()
        self._was_whole = True
        return Snapshot(at_n=at_n, sum_n=self.sum_n.copy(), held_kn=np.stack(self.held_kn))

    def _note_held(self) -> None:
        # Before any other is overwritten.
        names = [name for at_n in self.held_kn if (name := name_of(at_n)) in self._whole]
        atomic_write_text(self._note, json.dumps({"can_return_to": names}) + "\n")

    @property
    def _note(self) -> Path:
        return self.path.with_suffix(".json")

    def _named(self) -> set[str]:
        """Names of the snapshots that are whole, as far as the note can be read."""
        try:
            noted = check_object(read_json(self._note), {"can_return_to": LIST})
        except (FileNotFoundError, ValueError):
            return set()
        return {name for name in noted.get("can_return_to", ()) if isinstance(name, str)}

    def restore(self, snapshot: Snapshot) -> None:
        """Return to a snapshot.

        Raises:
            EstimatesLost: if the file no longer holds its rows.
        """
        names = self._named()
        if (snapshot.at_n >= 0).any():
            if not self._was_whole:
                raise EstimatesLost(
                    f"{self.path.name} is missing, or has another size, in {self.path.parent} on "
                    f"{platform.node()}",
                    where=str(self.path),
                )
            if name_of(snapshot.at_n) not in names:
                raise EstimatesLost(
                    f"{self.path.name} no longer holds the estimates of this checkpoint",
                    where=str(self.path),
                )
        self.at_n, self.sum_n = snapshot.at_n.copy(), snapshot.sum_n.copy()
        # Those before it may have been overwritten since by a run that had gone further.  Their
        # places stay taken, so that rows go where they went in that run: the files end equal.
        self.held_kn = [row.copy() for row in snapshot.held_kn]
        self._whole = names
        self._find_free()
        self._note_held()

    def close(self) -> None:
        self._mapped_cR = self._mapped_cR[:0].clone()
        os.close(self._file)
