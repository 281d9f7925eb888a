"""Splits and classes from the names of files.  Imports no torch."""

from collections.abc import Mapping, Sequence
from typing import Final, final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from dddm.errors import DataError
from dddm.support.splits import hold_out_evenly

HELD_OUT_FOLDERS: Final = ("held-out", "val", "validation", "test")
"""Folders beside `train`; the first that is there is the split `held-out`."""
_SPLIT_FOLDERS: Final = frozenset({"train", *HELD_OUT_FOLDERS})


@final
@frozen(kw_only=True, eq=False)
class SplitFiles:
    """The images of one split.

    Attributes:
        names: of the files, in the order of their rows.
        labels: (N,), int64; zeros where there are no classes.
    """

    names: Sequence[str]
    labels: npt.NDArray[np.int64]


@final
@frozen(kw_only=True)
class Layout:
    """Which file stands where."""

    splits: Mapping[str, SplitFiles]
    classes: tuple[str, ...]
    unused: int


def lay_out(
    names: Sequence[str], *, with_classes: bool, held_out_images: int, place: str, wrapped: bool
) -> Layout:
    """Sort files into splits and classes.

    Args:
        names: ascending, with `/` between folders; at least one.
        with_classes: whether the top folders of a split are classes.
        held_out_images: how many are held out where no folder says which.
        place: of the files, for messages.
        wrapped: whether a folder that lies around all others is looked through.

    Raises:
        DataError: if an image lies in no class, or there is nothing to train on.
    """
    folders, unused = _by_split(names, skip=_wrapper(names) if wrapped else "")
    if held_out_images and len(folders) > 1:
        raise DataError(
            "held-out images are named twice: by a folder and as a number",
            where=place,
            remedy="leave data.held_out_images out",
        )
    classes: tuple[str, ...] = ()
    if with_classes:
        found = {split: _classes_of(split, files, place=place) for split, files in folders.items()}
        classes = tuple(sorted(set(found["train"])))
        strange = sorted(set(found.get("held-out", ())) - set(classes))
        if strange:
            raise DataError(
                f"held-out images are of classes that training lacks: {', '.join(strange[:5])}",
                where=place,
                remedy='name the folders alike, or set data.classes = "none"',
            )
    number = {name: label for label, name in enumerate(classes)}
    splits = {}
    for split, files in folders.items():
        labels = [number[of] for of in found[split]] if with_classes else [0] * len(files)
        splits[split] = SplitFiles(
            names=[name for name, _ in files], labels=np.array(labels, np.int64)
        )
    if held_out_images:
        splits = _hold_out(splits["train"], count=held_out_images, place=place)
    return Layout(splits=splits, classes=classes, unused=unused)


def _wrapper(names: Sequence[str]) -> str:
    """`photos/` where all files lie in folders of a folder `photos`; otherwise nothing."""
    tops = {name.partition("/")[0] for name in names}
    deep = all(name.count("/") > 1 for name in names)
    return f"{tops.pop()}/" if deep and len(tops) == 1 and "train" not in tops else ""


def _by_split(names: Sequence[str], *, skip: str) -> tuple[dict[str, list[tuple[str, str]]], int]:
    """Files as (name, name within the split) by split, and how many belong to none."""
    inner = [name.removeprefix(skip) for name in names]
    tops = {name.partition("/")[0] for name in inner}
    if "train" not in tops or not tops <= _SPLIT_FOLDERS:
        return {"train": list(zip(names, inner, strict=True))}, 0
    held_out = next((top for top in HELD_OUT_FOLDERS if top in tops), None)
    folders: dict[str, list[tuple[str, str]]] = {"train": []}
    unused = 0
    for name, within in zip(names, inner, strict=True):
        top, _, rest = within.partition("/")
        if top == "train":
            folders["train"].append((name, rest))
        elif top == held_out:
            folders.setdefault("held-out", []).append((name, rest))
        else:
            unused += 1
    return folders, unused


def _classes_of(split: str, files: Sequence[tuple[str, str]], *, place: str) -> list[str]:
    of = []
    for name, within in files:
        top, slash, _ = within.partition("/")
        if not slash:
            raise DataError(
                f"{name} lies in no class: each class is a folder of the split {split}",
                where=place,
                remedy='set data.classes = "none", or put each image into the folder of its class',
            )
        of.append(top)
    return of


def _hold_out(files: SplitFiles, *, count: int, place: str) -> dict[str, SplitFiles]:
    if count >= len(files.names):
        raise DataError(
            f"{count} of {len(files.names)} images held out leave none to train on",
            where=place,
            remedy=f"set data.held_out_images below {len(files.names)}",
        )
    train, held_out = hold_out_evenly(files.labels, count=count)
    return {
        split: SplitFiles(
            names=[files.names[k] for k in index.tolist()], labels=files.labels[index]
        )
        for split, index in (("train", train), ("held-out", held_out))
    }
