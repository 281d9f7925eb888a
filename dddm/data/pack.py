"""Pack a source of images into a folder, once, and verify such a folder.  Imports no torch.

While it is filled the folder is called `.<name>.part` and keeps a list of finished chunks, so that
interrupted packing resumes.  It takes its name when all images and the manifest are on disk.
"""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, final

import attrs
import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from dddm.data.packed_format import (
    FORMAT,
    MANIFEST,
    PackedFile,
    PackedManifest,
    PackedSplitInfo,
    images_file,
    images_files,
    images_in_file,
    labels_file,
    read_manifest,
)
from dddm.data.source import Chunk, LeftOut, PackPlan, PackSource, emptied
from dddm.data.workers import Count, ImageCounter, map_chunks
from dddm.errors import DataError, EnvironmentProblem
from dddm.interfaces.data_report import Problem, ProgressCallback
from dddm.support.cache import key_of
from dddm.support.files import (
    atomic_write_text,
    is_file,
    path_exists,
    raise_on_disk_full,
    sync_file,
    sync_folder,
    temporary_path,
)
from dddm.support.manifest import manifest_of_bytes

_PIECE_BYTES: Final = 1 << 22
_ROWS_AT_ONCE: Final = 256
_WAIT_SECONDS: Final = 0.2
_SPARE_BYTES: Final = 1 << 20
_PROGRESS: Final = "finished.jsonl"


def identity_key(source: PackSource) -> str:
    """SHA-256 that changes with any file, option or format.

    Raises:
        DataError: if the source is missing.
    """
    return key_of({"format": FORMAT, "source": source.identity()})


