"""Checkpoints: complete or absent, checksummed, loaded without pickle.

A checkpoint is a folder `step-00000900` of safetensors files, one for each group of tensors, with
`state.json` (numbers and words) and `manifest.json` (size and SHA-256 of every other file).  It is
filled under another name, synced, and then renamed.

The first process of a run writes what all have alike; each one writes the group that is its own.
"""

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, final

import torch
from attrs import frozen
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from dddm.errors import DataError
from dddm.support.files import (
    atomic_directory,
    raise_on_disk_full,
    sha256_of,
    sync_file,
    temporary_path,
)
from dddm.support.json_files import check_object, read_json
from dddm.support.single_thread_executor import single_thread_executor
from dddm.support.state_dict import first_mismatch, one_line
from dddm.training.processes import ALONE, Processes

Groups = Mapping[str, Mapping[str, Tensor]]
Manifest = dict[str, dict[str, Any]]

HALVES: Final = {"float16": torch.float16, "bfloat16": torch.bfloat16}
"""Types in which `export` stores float32."""
MEMORY: Final = "memory-"
"""Groups whose names begin so hold rows of target stores: one of each process for each field."""
_FORMAT = 3
_STATE = "state.json"
_MANIFEST = "manifest.json"


@final
@frozen(kw_only=True)
class Checkpoint:
    """A checkpoint on the disk, found whole.

    Attributes:
        step: optimizer steps done.
        files: of the groups of tensors, by name.
        state: what else was saved.
        sha256: of the manifest, which holds the checksums of all else.
    """

    folder: Path
    step: int
    files: Mapping[str, Path]
    state: Mapping[str, Any]
    sha256: str

    def load(self, group: str, *, like: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """The tensors of a group, from the disk.

        Args:
            like: what they are loaded into: the same names, shapes and types, and finite numbers.

        Raises:
            DataError: if the file is missing or damaged.
            ValueError: if the tensors are not like those.
        """
        if group not in self.files:
            raise damaged(self.folder / f"{group}.safetensors", "it is missing")
        path = self.files[group]
        try:
            tensors: dict[str, Tensor] = load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise damaged(path, f"it cannot be read: {one_line(error)}") from error
        if like is not None:
            tensors = self._widened(tensors, like)
            mismatch = first_mismatch(tensors, like, dtypes=True)
            if mismatch is not None:
                raise ValueError(f"in {path.name} {mismatch}")
            for name, tensor in tensors.items():
                if not bool(torch.isfinite(tensor).all()):
                    raise damaged(path, f"numbers of {name} are infinite or not a number")
        return tensors

    @property
    def origin(self) -> Mapping[str, Any]:
        """What a portable run's weights are taken from: see `export`; empty in others."""
        origin = self.state.get("exported")
        return origin if isinstance(origin, dict) else {}

    def _widened(
        self, tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Tensors that were exported in half the bytes, in the type that they are computed in."""
        half = HALVES.get(str(self.origin.get("precision")))
        return {
            name: tensor.to(like[name].dtype) if name in like and tensor.dtype == half else tensor
            for name, tensor in tensors.items()
        }


@final
@frozen(kw_only=True)
class LatestCheckpoint:
    """The newest whole checkpoint, and what was wrong with newer ones.

    Attributes:
        checkpoint: None where there is none at all.
        damaged: one sentence for each newer checkpoint that could not be used.
    """

    checkpoint: Checkpoint | None
    damaged: tuple[str, ...]


def save(
    folder: Path,
    *,
    step: int,
    groups: Groups,
    state: Mapping[str, Any],
    own: Groups | None = None,
    processes: Processes = ALONE,
) -> Path:
    """Save a checkpoint of `step` under `folder` and return its folder; all processes call it.

    A whole checkpoint of the same step is left as it is; a damaged one is replaced.

    Args:
        groups: what all processes have alike; written by the first.
        own: what this process alone has, under names that no other uses.

    Raises:
        EnvironmentProblem: without space or the right to write; checkpoints before stay whole.
    """
    path = path_of(folder, step=step)
    if _is_whole(path, processes=processes):
        return path
    with contextlib.ExitStack() as stack:
        # The others fill the folder that the first has made and will rename.
        aside = (
            stack.enter_context(atomic_directory(path)) if processes.main else temporary_path(path)
        )
        processes.barrier()
        written: Manifest = {}
        for name, tensors in [*(own or {}).items(), *(groups.items() if processes.main else ())]:
            file = aside / f"{name}.safetensors"
            with raise_on_disk_full(file):
                _save_group(file, tensors)
                sync_file(file)
            written |= _facts(file)
        # Each hashes what it wrote: the first one would read the estimates of all others again.
        manifests = processes.gather(written)
        if processes.main:
            _write_json(aside / _STATE, {"format": _FORMAT, "step": step, **state})
            manifests.append(_facts(aside / _STATE))
            files = {name: facts for each in manifests for name, facts in each.items()}
            _write_json(aside / _MANIFEST, dict(sorted(files.items())))
    processes.barrier()
    return path


def export(found: Checkpoint, folder: Path, *, precision: str) -> Path:
    """Save the averaged weights of a checkpoint alone, under `folder`; the new one's folder.

    Nothing can be resumed from it.  Its state says under `exported` which checkpoint it was taken
    from, by SHA-256, and the type that numbers are stored in.

    Args:
        precision: `float32`, which is as they are, or a type of `HALVES`.

    Raises:
        DataError: if a weight is too large for that type.
    """
    weights = found.load("ema")
    half = HALVES.get(precision)
    if half is not None:
        weights = {
            name: tensor.to(half) if tensor.dtype == torch.float32 else tensor
            for name, tensor in weights.items()
        }
        for name, tensor in weights.items():
            if not bool(torch.isfinite(tensor).all()):
                raise DataError(
                    f"numbers of {name} are too large for {precision}",
                    where=str(found.folder),
                    remedy="export them in bfloat16 or float32",
                )
    origin = {"sha256": found.sha256, "precision": precision}
    return save(
        folder,
        step=found.step,
        groups={"ema": weights},
        state={
            "exported": {**origin, **found.origin},
            "versions": found.state.get("versions", {}),
        },
    )


def _is_whole(path: Path, *, processes: Processes) -> bool:
    """Whether the checkpoint is there and whole; what is left of a damaged one is removed."""
    if not processes.from_main(path.exists):
        return False
    try:
        read(path, processes=processes)
    except DataError:
        if processes.main:
            shutil.rmtree(path)
        return False
    return True


def _save_group(path: Path, tensors: Mapping[str, Tensor]) -> None:
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(contiguous, path)
    except SafetensorError as error:
        # safetensors wraps the operating system's error in words; give it back its number.
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), str(error)) from error


def _write_json(path: Path, contents: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(contents, indent=1) + "\n", encoding="utf-8")


def _facts(path: Path) -> Manifest:
    return {path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)}}


def size_bytes(checkpoint: Path) -> int:
    """Bytes of all files of a checkpoint."""
    return sum(path.stat().st_size for path in checkpoint.iterdir())


def list_checkpoints(folder: Path) -> list[Path]:
    """Folders of checkpoints under `folder`, the newest first; whole or not."""
    return sorted(folder.glob("step-" + "[0-9]" * 8), reverse=True)


def path_of(folder: Path, *, step: int) -> Path:
    """The folder of the checkpoint of a step."""
    return folder / f"step-{step:08d}"


def step_of(path: Path) -> int:
    """The step that the folder of a checkpoint is named after."""
    return int(path.name.removeprefix("step-"))


def read(path: Path, *, memory: bool = True, processes: Processes = ALONE) -> Checkpoint:
    """Read one checkpoint and verify it whole; all processes call it, each for some of the files.

    Args:
        memory: False to leave out the rows of target stores, by far the most of it, unverified.

    Raises:
        DataError: in all processes, if a file is missing, cut short or changed.
    """
    found: Checkpoint | DataError
    try:
        found = _read_share(path, memory=memory, rank=processes.rank, count=processes.count)
    except DataError as error:
        found = error
    for wrong in processes.gather(found if isinstance(found, DataError) else None):
        if wrong is not None:
            raise wrong
    assert isinstance(found, Checkpoint)
    return found


def _read_share(path: Path, *, memory: bool, rank: int, count: int) -> Checkpoint:
    """Read a checkpoint, and compare every `count`-th file with its checksum."""
    manifest = _read_json(path / _MANIFEST)
    for name, facts in manifest.items():
        if Path(name).name != name or not isinstance(facts, dict):
            raise damaged(path / _MANIFEST, f"it names {name!r}, which leads elsewhere")
    # First the rows of all processes, so that one that resumes reads what it has verified.
    rows = [name for name in manifest if name.startswith(MEMORY)] if memory else []
    rest = [name for name in manifest if not name.startswith(MEMORY)]
    for name in [*rows, *rest][rank::count]:
        facts = manifest[name]
        _verify_file(path / name, size=facts.get("bytes"), sha256=facts.get("sha256"))
    if _STATE not in manifest:
        raise damaged(path / _MANIFEST, f"it does not name {_STATE}")
    state = _read_json(path / _STATE)
    if state.get("format") != _FORMAT:
        raise damaged(path / _STATE, f"its format is {state.get('format')!r}, not {_FORMAT}")
    if state.get("step") != step_of(path):
        raise damaged(path / _STATE, f"its step is {state.get('step')!r}")
    return Checkpoint(
        folder=path,
        step=step_of(path),
        files={Path(name).stem: path / name for name in manifest if name.endswith(".safetensors")},
        state=state,
        sha256=sha256_of(path / _MANIFEST),
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return check_object(read_json(path), {})
    except FileNotFoundError:
        raise damaged(path, "it is missing") from None
    except ValueError as error:
        raise damaged(path, f"it cannot be read: {error}") from error


def _verify_file(path: Path, *, size: object, sha256: object) -> None:
    if not path.is_file():  # links, as of the Hub's cache, are followed: what counts is the hash
        raise damaged(path, "it is missing")
    if path.stat().st_size != size:
        raise damaged(path, f"it has {path.stat().st_size} bytes instead of {size}")
    if sha256_of(path) != sha256:
        raise damaged(path, "its SHA-256 is not the one that was saved")


def damaged(path: Path, how: str) -> DataError:
    """The error for a file of a checkpoint."""
    return DataError(
        f"{path.name} of checkpoint {path.parent.name} is damaged: {how}",
        where=str(path),
        remedy=f"restore it from a copy, or remove the folder {path.parent}: the checkpoint before "
        "it is then used, and `dddm run` trains what is missing again",
    )


def find_newest(
    folder: Path,
    *,
    lost: Mapping[int, str] | None = None,
    check: Callable[[Checkpoint], None] = lambda _checkpoint: None,
    memory: bool = True,
    processes: Processes = ALONE,
) -> LatestCheckpoint:
    """The newest checkpoint that is whole; damaged ones are passed over, and named.

    Args:
        folder: of the checkpoints.
        lost: why those of some steps cannot be resumed from although they are whole.
        check: raises a DataError for a checkpoint whose state is not as it should be.
        memory: see `read`.
        processes: all of them call this, and each verifies its share.

    Raises:
        DataError: if there are checkpoints and none of them is whole.
    """
    lost = lost or {}
    unusable: list[str] = []
    for path in processes.from_main(lambda: list_checkpoints(folder)):
        if step_of(path) in lost:
            unusable.append(f"checkpoint {path.name} lacks its estimates: {lost[step_of(path)]}")
            continue
        try:
            found = read(path, memory=memory, processes=processes)
            check(found)
            return LatestCheckpoint(checkpoint=found, damaged=tuple(unusable))
        except DataError as error:
            unusable.append(error.what)
    if unusable:
        raise DataError(
            "no checkpoint of this run can be resumed from: " + "; ".join(unusable),
            where=str(folder),
            remedy="restore the folder from a copy, or train again in another one with --folder",
        )
    return LatestCheckpoint(checkpoint=None, damaged=())


def prune_checkpoints(folder: Path, *, count: int, every_steps: int | None = None) -> None:
    """Remove all but the newest `count` checkpoints, and those at multiples of `every_steps`."""
    with raise_on_disk_full(folder):
        for path in list_checkpoints(folder)[count:]:
            if every_steps is not None and step_of(path) % every_steps == 0:
                continue
            remove(path)


def remove_leftovers(folder: Path) -> None:
    """Remove what a process that was killed left of checkpoints that it made or removed."""
    for pattern in (".step-*.leaving", ".step-*.part"):
        for left in folder.glob(pattern):
            shutil.rmtree(left, ignore_errors=True)


def remove(path: Path) -> None:
    """Remove a checkpoint."""
    # Renamed first, so that a crash in between leaves nothing that looks like a checkpoint.
    leaving = path.with_name(f".{path.name}.leaving")
    path.rename(leaving)
    shutil.rmtree(leaving)


@final
@frozen(kw_only=True)
class Saved:
    """A checkpoint that is complete.

    Attributes:
        seconds: from the step that it was asked for to the last byte.
        stalled_seconds: how many of them training waited.
    """

    step: int
    folder: Path
    size_bytes: int
    seconds: float
    stalled_seconds: float


@final
class Saver:
    """Does one piece of work at a time beside training.

    Args:
        processes: of the run; all make their savers at once.
    """

    def __init__(self, processes: Processes) -> None:
        self.processes = processes.apart()
        self._thread = single_thread_executor("dddm-saver")
        self._work: Future[Saved] | None = None

    def begin(self, write: Callable[[], Saved]) -> None:
        """Start writing; the previous write has finished."""
        assert self._work is None
        self._work = self._thread.submit(write)

    def finished(self) -> Saved | None:
        """What has become complete since this was last asked.

        Raises:
            DddmError: whatever went wrong with it.
        """
        return self.wait() if self._work is not None and self._work.done() else None

    def wait(self) -> Saved | None:
        """The same, after waiting for what is on its way.

        Raises:
            DddmError: whatever went wrong with it.
        """
        work, self._work = self._work, None
        return None if work is None else work.result()

    def close(self) -> None:
        # Training ends with an error of its own, or has waited before.
        with suppress(Exception):
            self.wait()
        self._thread.shutdown(wait=True)
