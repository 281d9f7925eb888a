"""Where the files of a well-known data set are searched.  Imports no torch."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from dddm.errors import DataError
from dddm.support.files import user_path

DATA_VARIABLE = "DDDM_DATA"
"""Environment variable: the folder that holds data sets."""


def candidates(path: str | None, *, names: Sequence[str]) -> list[Path]:
    """Folders to search, in order.

    Args:
        path: from the recipe; None to search `$DDDM_DATA` and `./data`.
        names: of subfolders that are searched too.
    """
    named = path or os.environ.get(DATA_VARIABLE)
    roots = [user_path(named)] if named else []
    if path is None:
        roots.append(Path("data").absolute())
    return [folder for root in roots for folder in (root, *(root / name for name in names))]


def not_found(what: str, *, path: str | None, names: Sequence[str], download: str) -> DataError:
    """The error for a data set that is in none of the candidates."""
    setting = (
        "correct data.path"
        if path is not None
        else f"set the environment variable {DATA_VARIABLE}, or data.path in the recipe, to the "
        "folder that holds it"
    )
    return DataError(
        f"{what} was not found",
        where=", ".join(str(folder) for folder in candidates(path, names=names)),
        remedy=f"{setting}; {download}",
    )


def file_stamps(files: Mapping[str, Path]) -> list[list[str | int]]:
    """Name, size and modification time of each file."""
    stats = {name: path.stat() for name, path in files.items()}
    return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()]
