"""A quick look at the files of a data set: what `dddm check` and the defaults of a recipe go by.

Files are listed, and some headers read.  What was found is kept in the cache until a file changes;
a packed folder, for which every image was decoded, stands in for both.  Imports no torch.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np

from dddm.data.pack import identity_key
from dddm.data.packed_format import labels_file, read_manifest, refuse_other_images
from dddm.data.source import PackPlan, PackSource
from dddm.errors import DataError
from dddm.interfaces.data_report import Problem
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.interfaces.plugin import DataSurvey, Issue
from dddm.support.cache import cache_folder
from dddm.support.files import atomic_write_text, path_exists, read_file, user_path
from dddm.support.quantities import counted, size

_OPTION: Final = re.compile(r"\bdata\.(\w+)")
_LARGEST_BYTES: Final = 1 << 22


def survey_source(
    source: PackSource, *, name: str, packed: str | None, train_images: int | None = None
) -> DataSurvey:
    """What can be known of a source in a second or two.

    Args:
        name: as the data set is packed under, see `dddm.data.packed`.
        packed: the packed folder that the recipe names.
        train_images: how many images the recipe trains on; None for all.
    """
    try:
        found = _whole(source, name=name, packed=packed)
    except DataError as error:
        issue = _issue(error.what, error.where, error.remedy)
        return DataSurvey(info=None, looked_at="", issues=(issue,))
    info = found.info
    if train_images is None or info is None:
        return found
    if train_images > info.train_images:
        issue = Issue(
            option="train_images",
            what=f"train_images: there are {info.train_images:,} training images, fewer than "
            f"{train_images:,}",
            remedy=f"use {info.train_images} or fewer, or leave train_images out for all",
        )
        return attrs.evolve(found, issues=(*found.issues, issue))
    info = attrs.evolve(
        info, train_images=train_images, class_images=_cut(info.class_images, train_images)
    )
    return attrs.evolve(found, info=info)


def _cut(class_images: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Images of each class among the first of all, in equal shares as far as there are so many."""
    left = list(class_images)
    taken = [0] * len(left)
    while sum(taken) < count and any(left):
        for label in (k for k, images in enumerate(left) if images):
            if sum(taken) == count:
                break
            taken[label] += 1
            left[label] -= 1
    return tuple(taken)


def _whole(source: PackSource, *, name: str, packed: str | None) -> DataSurvey:
    named = None if packed is None else user_path(packed)
    if named is not None and path_exists(named) and not source.exists():
        return _of_packed(named)
    key = identity_key(source)
    folder = named or cache_folder() / "packed" / f"{name}-{key[:12]}"
    if path_exists(folder):
        refuse_other_images(folder, key=key)
        return _of_packed(folder)
    kept = cache_folder() / "surveys" / f"{name}-{key[:12]}.json"
    found = _read(kept) or _look_into(source, kept)
    full = None if found.info is None else _too_little_space(folder, found.info)
    return found if full is None else attrs.evolve(found, issues=(*found.issues, full))


def _look_into(source: PackSource, kept: Path) -> DataSurvey:
    """Plan its packing, look at some headers, and keep what was found."""
    plan = source.plan()
    found = _of_plan(plan, list(source.look(plan)))
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(kept, json.dumps(attrs.asdict(found), ensure_ascii=False) + "\n")
    except OSError:
        pass  # it is only faster the next time
    return found


def _too_little_space(folder: Path, info: DatasetInfo) -> Issue | None:
    """What is wrong if the packed images cannot be written."""
    needed = info.train_images * info.shape.values
    disk = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(disk).free
    if needed <= free:
        return None
    return Issue(
        option="packed",
        what=f"the packed images take {size(needed)}, and there are {size(free)} free at {disk}",
        remedy="set data.packed to a folder on a larger disk, or DDDM_CACHE to such a cache",
    )


def _of_plan(plan: PackPlan, problems: list[Problem]) -> DataSurvey:
    images = ", ".join(f"{count:,} {split}" for split, count in plan.splits.items())
    classes = f" in {counted(len(plan.classes), 'class', 'classes')}" if plan.classes else ""
    return DataSurvey(
        info=DatasetInfo(
            shape=plan.shape,
            train_images=plan.splits["train"],
            classes=plan.classes,
            class_images=plan.class_images,
        ),
        looked_at=f"listed {images} images of {plan.shape}{classes}",
        issues=tuple(_issue(each.what, each.where, each.remedy) for each in problems),
    )


def _of_packed(folder: Path) -> DataSurvey:
    manifest = read_manifest(folder)
    train = manifest.splits["train"]
    counts: tuple[int, ...] = ()
    if manifest.classes:
        try:
            label_N = np.load(folder / labels_file("train"), mmap_mode="r", allow_pickle=False)
            counts = tuple(np.bincount(label_N, minlength=len(manifest.classes)).tolist())
        except (OSError, ValueError) as error:
            raise DataError(
                f"the packed labels cannot be read: {error}",
                where=str(folder),
                remedy=f"remove {folder}; the same command packs the images again",
            ) from error
    return DataSurvey(
        info=DatasetInfo(
            shape=manifest.shape,
            train_images=train.images,
            classes=manifest.classes,
            class_images=counts,
        ),
        looked_at=f"{counted(train.images, 'image')} of {manifest.shape} packed in {folder}",
    )


def _issue(what: str, where: str | None, remedy: str | None) -> Issue:
    """At the option that the message says to change, or else at that which names the files."""
    named = _OPTION.search(f"{where or ''} {remedy or ''}")
    shown = what if where is None or where.startswith("data.") else f"{what} ({where})"
    return Issue(option=named[1] if named else "path", what=shown, remedy=remedy)


def _read(kept: Path) -> DataSurvey | None:
    """A survey as it was kept; None where there is none that can be read."""
    try:
        found: dict[str, Any] = json.loads(read_file(kept, limit=_LARGEST_BYTES))
        info = found["info"]
        return DataSurvey(
            info=DatasetInfo(
                shape=ImageShape(**info["shape"]),
                train_images=int(info["train_images"]),
                classes=tuple(map(str, info["classes"])),
                class_images=tuple(map(int, info["class_images"])),
            ),
            looked_at=str(found["looked_at"]),
            issues=tuple(Issue(**issue) for issue in found["issues"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
