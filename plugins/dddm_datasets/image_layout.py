"""Splits and classes from the names of files.  Imports no torch."""

from collections.abc import Mapping, Sequence
from typing import Final, final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from dddm.errors import DataError
from dddm.support.splits import hold_out_evenly

HELD_OUT_FOLDERS: Final = ("held-out", "val", "validation", "test")
"""Folders next to `train`; the first one that exists becomes the split `held-out`."""


@final
@frozen(kw_only=True, eq=False)
class SplitFiles:
    """File names of a split in the order of its rows; labels (N,), int64, zeros without classes."""

    names: Sequence[str]
    labels: npt.NDArray[np.int64]


@final
@frozen(kw_only=True)
class Layout:
    """Files by split; `unused` files are in folders of further splits."""

    splits: Mapping[str, SplitFiles]
    classes: tuple[str, ...]
    unused: int


def lay_out(
    names: Sequence[str],
    *,
    with_classes: bool,
    held_out_images: int,
    where: str,
    archive: bool,
    classes: Sequence[str] = (),
) -> Layout:
    """Sort files into splits and classes.

    Args:
        names: with `/` between folders; at least one.
        with_classes: whether the top folders of a split are classes; where no image is in any,
            there are none.
        held_out_images: number to hold out if there is no folder of held-out images.
        where: for messages.
        archive: whether a single folder around all others, as archives often have, is ignored.
        classes: in the order of their labels; those that are not among them follow by name.

    Raises:
        DataError: if an image is in no class, or no image is left to train on.
    """
    skip, split_of_folder = _split_folders(names, archive=archive)
    if held_out_images and len(split_of_folder) > 1:
        raise DataError(
            "held-out images are given twice: by a folder and by held_out_images",
            where=where,
            remedy="remove data.held_out_images",
        )
    placed: list[tuple[str, str, str]] = []  # split, name, and what follows the split in the name
    for name in names:
        split, inner = "train", name.removeprefix(skip)
        if split_of_folder:
            folder, _, inner = inner.partition("/")
            if folder not in split_of_folder:
                continue
            split = split_of_folder[folder]
        placed.append((split, name, inner))
    unused = len(names) - len(placed)
    with_classes = with_classes and any("/" in inner for _, _, inner in placed)
    files: dict[str, list[tuple[str, str]]] = {}  # names and classes by split
    for split, name, inner in placed:
        class_name, slash, _ = inner.partition("/")
        if with_classes and not slash:
            raise DataError(
                f"{name} is in no class: each class is a folder of the split {split}",
                where=where,
                remedy='set data.classes = "none", or move each image into the folder of its class',
            )
        files.setdefault(split, []).append((name, class_name if with_classes else ""))
    order = {class_name: place for place, class_name in enumerate(classes)}
    found = {class_name for _, class_name in files["train"]}
    classes = sorted(found, key=lambda name: (order.get(name, len(order)), name))
    unknown = sorted({c for _, c in files.get("held-out", ())} - found)
    if unknown:
        raise DataError(
            f"held-out images have classes that training lacks: {', '.join(unknown[:5])}",
            where=where,
            remedy='give the folders the same names, or set data.classes = "none"',
        )
    label_of = {class_name: label for label, class_name in enumerate(classes)}
    splits = {
        split: SplitFiles(
            names=[name for name, _ in files[split]],
            labels=np.array([label_of[class_name] for _, class_name in files[split]], np.int64),
        )
        for split in sorted(files, reverse=True)  # train first
    }
    if held_out_images:
        splits = _hold_out(splits["train"], count=held_out_images, where=where)
    return Layout(splits=splits, classes=tuple(classes) if with_classes else (), unused=unused)


def _split_folders(names: Sequence[str], *, archive: bool) -> tuple[str, dict[str, str]]:
    """The folder around all others, to be ignored, and the split of each split folder."""
    skip = ""
    tops = {name.partition("/")[0] for name in names}
    nested = all(name.count("/") > 1 for name in names)
    if archive and nested and len(tops) == 1 and "train" not in tops:
        skip = f"{tops.pop()}/"
        tops = {name.removeprefix(skip).partition("/")[0] for name in names}
    if "train" not in tops or not tops <= {"train", *HELD_OUT_FOLDERS}:
        return skip, {}
    held_out = next((folder for folder in HELD_OUT_FOLDERS if folder in tops), None)
    return skip, {"train": "train", **({held_out: "held-out"} if held_out else {})}


def _hold_out(files: SplitFiles, *, count: int, where: str) -> dict[str, SplitFiles]:
    total = len(files.names)
    if count >= total:
        raise DataError(
            f"holding out {count} of {total} images leaves none to train on",
            where=where,
            remedy=f"set data.held_out_images below {total}",
        )
    train, held_out = hold_out_evenly(files.labels, count=count)
    return {
        split: SplitFiles(names=[files.names[k] for k in index], labels=files.labels[index])
        for split, index in (("train", train), ("held-out", held_out))
    }
