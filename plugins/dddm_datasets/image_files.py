"""Image files in a folder, or in a zip archive that is not unpacked.  Imports no torch."""

import os
import stat
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from posixpath import splitext
from typing import Any, Final, final

from attrs import frozen

from dddm.errors import DataError
from dddm.support.files import is_file, is_folder, path_exists, read_file
from dddm_datasets.image_decode import ImageError
from dddm_datasets.zip_members import read_member

SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
LARGEST_BYTES: Final = 1 << 26
_DEEPEST: Final = 64
_ENCRYPTED: Final = 1


@final
@frozen(kw_only=True)
class Listing:
    """The images of a folder or archive.

    Attributes:
        names: in a fixed order, with `/` between folders.
        stamps: for each image, values that change when it does.
        skipped: number of files that are not images by their suffix.
        classes: in the order of their labels, where the files say; otherwise that of names.
    """

    names: tuple[str, ...]
    stamps: tuple[tuple[int, ...], ...] = ()
    skipped: int = 0
    classes: tuple[str, ...] = ()

    @classmethod
    def of(cls, files: Iterator[tuple[str, tuple[int, ...]]], *, where: Path) -> "Listing":
        """Keep the images among `files`, given as name and stamp.

        Raises:
            DataError: if the name of one is not UTF-8, which neither recipes nor reports can hold.
        """
        every = sorted(files)
        images = [file for file in every if splitext(file[0])[1].lower() in SUFFIXES]
        for name, _ in images:
            if not name.isascii() and any("\ud800" <= letter <= "\udfff" for letter in name):
                raise DataError(
                    "the name of an image is not UTF-8",
                    where=str(where / name),
                    remedy="rename the file or its folder; convmv does so for many",
                )
        return cls(
            names=tuple(name for name, _ in images),
            stamps=tuple(stamp for _, stamp in images),
            skipped=len(every) - len(images),
        )


class ImageFiles(ABC):
    """Encoded images by name.  It is sent to other processes, so that it must be small."""

    @property
    @abstractmethod
    def where(self) -> str:
        """The place of all, for messages."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether it can be found."""

    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """JSON values that change whenever an image does."""

    @abstractmethod
    def listing(self) -> Listing:
        """List the images by name: split and class are folders, as in `lay_out`.

        Raises:
            DataError: if they cannot be listed.
        """

    @abstractmethod
    def read(self, name: str) -> bytes:
        """An image's bytes.

        Raises:
            ImageError: if it is damaged or too large for an image.
            OSError: if its file cannot be read.
        """

    @abstractmethod
    def location(self, name: str) -> str:
        """Where an image is, for messages."""


