"""Files and folders that are complete or absent, whatever happens while they are written."""

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from dddm.errors import EnvironmentProblem

_CHUNK_BYTES = 1 << 20


@contextlib.contextmanager
def raise_on_disk_full(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into errors that say what to do.

    Raises:
        EnvironmentProblem: for no space, an exceeded quota, a read-only place or a missing right.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            msg = "no space left on the device"
            remedy = "free some space, or choose another folder; files written before are complete"
        elif error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            msg = "this place cannot be written to"
            remedy = "choose a folder that you may write to"
        else:
            raise
        raise EnvironmentProblem(msg, where=str(path), remedy=remedy) from error


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the contents of a file survive a loss of power."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def temporary_path(path: Path) -> Path:
    """Where a file or folder is filled before it takes the name `path`."""
    return path.with_name(f".{path.name}.part")


def atomic_write(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file beside `path`, sync it, and give it its name in one move.

    Raises:
        EnvironmentProblem: where there is no space or no right to write; `path` stays as it was.
    """
    aside = temporary_path(path)
    with raise_on_disk_full(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(aside)
            sync_file(aside)
            aside.replace(path)
            sync_folder(path.parent)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise


def atomic_write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, completely or not at all."""
    atomic_write(path, lambda aside: _put_text(aside, text))


def _put_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """A folder to fill; it takes the name `path`, all at once, when the block ends well.

    Raises:
        EnvironmentProblem: where there is no space or no right to write; `path` stays absent.
        FileExistsError: if `path` exists.
    """
    aside = temporary_path(path)
    with raise_on_disk_full(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            raise FileExistsError(path)
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        try:
            yield aside
            for name in sorted(aside.rglob("*")):
                if name.is_file():
                    sync_file(name)
            sync_folder(aside)
            aside.rename(path)
            sync_folder(path.parent)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
