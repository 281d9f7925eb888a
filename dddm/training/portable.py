"""A portable run: a run folder that holds only what is worth sharing, with a list of its files.

    manifest.json                         size and SHA-256 of every other file
    README.md                             the model card
    recipe.toml, run.json, scores.json    as in any run folder
    checkpoints/step-00000900/            the averaged weights and nothing else
    samples/fixed-time-1/                 samples.npz, grid.png and manifest.json

Files of other names are neither listed nor read, so that a list from a stranger cannot lead
elsewhere.  It shows damage and files that were exchanged, not who wrote it.  Imports no torch.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, final

from attrs import asdict, frozen

from dddm.errors import DataError
from dddm.support.files import atomic_write_text, sha256_of
from dddm.support.json_files import OBJECT, TEXT, WHOLE, check_object, read_json
from dddm.support.quantities import size

MANIFEST: Final = "manifest.json"
CARD: Final = "README.md"
LARGEST_MANIFEST_BYTES: Final = 1 << 20
_FORMAT: Final = 1
_KNOWN: Final = re.compile(
    r"README\.md|recipe\.toml|run\.json|scores\.json"
    r"|checkpoints/step-[0-9]{8}/(?:state\.json|manifest\.json|ema\.safetensors)"
    r"|samples/[A-Za-z0-9][A-Za-z0-9._-]{0,99}/(?:samples\.npz|grid\.png|manifest\.json)"
)
_NEEDED: Final = ("recipe.toml", "run.json")
_MOST_FILES: Final = 1000
_LARGEST_BYTES: Final = {
    ".safetensors": 64 << 30, ".npz": 4 << 30, ".png": 64 << 20, ".json": 64 << 20,
    ".toml": 1 << 18, ".md": 1 << 20,
}  # fmt: skip


@final
@frozen(kw_only=True)
class ListedFile:
    """What a list says of a file."""

    bytes: int
    sha256: str


def write_list(folder: Path) -> None:
    """List the files of a portable run, once all are there."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    files = {
        name: asdict(ListedFile(bytes=path.stat().st_size, sha256=sha256_of(path)))
        for name in names
        if _KNOWN.fullmatch(name) and (path := folder / name).is_file()
    }
    text = json.dumps({"format": _FORMAT, "files": files}, indent=1)
    atomic_write_text(folder / MANIFEST, text + "\n")


def read_list(path: Path) -> dict[str, ListedFile]:
    """The files of a portable run by name, in `/`-separated parts.

    Args:
        path: of the list.

    Raises:
        DataError: if it is missing or damaged, names what is no file of such a run, or one that
            is too large.
    """
    try:
        contents = check_object(
            read_json(path), {"format": WHOLE, "files": OBJECT}, required=("format", "files")
        )
        if contents["format"] != _FORMAT:
            raise ValueError(f"its format is {contents['format']}, not {_FORMAT}")  # noqa: TRY301 - one remedy for all
        files = {name: _listed(name, about) for name, about in contents["files"].items()}
        if len(files) > _MOST_FILES:
            raise ValueError(f"it lists {len(files):,} files")  # noqa: TRY301 - as above
        if lacking := [name for name in _NEEDED if name not in files]:
            raise ValueError(f"it does not list {' and '.join(lacking)}")  # noqa: TRY301 - as above
    except FileNotFoundError:
        raise DataError(
            f"this is not a portable run: it has no {MANIFEST}",
            where=str(path.parent),
            remedy="write one with `dddm export RUN --format run`, or share it with `dddm push`",
        ) from None
    except ValueError as error:
        raise DataError(
            f"the list of files cannot be used: {error}",
            where=str(path),
            remedy="do not use this run; ask whoever made it to share it again with `dddm push`",
        ) from error
    return files


def _listed(name: str, about: object) -> ListedFile:
    if not _KNOWN.fullmatch(name):
        raise ValueError(f"it lists {name[:200]!r}, which is no file of a portable run")
    kinds = {"bytes": WHOLE, "sha256": TEXT}
    listed = ListedFile(**check_object(about, kinds, required=kinds))
    limit = _LARGEST_BYTES[Path(name).suffix]
    if not 0 <= listed.bytes <= limit:
        raise ValueError(f"{name} has {listed.bytes:,} bytes; at most {size(limit)} are read")
    return listed


def check_files(folder: Path, files: Mapping[str, ListedFile]) -> None:
    """Compare files with what a list says of them.

    Raises:
        DataError: for the first one that is missing or was changed.
    """
    for name, listed in files.items():
        problem = _problem(folder / name, listed)
        if problem is not None:
            raise DataError(
                f"{name} {problem}",
                where=str(folder / name),
                remedy="get the run again, from whoever made it; if it comes from the Hub, remove "
                "this folder first",
            )


def changed_files(folder: Path, files: Mapping[str, ListedFile]) -> list[str]:
    """A sentence for each file that is missing or was changed since it was listed."""
    found = ((name, _problem(folder / name, listed)) for name, listed in files.items())
    return [f"{name} {problem}" for name, problem in found if problem is not None]


def _problem(path: Path, listed: ListedFile) -> str | None:
    if not path.is_file():
        return "is missing"
    if (there := path.stat().st_size) != listed.bytes:
        return f"has {there:,} bytes instead of {listed.bytes:,}: it was changed or cut short"
    if sha256_of(path) != listed.sha256:
        return "was changed: its SHA-256 is not the one in the list"
    return None


def without_samples(names: Iterable[str]) -> list[str]:
    """Of these files, the ones that sampling needs."""
    kept = ("recipe.toml", "run.json", "checkpoints/")
    return [name for name in names if name.startswith(kept)]
