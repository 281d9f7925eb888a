"""Data sets that are kept in several files: which they are, and their splits.  Imports no torch."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, final

from attrs import frozen

from dddm.errors import DataError
from dddm.support.files import is_file
from dddm_datasets.image_files import missing, walk
from dddm_datasets.image_layout import HELD_OUT_FOLDERS

MOST_ROWS: Final = 1 << 24
_SPLIT: Final = re.compile(rf"(train|{'|'.join(HELD_OUT_FOLDERS)})(?![a-z])", re.IGNORECASE)
_LONGEST_NAME: Final = 255


@final
@frozen(kw_only=True)
class Shard:
    """One of the files.

    Attributes:
        split: `train/`, the name of held-out images likewise, or empty where there are no splits.
        stamp: changes when the file does.
    """

    path: Path
    split: str = ""
    stamp: tuple[int, ...] = ()


def find_shards(path: Path, *, suffixes: Sequence[str], kind: str) -> tuple[Shard, ...]:
    """A file, or those below a folder in order of name.

    Splits are used where every file's name, or that of a folder that it is in, begins with one.

    Raises:
        DataError: if there are none, or what `FolderFiles` refuses.
    """
    if is_file(path):
        info = path.stat()
        return (Shard(path=path, stamp=(info.st_size, info.st_mtime_ns)),)
    if not path.is_dir():
        raise missing(kind, path)
    names = [
        (name, stamp)
        for name, stamp in sorted(walk(path))
        if name.lower().endswith(tuple(suffixes))
    ]
    if not names:
        raise DataError(
            f"it contains no {kind}",
            where=str(path),
            remedy=f"the names of such files end in {', '.join(suffixes)}; correct data.path",
        )
    splits = [_split(name) for name, _ in names]
    used = "train/" in splits and "" not in splits
    return tuple(
        Shard(path=path / name, split=split if used else "", stamp=stamp)
        for (name, stamp), split in zip(names, splits, strict=True)
    )


def _split(name: str) -> str:
    found = next(filter(None, map(_SPLIT.match, name.split("/"))), None)
    return "" if found is None else f"{found[1].lower()}/"


def class_name(label: object, *, where: str) -> str:
    """A label as the name of a folder, whose separator it cannot hold.

    Raises:
        DataError: if it is empty, too long or cannot be printed.
    """
    name = str(label).strip().replace("/", "∕")
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        what = "a label is not a printable name" if name else "a label is empty"
        raise DataError(what, where=where, remedy='correct it, or set data.classes = "none"')
    return name


def in_order(names: set[str]) -> tuple[str, ...]:
    """Names of classes: numbers by value, others by name."""
    numbers = all(name.isascii() and name.isdecimal() for name in names)
    return tuple(sorted(names, key=(lambda name: (int(name), name)) if numbers else str))
