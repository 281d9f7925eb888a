"""Where files of images lie: a folder, or a zip archive read as it stands.  Imports no torch."""

import os
import stat
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Final, final

from attrs import field, frozen

from dddm.errors import DataError

SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
_LARGEST_MEMBER_BYTES: Final = 1 << 28
_ENCRYPTED: Final = 1
_RELATIVE: Final = "; a relative path starts from the working directory"


@final
@frozen(kw_only=True)
class Listing:
    """What was found.

    Attributes:
        names: of the images, ascending, with `/` between folders.
        stamps: of each, plain values that change when it does.
        passed_over: how many files are no images by their ending.
        wrapped: whether a single folder around everything, which archives often have, means
            nothing.
    """

    names: tuple[str, ...]
    stamps: tuple[tuple[int, ...], ...]
    passed_over: int = 0
    wrapped: bool = False


class ImageFiles(ABC):
    """Files by name; picklable."""

    @property
    @abstractmethod
    def path(self) -> Path:
        """The folder or the archive."""

    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """Plain values that change whenever a file does.

        Raises:
            DataError: if the place is missing, or must not be read.
        """

    @abstractmethod
    def listing(self) -> Listing:
        """The images.

        Raises:
            DataError: if the place is missing, or must not be read.
        """

    @abstractmethod
    def read(self, name: str) -> bytes:
        """A file's bytes.

        Raises:
            OSError: if it cannot be read.
            ValueError: if it must not be.
        """

    @abstractmethod
    def place(self, name: str) -> str:
        """Where the file is, for messages."""


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SUFFIXES


@final
@frozen(kw_only=True)
class FolderFiles(ImageFiles):
    """A folder with all that lies in it; hidden files are passed over."""

    path: Path = field()

    def identity(self) -> Mapping[str, Any]:
        """Names, sizes and times of change of all images."""
        found = self.listing()
        return {"names": list(found.names), "stamps": [list(stamp) for stamp in found.stamps]}

    def listing(self) -> Listing:
        """The images, by the name under the folder.

        Raises:
            DataError: if the folder is missing, or a link in it leads out of it or to a folder.
        """
        if not self.path.is_dir():
            raise DataError(
                "there is no such folder",
                where=str(self.path),
                remedy=f"correct data.path{_RELATIVE}",
            )
        root = self.path.resolve()
        found: list[tuple[str, tuple[int, ...]]] = []
        passed_over = 0
        for entry in _walk(self.path):
            name = Path(entry.path).relative_to(self.path).as_posix()
            if entry.is_symlink():
                _refuse_escape(entry, root=root)
            if not _is_image(name):
                passed_over += 1
                continue
            facts = entry.stat()
            found.append((name, (facts.st_size, facts.st_mtime_ns)))
        found.sort()
        return Listing(
            names=tuple(name for name, _ in found),
            stamps=tuple(stamp for _, stamp in found),
            passed_over=passed_over,
        )

    def read(self, name: str) -> bytes:
        """The file's bytes."""
        return (self.path / name).read_bytes()

    def place(self, name: str) -> str:
        """Its path."""
        return str(self.path / name)


def _walk(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """All files and links; links to folders are not followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path))
            else:
                yield entry


def _refuse_escape(entry: "os.DirEntry[str]", *, root: Path) -> None:
    target = Path(entry.path).resolve()
    if not target.is_relative_to(root) or target.is_dir():
        how = "leads to a folder" if target.is_dir() else "leads out of the folder"
        raise DataError(
            f"a link {how}: {target}",
            where=entry.path,
            remedy="put what it points to in its place, or remove it; links to single images "
            "within the folder are followed",
        )
    if not target.exists():
        raise DataError(f"a link leads nowhere: {target}", where=entry.path, remedy="remove it")


@final
@frozen(kw_only=True)
class ZipFiles(ImageFiles):
    """A zip archive; a single folder around everything is looked through."""

    path: Path = field()

    def identity(self) -> Mapping[str, Any]:
        """Name, size and time of change of the archive."""
        facts = self._stat()
        return {"name": self.path.name, "size": facts.st_size, "mtime_ns": facts.st_mtime_ns}

    def listing(self) -> Listing:
        """The images, by their names within the archive.

        Raises:
            DataError: if it is missing, no zip archive, encrypted, or has names that lead out of
                it.
        """
        found = []
        passed_over = 0
        for info in self._archive().infolist():
            self._refuse_unsafe(info)
            if info.is_dir() or _is_hidden(info.filename):
                continue
            if _is_image(info.filename):
                found.append((info.filename, (info.CRC, info.file_size)))
            else:
                passed_over += 1
        found.sort()
        return Listing(
            names=tuple(name for name, _ in found),
            stamps=tuple(stamp for _, stamp in found),
            passed_over=passed_over,
            wrapped=True,
        )

    def read(self, name: str) -> bytes:
        """The file's bytes, whose checksum is verified."""
        info = self._archive().getinfo(name)
        if info.file_size > _LARGEST_MEMBER_BYTES:
            raise ValueError(f"it would unpack to {info.file_size:,} bytes, which is no image")
        return self._archive().read(info)

    def place(self, name: str) -> str:
        """The archive and the name within it."""
        return f"{self.path}, {name}"

    def _stat(self) -> os.stat_result:
        if not self.path.is_file():
            raise DataError(
                "there is no such zip archive",
                where=str(self.path),
                remedy=f"correct data.path{_RELATIVE}",
            )
        return self.path.stat()

    def _archive(self) -> zipfile.ZipFile:
        facts = self._stat()
        try:
            return _open_archive(self.path, facts.st_size, facts.st_mtime_ns)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise DataError(
                f"this zip archive cannot be read: {error}",
                where=str(self.path),
                remedy="get or make it again",
            ) from error

    def _refuse_unsafe(self, info: zipfile.ZipInfo) -> None:
        parts = PurePosixPath(info.filename.replace("\\", "/")).parts
        if ".." in parts or info.filename.startswith(("/", "\\")) or ":" in (parts or ("",))[0]:
            what = "a name in this archive leads out of it"
        elif info.flag_bits & _ENCRYPTED:
            what = "this archive is encrypted"
        elif stat.S_ISLNK(info.external_attr >> 16):
            what = "this archive holds a link"
        else:
            return
        raise DataError(
            what, where=self.place(info.filename), remedy="make it again from plain files"
        )


@lru_cache(maxsize=4)
def _open_archive(path: Path, size: int, mtime_ns: int) -> zipfile.ZipFile:
    """Open it once in a process: its directory may be long."""
    del size, mtime_ns
    return zipfile.ZipFile(path)


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)
