"""One run at a time in a run folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dddm.errors import EnvironmentProblem
from dddm.support.files import raise_on_disk_full

_FILE: Final = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder within the block; the lock goes with the process.

    Raises:
        EnvironmentProblem: if another run is at work in it.
    """
    file = folder / _FILE
    with raise_on_disk_full(file):
        opened = file.open("w", encoding="ascii")
    with opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EnvironmentProblem(
                "another run is at work in this folder",
                where=str(folder),
                remedy="wait for it or stop it, or choose another folder with --folder",
            ) from error
        yield
