"""Makes a packed folder from a source of images; goes on where it was interrupted.  No torch here.

While it is made the folder is called `.<name>.part` and keeps a list of finished chunks.  It takes
its name when every image is on the disk and the manifest is written.
"""

import fcntl
import hashlib
import json
import math
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, final

from attrs import frozen

from dddm.data.pack_rows import Rows, WriteChunk
from dddm.data.pack_source import PackPlan, PackSource
from dddm.data.packed_format import (
    FORMAT,
    MANIFEST,
    PackedFile,
    PackedManifest,
    PackedSplitFacts,
    images_file,
    labels_file,
)
from dddm.data.workers import Tally, over_chunks
from dddm.errors import EnvironmentProblem
from dddm.interfaces.findings import Progress
from dddm.support.cache import key_of
from dddm.support.files import atomic_write_text, raise_on_disk_full, sync_folder
from dddm.support.manifest import manifest_of_bytes

_PIECE_BYTES: Final = 1 << 22
_WAIT_SECONDS: Final = 0.2
_SPARE_BYTES: Final = 1 << 20
_PROGRESS: Final = "finished.jsonl"


def identity_key(source: PackSource) -> str:
    """SHA-256 that a changed file, option or format changes.

    Raises:
        DataError: if the source is not there.
    """
    return key_of({"format": FORMAT, "source": source.identity()})


def pack(source: PackSource, *, folder: Path, key: str, workers: int, progress: Progress) -> None:
    """Pack `source` into `folder`, which exists afterwards; several processes may call this.

    Args:
        source: of the images.
        folder: to make; nothing is done where it exists.
        key: of the source, by `identity_key`.
        workers: processes that decode.
        progress: told how many images are done.

    Raises:
        DataError: if an image cannot be used.
        EnvironmentProblem: if there is no space or no right to write.
    """
    with raise_on_disk_full(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder, progress=progress):
        if folder.exists():
            return
        plan = source.plan()
        part = _Part.open(folder, plan=plan, key=key)
        remarks = _write_chunks(source, plan, part=part, workers=workers, progress=progress)
        manifest = PackedManifest(
            format=FORMAT,
            key=key,
            shape=plan.shape,
            classes=plan.classes,
            splits=_hash_splits(plan, part.folder, progress=progress),
            source={**source.facts(), "remarks": remarks},
        )
        part.finish(folder, manifest)


@contextmanager
def _alone(folder: Path, *, progress: Progress) -> Iterator[None]:
    """Let one process of this machine at a time make `folder`."""
    lock = folder.with_name(f".{folder.name}.lock")
    with raise_on_disk_full(lock):
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                progress("waiting for another process that packs these images", 0, 0)
                time.sleep(_WAIT_SECONDS)
        yield
    finally:
        os.close(descriptor)


@final
@frozen(kw_only=True)
class _Part:
    """The folder while it is filled.

    Attributes:
        files: of each split: images, then labels where there are classes.
        finished: numbers of the chunks that are on the disk, with their remarks.
    """

    folder: Path
    files: Mapping[str, tuple[Rows, ...]]
    finished: Mapping[int, Mapping[str, int]]

    @classmethod
    def open(cls, target: Path, *, plan: PackPlan, key: str) -> "_Part":
        """What an interrupted call left behind, if it is of the same source; otherwise afresh."""
        folder = target.with_name(f".{target.name}.part")
        head = {
            "key": key,
            "shape": plan.shape.as_tuple,
            "splits": dict(plan.splits),
            "chunks": [chunk.images for chunk in plan.chunks],
        }
        lines = _read_lines(folder / _PROGRESS)
        if lines and lines[0] == json.loads(json.dumps(head)):
            files = {name: _rows(folder, name, plan, create=False) for name in plan.splits}
            if all(rows.is_whole() for split in files.values() for rows in split):
                done = {line["chunk"]: line["remarks"] for line in lines[1:]}
                atomic_write_text(folder / _PROGRESS, "".join(map(_line, lines)))
                return cls(folder=folder, files=files, finished=done)
        with raise_on_disk_full(folder):
            shutil.rmtree(folder, ignore_errors=True)
            _require_space(folder.parent, plan)
            folder.mkdir()
            files = {name: _rows(folder, name, plan, create=True) for name in plan.splits}
            _append_line(folder / _PROGRESS, head)
        return cls(folder=folder, files=files, finished={})

    def note(self, chunk: int, remarks: Mapping[str, int]) -> None:
        """Remember that a chunk is on the disk."""
        path = self.folder / _PROGRESS
        with raise_on_disk_full(path):
            _append_line(path, {"chunk": chunk, "remarks": remarks})

    def finish(self, target: Path, manifest: PackedManifest) -> None:
        """Give the folder its name."""
        with raise_on_disk_full(target):
            path = self.folder / MANIFEST
            path.write_text(manifest.to_text(), encoding="utf-8")
            with path.open("rb+") as file:
                os.fsync(file.fileno())
            (self.folder / _PROGRESS).unlink()
            sync_folder(self.folder)
            self.folder.rename(target)
            sync_folder(target.parent)


