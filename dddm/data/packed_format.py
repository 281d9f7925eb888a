"""Format 1 of a packed folder.  Imports no torch and no numpy.

    train.images.npy        uint8, (N, C, H, W), C order; of more than 32 GiB the first images
    train.images-00001.npy  and as many of the following ones in each further file
    train.labels.npy        int64, (N,); absent if there are no classes
    held-out.images.npy     the same for the split `held-out`, where there is one
    held-out.labels.npy
    manifest.json           `PackedManifest`

The folder takes its name only when it is complete.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

import attrs
from attrs import frozen

from dddm.errors import DataError
from dddm.interfaces.info import ImageShape
from dddm.support.files import read_file

FORMAT: Final = 1
FILE_BYTES: Final = 32 << 30
"""Of images in one file, at most."""
_LARGEST_BYTES: Final = 1 << 28
MANIFEST: Final = "manifest.json"


def images_file(split: str, number: int = 0) -> str:
    return f"{split}.images-{number:05d}.npy" if number else f"{split}.images.npy"


def images_files(split: str, *, images: int, in_file: int) -> dict[str, int]:
    """Names of the files of a split's images, in order, and how many are in each."""
    return {
        images_file(split, number): min(in_file, images - first)
        for number, first in enumerate(range(0, images, in_file))
    }


def images_in_file(shape: ImageShape) -> int:
    """How many images go into one file."""
    return max(FILE_BYTES // shape.values, 1)


def labels_file(split: str) -> str:
    return f"{split}.labels.npy"


@final
@frozen(kw_only=True)
class PackedFile:
    """Size and hexadecimal SHA-256 of a file."""

    bytes: int
    sha256: str


@final
@frozen(kw_only=True)
class PackedSplitInfo:
    """One split in the manifest.

    Attributes:
        images: number of images.
        images_in_file: in each of their files; fewer in the last.
        manifest: as `dddm.support.manifest.manifest_of` computes it.
        files: by name.
    """

    images: int
    images_in_file: int
    manifest: str
    files: Mapping[str, PackedFile]


@final
@frozen(kw_only=True)
class PackedManifest:
    """Contents of `manifest.json`.

    Attributes:
        key: SHA-256 of the source's identity.
        source: the source's provenance, and the notes taken while packing.
    """

    format: int
    key: str
    shape: ImageShape
    classes: tuple[str, ...]
    splits: Mapping[str, PackedSplitInfo]
    source: Mapping[str, Any]

    def to_text(self) -> str:
        return json.dumps(attrs.asdict(self), indent=2, ensure_ascii=False) + "\n"


def _of(kind: type[Any], value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{type(value).__name__} in place of {kind.__name__}")
    return value


def _count(value: Any) -> int:
    if _of(int, value) <= 0:
        raise ValueError(f"a number of {value}")
    return int(value)


def _split(name: str, split: Any, *, labels: bool) -> PackedSplitInfo:
    images = _count(split["images"])
    in_file = _count(split.get("images_in_file", images))  # folders of older versions have one file
    if -(-images // in_file) + labels != len(split["files"]):
        raise ValueError(f"the number of files of a split {name[:50]!r}")
    files = {*images_files(name, images=images, in_file=in_file)}
    if "/" in name or files | ({labels_file(name)} if labels else set()) != set(split["files"]):
        raise ValueError(f"the files of a split {name[:50]!r}")
    return PackedSplitInfo(
        images=images,
        images_in_file=in_file,
        manifest=_of(str, split["manifest"]),
        files={
            file: PackedFile(bytes=_count(info["bytes"]), sha256=_of(str, info["sha256"]))
            for file, info in split["files"].items()
        },
    )


def count_left_out(folder: Path) -> int:
    """How many damaged images were left out; 0 for a folder in another format."""
    try:
        return len(read_manifest(folder).source.get("left_out", ()))
    except DataError:
        return 0


def read_manifest(folder: Path) -> PackedManifest:
    """Read the manifest of a packed folder.

    Raises:
        DataError: if it is missing, damaged, or of another format.
    """
    path = folder / MANIFEST
    remedy = f"remove {folder}; the same command packs the images again"
    try:
        found = json.loads(read_file(path, limit=_LARGEST_BYTES))
        if found["format"] != FORMAT or isinstance(found["format"], bool):
            raise DataError(
                f"the packed images have format {found['format']}; this version of dddm reads "
                f"format {FORMAT}",
                where=str(path),
                remedy=remedy,
            )
        return PackedManifest(
            format=FORMAT,
            key=_of(str, found["key"]),
            shape=ImageShape(**{name: _count(size) for name, size in found["shape"].items()}),
            classes=tuple(_of(str, name) for name in _of(list, found["classes"])),
            splits={
                name: _split(name, found["splits"][name], labels=bool(found["classes"]))
                for name in ("train", *found["splits"])
            },
            source=_of(dict, found["source"]),
        )
    except (FileNotFoundError, NotADirectoryError) as error:  # it may be anything of the user's
        raise DataError(
            "there are no packed images here",
            where=str(folder),
            remedy="name a folder for `packed` that does not exist yet, or that holds them",
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"the manifest of the packed images cannot be read: {error!r}",
            where=str(path),
            remedy=remedy,
        ) from error


def refuse_other_images(folder: Path, *, key: str) -> None:
    """Refuse a packed folder that is not of the source with that key.

    Raises:
        DataError: if it holds other images, or its manifest is damaged.
    """
    if read_manifest(folder).key != key:
        raise DataError(
            "the packed images were made from other files, or with other options, than those "
            "that the recipe names",
            where=str(folder),
            remedy="remove that folder, choose another one for data.packed, or leave it out",
        )
