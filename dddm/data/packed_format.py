"""Format 1 of a packed folder.  Imports no torch and no numpy.

    train.images.npy     uint8, (N, C, H, W), C order
    train.labels.npy     int64, (N,); absent if there are no classes
    held-out.images.npy  the same for the split `held-out`, where there is one
    held-out.labels.npy
    manifest.json        `PackedManifest`

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

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"


def images_file(split: str) -> str:
    return f"{split}.images.npy"


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
        manifest: as `dddm.support.manifest.manifest_of` computes it.
        files: by name.
    """

    images: int
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
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise DataError(
                f"the packed images have format {found['format']}; this version of dddm reads "
                f"format {FORMAT}",
                where=str(path),
                remedy=remedy,
            )
        return PackedManifest(
            format=found["format"],
            key=found["key"],
            shape=ImageShape(**found["shape"]),
            classes=tuple(found["classes"]),
            splits={
                name: PackedSplitInfo(
                    images=split["images"],
                    manifest=split["manifest"],
                    files={file: PackedFile(**info) for file, info in split["files"].items()},
                )
                for name, split in found["splits"].items()
            },
            source=found["source"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"the manifest of the packed images cannot be read: {error!r}",
            where=str(path),
            remedy=remedy,
        ) from error
