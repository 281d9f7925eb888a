"""Files of weights: where they are searched for, and their verification.

Weights decide what a loss or a score means, so size and SHA-256 are compared with the declared ones
at every use.  Nothing is downloaded here: `dddm.support.download` does that, only when the user
asks.  Imports no torch.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import final

from attrs import frozen

from dddm.errors import DataError, DddmError, EnvironmentProblem
from dddm.support.files import sha256_of, user_path

FOLDERS_VARIABLE = "DDDM_WEIGHTS"
"""Environment variable: one folder of weights or several, separated as in PATH."""


@final
@frozen(kw_only=True)
class WeightFile:
    """A file of weights that a component needs and that its package does not contain.

    Attributes:
        url: of the file itself; of a page about it where it must be made `instructions`.
        sha256: in hexadecimal.
        instructions: how to make it from what is at `url`; None where `url` is the file itself.
    """

    name: str
    url: str
    size_bytes: int
    sha256: str
    instructions: str | None = None


def search_folders() -> tuple[Path, ...]:
    """Where weights are searched for, in order: `$DDDM_WEIGHTS`, then torch's hub cache."""
    named = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    return (*(user_path(folder) for folder in named if folder), _torch_hub_folder())


def _torch_hub_folder() -> Path:
    """As `torch.hub` computes it, without importing torch; relative if there is no home folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or str(Path(cache) / "torch")
    return Path(os.path.expanduser(home)) / "hub" / "checkpoints"  # noqa: PTH111 - never raises


def paths_of(file: WeightFile, *, also_in: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Every file of this name in the search folders, verified or not, in their order."""
    paths = (folder / file.name for folder in (*search_folders(), *also_in))
    return tuple(path for path in paths if path.is_file())


def find_weights(file: WeightFile, *, also_in: Sequence[Path] = (), by_size: bool = False) -> Path:
    """The first file of this name in the search folders with the right size and SHA-256.

    Args:
        also_in: folders that are searched last.
        by_size: whether to compare its size alone, which takes no time.

    Raises:
        DataError: if it is missing, or the first one has the wrong size or hash; with URL,
            SHA-256, size and where to put the file.
        EnvironmentProblem: if a file of this name cannot be read.
    """
    wrong: DddmError | None = None
    for path in paths_of(file, also_in=also_in):
        try:
            verify(path, file=file, by_size=by_size)
        except DataError as error:
            wrong = wrong or error
        else:
            return path
    raise wrong or _missing(file)


def _missing(file: WeightFile) -> DataError:
    folders = search_folders()
    return DataError(
        f"the weights {file.name} were not found; expected: {describe(file)}",
        where=", ".join(str(folder) for folder in folders),
        remedy=f"{_way_to(file)}, or put the file at {folders[0] / file.name}",
    )


def _way_to(file: WeightFile) -> str:
    return file.instructions or f"`dddm weights fetch {file.name}`"


def describe(file: WeightFile) -> str:
    """Size, SHA-256 and URL, in one line."""
    return f"{file.size_bytes:,} bytes, SHA-256 {file.sha256}, from {file.url}"


def verify(path: Path, *, file: WeightFile, by_size: bool = False) -> None:
    """Compare the file at `path` with what is declared of it: its size first, then its hash.

    Args:
        by_size: whether to leave out the hash.

    Raises:
        DataError: if it is of another size or has another SHA-256.
        EnvironmentProblem: if it cannot be read.
    """
    remedy = f"remove it, then {_way_to(file)}, or put the right file in its place"
    size_bytes = path.stat().st_size
    if size_bytes != file.size_bytes:
        raise DataError(
            f"the weights {file.name} have the wrong size, {size_bytes:,} bytes; "
            f"expected: {describe(file)}",
            where=str(path),
            remedy=remedy,
        )
    if not by_size:
        verify_hash(path, sha256=file.sha256, remedy=remedy, source=file.url)


def verify_hash(path: Path, *, sha256: str, remedy: str, source: str | None = None) -> None:
    """Compare a file's SHA-256 with the one it should have.

    Args:
        path: of the file.
        sha256: that it should have, in hexadecimal, of either case.
        remedy: what to do if it has another.
        source: URL of the right file, for the message; None if unknown.

    Raises:
        DataError: if it has another SHA-256.
        EnvironmentProblem: if it cannot be read.
    """
    try:
        found = sha256_of(path)
    except OSError as error:
        raise EnvironmentProblem(
            f"the weights {path.name} cannot be read: {error.strerror}",
            where=str(path),
            remedy="make it readable",
        ) from error
    if found != sha256.lower():
        origin = "" if source is None else f", from {source}"
        raise DataError(
            f"the weights {path.name} have the wrong hash, SHA-256 {found}; "
            f"expected {sha256.lower()} ({path.stat().st_size:,} bytes{origin})",
            where=str(path),
            remedy=remedy,
        )
