"""Writes files and folders completely or not at all, whatever happens meanwhile."""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from dddm.errors import EnvironmentProblem
from dddm.support.cache import CACHE_REMEDY, is_in_cache

_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_file(path: Path) -> BinaryIO:
    """Open a regular file to read it; a pipe would never end, and neither would some devices.

    Args:
        path: links are followed.

    Raises:
        OSError: if it cannot be opened, or is not a regular file; `strerror` says why.
    """
    try:
        refuse_special(path)  # before it is opened: opening may have effects
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # NUL, or what the file system's encoding lacks
        raise OSError(errno.EINVAL, f"no file has such a name: {error}", str(path)) from error
    file = os.fdopen(descriptor, "rb")
    try:
        _refuse_special(path, os.fstat(descriptor))
    except BaseException:
        file.close()
        raise
    return file


def read_file(path: Path, *, limit: int) -> bytes:
    """The contents of a regular file.

    Args:
        path: links are followed.
        limit: number of bytes that it may have; no more are read, whatever its size is said to be.

    Raises:
        OSError: if it cannot be read, is not a regular file, or is larger; `strerror` says why.
    """
    with open_file(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EINVAL, f"it is larger than {limit:,} bytes", str(path))
    return data


def path_exists(path: Path) -> bool:
    """Whether there is something; no error for names that no file can have, as of 256 letters."""
    try:
        return path.exists()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether there is a regular file; like `path_exists`."""
    return path_exists(path) and path.is_file()


def is_folder(path: Path) -> bool:
    """Whether there is a folder; like `path_exists`."""
    return path_exists(path) and path.is_dir()


def user_path(text: str) -> Path:
    """An absolute path that a user wrote, `~` replaced where that home is known."""
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        return Path(text).absolute()


def refuse_special(path: Path) -> None:
    """Refuse what is there but not a regular file; links are followed.

    Raises:
        OSError: for a folder, pipe, socket or device, or if there is nothing.
    """
    _refuse_special(path, path.stat())


def _refuse_special(path: Path, info: os.stat_result) -> None:
    for test, kind in _KINDS:
        if test(info.st_mode):
            raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))


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
            remedy = CACHE_REMEDY if is_in_cache(path) else "choose a folder that you may write to"
        elif error.errno in {errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP, errno.EEXIST}:
            msg = f"there can be no such place: {error.strerror}"
            remedy = "choose another name"
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