def _rows(folder: Path, split: str, plan: PackPlan, *, create: bool) -> tuple[Rows, ...]:
    count = plan.splits[split]
    make = Rows.create if create else Rows.at
    images = make(folder / images_file(split), dtype="|u1", shape=(count, *plan.shape.as_tuple))
    if not plan.classes:
        return (images,)
    return (images, make(folder / labels_file(split), dtype="<i8", shape=(count,)))


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """Lines of JSON; the last, if its end is missing, was never finished."""
    try:
        whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]
    except (OSError, ValueError):
        return []


def _line(values: Mapping[str, Any]) -> str:
    return json.dumps(values) + "\n"


def _append_line(path: Path, line: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(_line(line))
        file.flush()
        os.fsync(file.fileno())


def _require_space(folder: Path, plan: PackPlan) -> None:
    images = sum(plan.splits.values())
    needed = images * (plan.shape.values + (8 if plan.classes else 0)) + _SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise EnvironmentProblem(
            f"no space left on the device: {images:,} images of {plan.shape} take "
            f"{needed / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free",
            where=str(folder),
            remedy="free some space, or choose a folder on another disk: the data set's option "
            "`packed`, or the environment variable DDDM_CACHE",
        )


def _write_chunks(
    source: PackSource, plan: PackPlan, *, part: _Part, workers: int, progress: Progress
) -> dict[str, int]:
    remarks: Counter[str] = Counter(plan.remarks)
    for known in part.finished.values():
        remarks.update(known)
    left = {n: chunk for n, chunk in enumerate(plan.chunks) if n not in part.finished}
    total = sum(plan.splits.values())
    tally = Tally("packing", total, progress, total - sum(c.images for c in left.values()))
    tally.add(0)
    work = WriteChunk(source=source, files=part.files)
    for number, written in over_chunks(work, left, workers=workers, tally=tally):
        if written.problem is not None:
            raise source.refusal(plan, written.problem)
        part.note(number, written.remarks)
        remarks.update(written.remarks)
    return dict(remarks)


def _hash_splits(
    plan: PackPlan, folder: Path, *, progress: Progress
) -> dict[str, PackedSplitFacts]:
    total = sum(plan.splits.values())
    tally = Tally("computing checksums", total, progress)
    return {
        name: hash_split(
            folder, name, shape=(count, *plan.shape.as_tuple), classes=plan.classes, tally=tally
        )
        for name, count in plan.splits.items()
    }


def hash_split(
    folder: Path, split: str, *, shape: tuple[int, ...], classes: tuple[str, ...], tally: Tally
) -> PackedSplitFacts:
    """A split's manifest and the checksums of its files, read once."""
    names = [images_file(split), *([labels_file(split)] if classes else [])]
    rows = Rows.at(folder / names[0], dtype="|u1", shape=shape)
    digest = hashlib.sha256()
    labels: bytes | None = None
    files: dict[str, PackedFile] = {}
    if classes:
        raw = (folder / names[1]).read_bytes()
        labels = raw[-8 * shape[0] :] if shape[0] else b""
        files[names[1]] = PackedFile(bytes=len(raw), sha256=hashlib.sha256(raw).hexdigest())
    with rows.path.open("rb") as file:
        digest.update(file.read(rows.start))

        def pieces() -> Iterator[bytes]:
            image_bytes = math.prod(shape[1:])
            read = shown = 0
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
                read += len(piece)
                tally.add(read // image_bytes - shown)
                shown = read // image_bytes
                yield piece

        manifest = manifest_of_bytes(shape=shape, images=pieces(), labels=labels)
    files[names[0]] = PackedFile(bytes=rows.path.stat().st_size, sha256=digest.hexdigest())
    return PackedSplitFacts(images=shape[0], manifest=manifest, files=files)
