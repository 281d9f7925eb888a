"""Images in tar archives, as WebDataset keeps them; nothing is unpacked.  Imports no torch.

A sample is what stands together under one key, the name up to its first dot: `0001.jpg` is an
image, `0001.cls` its class as text, and `0001.json` may hold `label`.  Archives that are not
compressed are read in place: a member is a range of bytes of the file.
"""

import json
import tarfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Final, final

from attrs import field, frozen

from dddm.errors import DataError
from dddm.support.files import path_exists
from dddm_datasets.image_decode import ImageError
from dddm_datasets.image_files import LARGEST_BYTES, SUFFIXES, ImageFiles, Listing
from dddm_datasets.shards import MOST_ROWS, Shard, class_name, find_shards, in_order

_LARGEST_LABEL: Final = 1 << 16


@final
@frozen(kw_only=True)
class _Image:
    shard: Path
    member: str
    offset: int
    size: int


@final
@frozen(kw_only=True)
class _Index:
    images: Mapping[str, _Image]
    classes: tuple[str, ...]
    skipped: int


@final
@frozen(kw_only=True)
class TarFiles(ImageFiles):
    """A tar archive, or a folder of them, found once."""

    path: Path
    with_classes: bool
    found: list[Shard] = field(factory=list, eq=False)

    @property
    def where(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        return path_exists(self.path)

    def identity(self) -> Mapping[str, Any]:
        return {"shards": [[shard.path.name, *shard.stamp] for shard in self._shards()]}

    def listing(self) -> Listing:
        """List the images in the order of their archives.

        Raises:
            DataError: if an archive is missing or damaged, or only some images have a label.
        """
        index = self._index()
        return Listing(names=tuple(index.images), skipped=index.skipped, classes=index.classes)

    def read(self, name: str) -> bytes:
        image = self._index().images[name]
        if image.size > LARGEST_BYTES:
            raise ImageError(f"it has {image.size:,} bytes, and {LARGEST_BYTES:,} are the limit")
        with image.shard.open("rb") as file:
            file.seek(image.offset)
            data = file.read(image.size)
        if len(data) < image.size:
            raise ImageError("the archive ends within it")
        return data

    def location(self, name: str) -> str:
        image = self._index().images[name]
        return f"{image.shard}, {image.member}"

    def _shards(self) -> tuple[Shard, ...]:
        if not self.found:
            self.found.extend(find_shards(self.path, suffixes=[".tar"], kind="tar archive"))
        return tuple(self.found)

    def _index(self) -> _Index:
        return _read_index(self._shards(), with_classes=self.with_classes)


@lru_cache(maxsize=2)
def _read_index(shards: tuple[Shard, ...], *, with_classes: bool) -> _Index:
    """Read all headers, once per process."""
    found: list[tuple[Shard, str, _Image]] = []  # with the key of its sample
    labels: dict[tuple[Path, str], str] = {}
    skipped = 0
    for shard in shards:
        for member in _members(shard.path):
            key, _, extension = PurePosixPath(member.name).name.partition(".")
            key = str(PurePosixPath(member.name).parent / key)
            image = _Image(
                shard=shard.path, member=member.name, offset=member.offset_data, size=member.size
            )
            if PurePosixPath(member.name).suffix.lower() in SUFFIXES:
                found.append((shard, key, image))
            elif with_classes and (label := _label(image, extension)) is not None:
                labels[shard.path, key] = label
            else:
                skipped += 1
            if len(found) > MOST_ROWS:
                what = f"there are more than {MOST_ROWS:,} images"
                raise DataError(what, where=str(shard.path), remedy="use fewer archives")
    images = {}
    for number, (shard, key, image) in enumerate(found):
        label = labels.get((shard.path, key))
        if labels and label is None:
            raise DataError(
                "this image has no label, and others have one",
                where=f"{shard.path}, {image.member}",
                remedy='add its .cls file, or set data.classes = "none"',
            )
        folder = key.rpartition("/")[0] if label is None else label
        images[f"{shard.split}{folder}/{number}" if folder else f"{shard.split}{number}"] = image
    return _Index(images=images, classes=in_order(set(labels.values())), skipped=skipped)


def _members(path: Path) -> Iterator[tarfile.TarInfo]:
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                _refuse_odd(member.name, where=path)
                hidden = PurePosixPath(member.name).name.startswith(".")
                if member.isreg() and not member.issparse() and not hidden:
                    yield member
    except (DataError, MemoryError):
        raise
    except Exception as error:  # damage leads to exceptions of many types
        raise DataError(
            f"this tar archive cannot be read: {error}",
            where=str(path),
            remedy="get or make it again; one that is compressed must be uncompressed first",
        ) from error


def _refuse_odd(name: str, *, where: Path) -> None:
    if ".." in PurePosixPath(name).parts or name.startswith("/") or not name.isprintable():
        what = "a name in this archive leads out of it, or cannot be printed"
        raise DataError(what, where=str(where), remedy="make it again from plain files")


def _label(file: _Image, extension: str) -> str | None:
    """The class that a file of a sample names; None if it names none."""
    if extension.lower() not in {"cls", "json"} or file.size > _LARGEST_LABEL:
        return None
    where = f"{file.shard}, {file.member}"
    with file.shard.open("rb") as shard:
        shard.seek(file.offset)
        data = shard.read(file.size)
    try:
        text: object = data.decode()
        if extension.lower() == "json":
            whole = json.loads(data)
            text = whole.get("label") if isinstance(whole, dict) else None
    except (ValueError, RecursionError) as error:
        remedy = 'correct it, or set data.classes = "none"'
        raise DataError(
            f"this label cannot be read: {error}", where=where, remedy=remedy
        ) from error
    return class_name(text, where=where) if isinstance(text, str | int) else None