def pack(
    source: PackSource, *, folder: Path, key: str, workers: int, progress: ProgressCallback
) -> None:
    """Pack `source` into `folder`, unless it exists; safe to call from several processes.

    Args:
        key: `identity_key` of the source.
        workers: number of processes that decode.

    Raises:
        DataError: if an image cannot be used.
        EnvironmentProblem: if there is no space or no write permission.
    """
    with raise_on_disk_full(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with _exclusive(folder, progress=progress):
        if path_exists(folder):
            return
        plan = source.plan()
        part = temporary_path(folder)
        with raise_on_disk_full(part):
            written = _resume(part, plan, key=key) or _start(part, plan, key=key)
        _write_chunks(source, plan, part=part, written=written, workers=workers, progress=progress)
        notes = Counter(plan.notes)
        for chunk in written.values():
            notes.update(chunk.notes)
        left_out = sorted(line for chunk in written.values() for line in chunk.left_out)
        with raise_on_disk_full(part):
            splits = _without(left_out, part=part, plan=plan)
        counter = ImageCounter("computing checksums", sum(splits.values()), progress)
        manifest = PackedManifest(
            format=FORMAT,
            key=key,
            shape=plan.shape,
            classes=plan.classes,
            splits={
                split: _checksum_split(
                    part,
                    split,
                    (images, *plan.shape.as_tuple),
                    plan.classes,
                    in_file=min(images_in_file(plan.shape), images),
                    counter=counter,
                )
                for split, images in splits.items()
            },
            source={
                **source.provenance(),
                "notes": dict(notes),
                **({"left_out": left_out} if left_out else {}),
            },
        )
        with raise_on_disk_full(folder):
            (part / MANIFEST).write_text(manifest.to_text(), encoding="utf-8")
            sync_file(part / MANIFEST)
            (part / _PROGRESS).unlink(missing_ok=True)
            sync_folder(part)
            part.rename(folder)
            sync_folder(folder.parent)


@contextmanager
def _exclusive(folder: Path, *, progress: ProgressCallback) -> Iterator[None]:
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


def _as_tuples(lines: Sequence[Sequence[Any]]) -> Sequence[tuple[Any, ...]]:
    return tuple(map(tuple, lines))


@final
@frozen(kw_only=True)
class _Written:
    """What is noted of a chunk on disk.

    Attributes:
        notes: counts of conversions.
        left_out: split, row, place and damage of each image that was left out.
    """

    notes: Mapping[str, int]
    left_out: Sequence[tuple[Any, ...]] = field(converter=_as_tuples)  # JSON makes lists of them


def _without(left_out: Sequence[Sequence[Any]], *, part: Path, plan: PackPlan) -> Mapping[str, int]:
    """Remove the rows of images that were left out; returns the number of images of each split.

    All arrays are written anew, and then replaced: an interruption from there on is noticed by the
    absence of the list of finished chunks, and everything is packed again.

    Raises:
        DataError: if no image of a split, or of a class, is left.
    """
    splits = dict(plan.splits)
    for split in dict.fromkeys(line[0] for line in left_out):
        images = splits[split]
        kept = np.delete(np.arange(images), [row for s, row, *_ in left_out if s == split])
        splits[split] = len(kept)
        empty: list[str] = []
        if plan.classes:
            labels = np.load(part / labels_file(split), allow_pickle=False)[kept]
            counts = np.bincount(labels, minlength=len(plan.classes))
            empty = [plan.classes[label] for label in np.flatnonzero(counts == 0)]
        problem = emptied(split, images=len(kept), empty_classes=empty)
        if problem is not None:
            raise DataError(problem.what, where=str(part), remedy=problem.remedy)
        before, after = _files_of(split, images, plan), _files_of(split, len(kept), plan)
        _keep(kept, part=part, before=before, after=after)
        labels = {labels_file(split): images} if plan.classes else {}
        if labels:
            _keep(kept, part=part, before=labels, after=dict.fromkeys(labels, len(kept)))
        (part / _PROGRESS).unlink(missing_ok=True)
        for name in (*before, *labels):
            shorter = part / f"{name}.shorter"
            if shorter.exists():
                shorter.replace(part / name)
            else:
                (part / name).unlink()
    return splits


def _keep(
    kept: npt.NDArray[np.int64], *, part: Path, before: Mapping[str, int], after: Mapping[str, int]
) -> None:
    """Write files `*.shorter` with the kept rows of files; both are given with their lengths."""
    whole = [np.load(part / name, mmap_mode="r", allow_pickle=False) for name in before]
    in_file = len(whole[0])
    left = kept
    for name, count in after.items():
        shorter = part / f"{name}.shorter"
        array = _create(shorter, whole[0].dtype.str, (count, *whole[0].shape[1:]))
        for first in range(0, count, _ROWS_AT_ONCE):
            rows = left[first : min(first + _ROWS_AT_ONCE, count)]
            file = rows // in_file
            array[first : first + len(rows)] = np.concatenate(
                [whole[k][rows[file == k] % in_file] for k in np.unique(file)]
            )
        left = left[count:]
        array.flush()
        sync_file(shorter)


def _create(path: Path, dtype: str, shape: tuple[int, ...]) -> "np.memmap[Any, Any]":
    array: np.memmap[Any, Any] = np.lib.format.open_memmap(
        path, mode="w+", dtype=dtype, shape=shape
    )
    # Writing to a mapped page for which the disk has no block kills the process (SIGBUS).
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _files_of(split: str, images: int, plan: PackPlan) -> Mapping[str, int]:
    return images_files(split, images=images, in_file=images_in_file(plan.shape))


def _array_files(part: Path, plan: PackPlan) -> Iterator[tuple[Path, str, tuple[int, ...]]]:
    """Path, dtype and shape of each array of the folder."""
    for split, images in plan.splits.items():
        for name, count in _files_of(split, images, plan).items():
            yield part / name, "|u1", (count, *plan.shape.as_tuple)
        if plan.classes:
            yield part / labels_file(split), "<i8", (images,)


def _progress_header(plan: PackPlan, key: str) -> dict[str, Any]:
    return {
        "key": key,
        "shape": list(plan.shape.as_tuple),
        "splits": dict(plan.splits),
        "chunks": [chunk.images for chunk in plan.chunks],
    }


def _resume(part: Path, plan: PackPlan, *, key: str) -> dict[int, _Written]:
    """The chunks that interrupted packing of the same plan left on disk."""
    path = part / _PROGRESS
    try:
        # A last line without its newline was cut off by a crash.
        text, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
        header, *finished = [json.loads(line) for line in text.splitlines()]
        if header != _progress_header(plan, key):
            return {}
        for file, dtype, shape in _array_files(part, plan):
            array = np.lib.format.open_memmap(file, mode="r")
            if (array.dtype, array.shape) != (np.dtype(dtype), shape):
                return {}
        written = {line.pop("chunk"): _Written(**line) for line in finished}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    atomic_write_text(path, text + "\n")
    return written


def _start(part: Path, plan: PackPlan, *, key: str) -> dict[int, _Written]:
    """Create the arrays at their full size, so that a full disk is noticed at once.

    Raises:
        EnvironmentProblem: if there is no space.
    """
    shutil.rmtree(part, ignore_errors=True)
    images = sum(plan.splits.values())
    needed = images * (plan.shape.values + (8 if plan.classes else 0)) + _SPARE_BYTES
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise EnvironmentProblem(
            f"no space left on the device: {images:,} images of {plan.shape} take "
            f"{needed / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free",
            where=str(part.parent),
            remedy="free some space, or choose a folder on another disk: the data set's option "
            "`packed`, or the environment variable DDDM_CACHE",
        )
    part.mkdir()
    for path, dtype, shape in _array_files(part, plan):
        _create(path, dtype, shape)
    _append_line(part / _PROGRESS, _progress_header(plan, key))
    return {}


def _append_line(path: Path, values: Mapping[str, Any]) -> None:
    with raise_on_disk_full(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(values) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _write_chunks(
    source: PackSource,
    plan: PackPlan,
    *,
    part: Path,
    written: dict[int, _Written],
    workers: int,
    progress: ProgressCallback,
) -> None:
    """Write the chunks that are not in `written` yet, and add them to it."""
    left = {n: chunk for n, chunk in enumerate(plan.chunks) if n not in written}
    total = sum(plan.splits.values())
    counter = ImageCounter("packing", total, progress)
    counter.set(total - sum(chunk.images for chunk in left.values()))
    work = _WriteChunk(source=source, folder=part, in_file=images_in_file(plan.shape))
    for number, result in map_chunks(work, left, workers=workers, counter=counter):
        if isinstance(result, Problem):
            raise source.packing_error(plan, result)
        _append_line(part / _PROGRESS, {"chunk": number, **attrs.asdict(result)})
        written[number] = result


@final
@frozen(kw_only=True)
class _WriteChunk:
    """Decodes a chunk into the mapped arrays of `folder`; returns its first problem, if any."""

    source: PackSource
    folder: Path
    in_file: int

    def __call__(self, chunk: Chunk, count: Count) -> _Written | Problem:
        notes: Counter[str] = Counter()
        left_out: list[Sequence[Any]] = []
        arrays: dict[str, np.memmap[Any, Any]] = {}

        def write(file: str, rows: npt.NDArray[np.int64], values: npt.NDArray[Any]) -> None:
            if file not in arrays:
                with raise_on_disk_full(self.folder / file):
                    arrays[file] = np.load(self.folder / file, mmap_mode="r+", allow_pickle=False)
            arrays[file][rows] = values

        images = 0
        for decoded in self.source.decode(chunk):
            if isinstance(decoded, Problem):
                return decoded
            if isinstance(decoded, LeftOut):
                problem = decoded.problem
                left_out.append((decoded.split, decoded.row, problem.where, problem.what))
                count(1)
                continue
            number_n = decoded.rows // self.in_file
            for number in np.unique(number_n).tolist():
                here = number_n == number
                name = images_file(decoded.split, number)
                write(name, decoded.rows[here] % self.in_file, decoded.images[here])
            if decoded.labels is not None:
                write(labels_file(decoded.split), decoded.rows, decoded.labels)
            images += len(decoded.rows)
            notes.update(decoded.notes)
            count(len(decoded.rows))
        images += len(left_out)
        if images != chunk.images:
            raise DataError(
                f"{images} images were found where {chunk.images} were announced",
                remedy="the files changed while they were read; run the same command again",
            )
        with raise_on_disk_full(self.folder):
            for array in arrays.values():
                array.flush()
        return _Written(notes=dict(notes), left_out=left_out)


def _checksum_split(
    folder: Path,
    split: str,
    shape: tuple[int, ...],
    classes: tuple[str, ...],
    *,
    in_file: int,
    counter: ImageCounter,
) -> PackedSplitInfo:
    """Read a split's files once; compute their checksums and the split's manifest."""
    files: dict[str, PackedFile] = {}
    labels: bytes | None = None
    if classes:
        path = folder / labels_file(split)
        data = path.read_bytes()
        labels = data[-8 * shape[0] :] if shape[0] else b""
        files[path.name] = PackedFile(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    image_bytes = int(np.prod(shape[1:]))

    def pieces() -> Iterator[bytes]:
        for name, count in images_files(split, images=shape[0], in_file=in_file).items():
            path, digest, done_before = folder / name, hashlib.sha256(), counter.done
            size = path.stat().st_size
            with path.open("rb") as file:
                digest.update(file.read(max(0, size - count * image_bytes)))
                while piece := file.read(_PIECE_BYTES):
                    digest.update(piece)
                    counter.set(done_before + min(count, file.tell() // image_bytes))
                    yield piece
            files[name] = PackedFile(bytes=size, sha256=digest.hexdigest())

    manifest = manifest_of_bytes(shape=shape, images=pieces(), labels=labels)
    return PackedSplitInfo(images=shape[0], images_in_file=in_file, manifest=manifest, files=files)


def verify_packed(folder: Path, *, key: str | None, progress: ProgressCallback) -> list[Problem]:
    """Recompute all checksums of a packed folder and compare them with its manifest.

    Args:
        key: `identity_key` of the source; None if the source is not available.
    """
    try:
        packed = read_manifest(folder)
    except DataError as error:
        return [Problem(what=error.what, where=error.where or str(folder), remedy=error.remedy)]
    problems: list[Problem] = []
    total = sum(split.images for split in packed.splits.values())
    counter = ImageCounter("verifying checksums", total, progress)

    def damaged(file: str, state: str) -> Problem:
        return Problem(
            what=f"the packed file {file} {state}",
            where=str(folder / file),
            remedy=f"remove {folder}; the same command packs the images again",
        )

    for name, known in packed.splits.items():
        shape = (known.images, *packed.shape.as_tuple)
        absent = [file for file in known.files if not is_file(folder / file)]
        if absent:
            problems += [damaged(file, "cannot be read") for file in absent]
            continue
        try:
            found = _checksum_split(
                folder,
                name,
                shape,
                packed.classes,
                in_file=known.images_in_file,
                counter=counter,
            )
        except OSError as error:
            problems.append(damaged(Path(error.filename or name).name, "cannot be read"))
            continue
        problems += [
            damaged(file, "has changed since it was packed")
            for file, info in known.files.items()
            if found.files[file] != info
        ]
        if found.manifest != known.manifest and not problems:
            problems.append(damaged(MANIFEST, f"does not describe the images of the split {name}"))
    if key is not None and packed.key != key:
        problems.append(
            Problem(
                what="it was packed from other files, or with other options, than the recipe names",
                where=str(folder),
                remedy="remove that folder, or choose another one for `packed`",
            )
        )
    return problems
