"""The folder of a packed data set, format 1.  Imports no torch and no numpy.

    train.images.npy     uint8, (N, C, H, W), C order, without compression
    train.labels.npy     int64, (N,); absent where there are no classes
    held-out.images.npy  likewise, where there is such a split
    held-out.labels.npy
    manifest.json        what follows here

The folder takes its name only when all of it is written.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

import attrs
from attrs import frozen

from dddm.errors import DataError
from dddm.interfaces.info import ImageShape

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"


def images_file(split: str) -> str:
    """Name of the file that holds a split's images."""
    return f"{split}.images.npy"


def labels_file(split: str) -> str:
    """Name of the file that holds a split's labels."""
    return f"{split}.labels.npy"


@final
@frozen(kw_only=True)
class PackedFile:
    """One file's size and SHA-256, in hexadecimal."""

    bytes: int
    sha256: str


@final
@frozen(kw_only=True)
class PackedSplitInfo:
    """One split.

    Attributes:
        images: how many.
        manifest: as `dddm.support.manifest.manifest_of` computes it.
        files: by name.
    """

    images: int
    manifest: str
    files: Mapping[str, PackedFile]


@final
@frozen(kw_only=True)
class PackedManifest:
    """What `manifest.json` says.

    Attributes:
        key: SHA-256 of what the array was made from; a changed source has another.
        source: where the images came from and how they were converted.
    """

    format: int
    key: str
    shape: ImageShape
    classes: tuple[str, ...]
    splits: Mapping[str, PackedSplitInfo]
    source: Mapping[str, Any]

    def to_text(self) -> str:
        """As JSON."""
        return json.dumps(attrs.asdict(self), indent=2, ensure_ascii=False) + "\n"


def read_manifest(folder: Path) -> PackedManifest:
    """The manifest of a packed folder.

    Raises:
        DataError: if it is missing, damaged, or of another format.
    """
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise DataError(
                f"the packed images are of format {found['format']}; this dddm reads {FORMAT}",
                where=str(path),
                remedy=f"remove {folder}; the same command packs them again",
            )
        return _from_plain(found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"the packed images have no manifest that can be read: {error!r}",
            where=str(path),
            remedy=f"remove {folder}; the same command packs them again",
        ) from error


def _from_plain(found: Mapping[str, Any]) -> PackedManifest:
    return PackedManifest(
        format=found["format"],
        key=found["key"],
        shape=ImageShape(**found["shape"]),
        classes=tuple(found["classes"]),
        splits={
            name: PackedSplitInfo(
                images=split["images"],
                manifest=split["manifest"],
                files={file: PackedFile(**facts) for file, facts in split["files"].items()},
            )
            for name, split in found["splits"].items()
        },
        source=found["source"],
    )
