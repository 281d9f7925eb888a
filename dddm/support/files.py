"""Writes files and folders completely or not at all, whatever happens meanwhile."""

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from dddm.errors import EnvironmentProblem


@contextlib.contextmanager
def raise_on_disk_full(path: Path) -> Iterator[None]:
    """Turn failures of the operating system to write into errors that say what to do.

    Raises:
        EnvironmentProblem: if there is no space, a quota is exceeded, or permission is missing.
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
    """Flush the names of the folder's files to disk: a rename survives a power cut only then."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Flush a file's contents to disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def temporary_path(path: Path) -> Path:
    """Where a file or folder is written before it is renamed to `path`."""
    return path.with_name(f".{path.name}.part")


def atomic_write(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, sync it, and rename it to `path`.

    Raises:
        EnvironmentProblem: without space or permission; `path` stays as it was.
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
    """Write a UTF-8 text file completely or not at all."""
    atomic_write(path, lambda aside: aside.write_text(text, encoding="utf-8"))


@contextlib.contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """A temporary folder to fill, which is renamed to `path` when the block succeeds.

    Raises:
        EnvironmentProblem: without space or permission; `path` stays absent.
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
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
