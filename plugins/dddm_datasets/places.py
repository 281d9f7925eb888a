"""Where files of a well-known data set are looked for.  Imports no torch."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from dddm.errors import DataError

DATA_VARIABLE = "DDDM_DATA"
"""Environment variable: the folder that holds data sets."""


def find_folder(
    path: str | None, *, names: Sequence[str], holds: Callable[[Path], bool]
) -> Path | None:
    """The first folder for which `holds` is true.

    Args:
        path: that the recipe gives; None to look in `$DDDM_DATA` and `./data`.
        names: of the folder inside these; the places themselves are looked at too.
        holds: whether a folder is the right one.
    """
    return next((folder for folder in candidates(path, names=names) if holds(folder)), None)


def candidates(path: str | None, *, names: Sequence[str]) -> list[Path]:
    """Folders in the order in which they are looked at."""
    if path is not None:
        roots = [Path(path).expanduser().absolute()]
    else:
        named = os.environ.get(DATA_VARIABLE)
        roots = [Path(named).expanduser().absolute()] if named else []
        roots.append(Path("data").absolute())
    return [folder for root in roots for folder in (root, *(root / name for name in names))]


def not_found(what: str, *, path: str | None, names: Sequence[str], get: str) -> DataError:
    """The error for a data set that is in none of these places.

    Args:
        what: the data set and the files that are looked for.
        path: that the recipe gives.
        names: as for `find_folder`.
        get: where the files can be had.
    """
    looked = ", ".join(str(folder) for folder in candidates(path, names=names))
    setting = (
        "correct data.path"
        if path is not None
        else f"set the environment variable {DATA_VARIABLE}, or data.path in the recipe, to the "
        "folder that holds it"
    )
    return DataError(f"{what} was not found", where=looked, remedy=f"{setting}; {get}")