@final
@frozen(kw_only=True)
class FolderFiles(ImageFiles):
    """A folder with everything below it; hidden files are ignored."""

    path: Path

    @property
    def where(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        return path_exists(self.path)

    def identity(self) -> Mapping[str, Any]:
        listing = self.listing()
        return {"names": list(listing.names), "stamps": [list(stamp) for stamp in listing.stamps]}

    def listing(self) -> Listing:
        """List the images by their path in the folder.

        Raises:
            DataError: if the folder is missing, cannot be listed or is nested too deeply, or a link
                leads out of it, to a folder, in a circle or nowhere.
        """
        if not is_folder(self.path):
            raise missing("folder", self.path)
        try:
            return Listing.of(walk(self.path), where=self.path)
        except OSError as error:
            raise DataError(
                f"it cannot be listed: {error.strerror}",
                where=str(error.filename or self.path),
                remedy="check its permissions, and that nothing changes it meanwhile",
            ) from error

    def read(self, name: str) -> bytes:
        """A file's bytes.

        Raises:
            OSError: if it cannot be read, is not a regular file, or is too large for an image.
        """
        return read_file(self.path / name, limit=LARGEST_BYTES)

    def location(self, name: str) -> str:
        return str(self.path / name)


def missing(kind: str, path: Path) -> DataError:
    return DataError(
        f"there is no such {kind}",
        where=str(path),
        remedy="correct data.path; a relative path starts from the working directory",
    )


def walk(folder: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and stamps of all files; links are followed to files within the folder only."""
    return _walk(folder, Path(os.path.realpath(folder)), prefix="")


def _walk(folder: Path, root: Path, *, prefix: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    if prefix.count("/") > _DEEPEST:
        what = f"folders are nested more than {_DEEPEST} deep"
        raise DataError(what, where=str(folder), remedy="move the images up")
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), root, prefix=f"{prefix}{entry.name}/")
                continue
            if entry.is_symlink():
                _validate_link(entry.path, root)
            info = entry.stat()
            yield prefix + entry.name, (info.st_size, info.st_mtime_ns)


def _validate_link(link: str, root: Path) -> None:
    target = Path(os.path.realpath(link))
    if target.is_symlink():
        how = "in a circle"
    elif target.is_dir():
        how = "to a folder"
    elif not target.is_relative_to(root):
        how = "out of the folder"
    elif not target.exists():
        how = "nowhere"
    else:
        return
    raise DataError(
        f"a link leads {how}: {target}",
        where=link,
        remedy="replace it by a copy, or remove it; only links to files within the folder are "
        "followed",
    )


@final
@frozen(kw_only=True)
class ZipFiles(ImageFiles):
    """A zip archive."""

    path: Path

    @property
    def where(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        return path_exists(self.path)

    def identity(self) -> Mapping[str, Any]:
        info = self._stat()
        return {"name": self.path.name, "size": info.st_size, "mtime_ns": info.st_mtime_ns}

    def listing(self) -> Listing:
        """List the images by their name in the archive.

        Raises:
            DataError: if it is missing, not a zip archive, encrypted, or has a member that is a
                link or whose name leads out of it.
        """
        return Listing.of(self._members(), where=self.path)

    def _members(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        for info in self._archive().infolist():
            self._validate(info)
            parts = PurePosixPath(info.filename).parts
            if not info.is_dir() and not any(part.startswith((".", "__MACOSX")) for part in parts):
                yield info.filename, (info.CRC, info.file_size)

    def read(self, name: str) -> bytes:
        """A member's bytes, checked by its CRC; at most as many as its header declares.

        Raises:
            ImageError: if it is damaged or too large for an image.
            OSError: if the archive cannot be read.
        """
        archive = self._archive()
        try:
            return read_member(
                archive,
                archive.getinfo(name),
                archive_bytes=self._stat().st_size,
                limit=LARGEST_BYTES,
            )
        except (OSError, DataError, MemoryError):
            raise
        except Exception as error:  # damage leads to exceptions of many types
            raise ImageError(
                f"it cannot be unpacked: {str(error) or type(error).__name__}"
            ) from error

    def location(self, name: str) -> str:
        return f"{self.path}, {name}"

    def _stat(self) -> os.stat_result:
        if not is_file(self.path):
            raise missing("zip archive", self.path)
        return self.path.stat()

    def _archive(self) -> zipfile.ZipFile:
        info = self._stat()
        try:
            return _open_archive(self.path, info.st_size, info.st_mtime_ns)
        except MemoryError:
            raise
        except Exception as error:  # damage leads to exceptions of many types
            raise DataError(
                f"this zip archive cannot be read: {error}",
                where=str(self.path),
                remedy="get or make it again",
            ) from error

    def _validate(self, info: zipfile.ZipInfo) -> None:
        parts = PurePosixPath(info.filename.replace("\\", "/")).parts
        if not parts:
            what = "a name in this archive is empty"
        elif ".." in parts or info.filename.startswith(("/", "\\")) or ":" in parts[0]:
            what = "a name in this archive leads out of it"
        elif info.flag_bits & _ENCRYPTED:
            what = "this archive is encrypted"
        elif stat.S_ISLNK(info.external_attr >> 16):
            what = "this archive holds a link"
        else:
            return
        where = self.location(info.filename)
        raise DataError(what, where=where, remedy="make it again from plain files")


@lru_cache(maxsize=4)
def _open_archive(path: Path, size: int, mtime_ns: int) -> zipfile.ZipFile:
    """Open an archive once per process, as reading its directory may take long."""
    del size, mtime_ns
    return zipfile.ZipFile(path)
