"""Look at images that the user has, and say how `[data]` reads them: the first half of `dddm init`.

Every image is decoded once, or twice where sizes differ, so that what the recipe says of them is
true.
"""

import difflib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, final

import torch
from attrs import frozen

from dddm.data.examine import examine_dataset
from dddm.errors import DataError, UsageError
from dddm.interfaces.data_report import DataReport, ProgressCallback
from dddm.interfaces.dataset import Dataset
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.interfaces.plugin import Kind
from dddm.recipe.choices import FEWEST_IMAGES, Images, usable_classes
from dddm.recipe.left_out import folder_name
from dddm.recipe.read import read_component
from dddm.recipe.write import inline
from dddm.registry.catalogue import Catalogue
from dddm.support.files import user_path
from dddm.support.quantities import counted

_SIZES: Final = (8, 16, 24, 28, 32, 48, 64, 96, 128)
"""Sides that a network can halve."""
_HALVED: Final = 4
_HELD_OUT: Final = 10
_MOST_HELD_OUT: Final = 500
_FORMATS: Final = {
    ".zip": "zip",
    ".npz": "npz",
    ".tar": "webdataset",
    ".parquet": "parquet",
    ".arrow": "parquet",
}
_FOLDERS_OF: Final = {"webdataset", "parquet"}
"""What reads a folder of such files."""

ShowProgress = Callable[[], AbstractContextManager[ProgressCallback]]
"""Shows progress within its block, and nothing while the user is asked."""

AskAlpha = Callable[[str], str]
"""Given a sentence on transparent images, the user's choice: white, black or refuse."""


@final
@frozen(kw_only=True)
class OwnImages:
    """What was found, and how it is read.

    Attributes:
        name: for the recipe: letters, digits, '.', '_' and '-'.
        options: of `[data]`, each with a comment, which may be empty.
        facts: of the images to train on.
        fewest: images of the smallest class, or of all where classes are not used.
        uses_classes: whether the network is to be given them.
        remarks: on what was found, a sentence each.
    """

    name: str
    options: Mapping[str, tuple[Any, str]]
    facts: DatasetInfo
    fewest: int
    uses_classes: bool
    remarks: tuple[str, ...]

    @property
    def chosen(self) -> Images:
        """As what a recipe says depends on them."""
        return Images(info=self.facts, fewest=self.fewest, uses_classes=self.uses_classes)


def look_at(
    source: str,
    *,
    catalogue: Catalogue,
    size: int | None,
    largest: int,
    ask_alpha: AskAlpha,
    progress: ShowProgress,
) -> OwnImages:
    """Look at a folder, an archive, an .npz file or an installed data set.

    Args:
        size: side that images get; None chooses one.
        largest: side that is chosen at most.

    Raises:
        UsageError: if there is no such thing.
        DataError: if it has no images to learn from.
    """
    use = _format_of(user_path(source))
    if use is None:
        return _installed(source, catalogue=catalogue, progress=progress)
    looker = _Looker(use=use, path=source, catalogue=catalogue, progress=progress)
    return looker.look(size=size, largest=largest, ask_alpha=ask_alpha)


def _format_of(path: Path) -> str | None:
    """The data set that reads it; None where there is no such file.

    A folder whose largest file is an archive or a table holds images in such files.
    """
    if not path.is_dir():
        return _FORMATS.get(path.suffix.lower()) if path.exists() else None
    files = (file for file in path.rglob("[!.]*") if file.is_file())
    largest = max(files, key=lambda file: file.stat().st_size, default=path)
    use = _FORMATS.get(largest.suffix.lower())
    return use if use in _FOLDERS_OF else "folder"


def _installed(source: str, *, catalogue: Catalogue, progress: ShowProgress) -> OwnImages:
    names = [one.name for one in catalogue.components(Kind.DATASET)]
    if source not in names:
        near = difflib.get_close_matches(source, names, n=1)
        raise UsageError(
            f"{source} is neither a folder, a .zip or .npz file, nor a data set",
            where=source,
            remedy=f"did you mean {near[0]}?"
            if near
            else "name a folder of images; a relative path starts from the working directory",
        )
    if source in {"folder", *_FORMATS.values()}:
        raise UsageError(f"{source} reads files of yours: name these instead", where=source)
    dataset: Dataset = read_component(Kind.DATASET, source, catalogue=catalogue).instantiate()
    with progress() as shown:
        dataset.prepare(progress=shown)
    split = dataset.splits()["train"]
    labels_N = split.labels(torch.arange(len(split)))
    counts = (
        {}
        if labels_N is None
        else dict(zip(split.classes, torch.bincount(labels_N).tolist(), strict=False))
    )
    facts = DatasetInfo(shape=split.shape, train_images=len(split), classes=split.classes)
    uses = usable_classes([*counts.values()])
    return OwnImages(
        name=f"my-{source}",
        options={"use": (source, "")},
        facts=facts,
        fewest=min(counts.values()) if uses else len(split),
        uses_classes=uses,
        remarks=(f"{len(split):,} images of {split.shape} (channels×height×width)",),
    )


@final
class _Looker:
    def __init__(
        self, *, use: str, path: str, catalogue: Catalogue, progress: ShowProgress
    ) -> None:
        self._use = use
        self._catalogue = catalogue
        self._progress = progress
        self._options: dict[str, tuple[Any, str]] = {"use": (use, ""), "path": (path, "")}
        self._where = path

    def look(self, *, size: int | None, largest: int, ask_alpha: AskAlpha) -> OwnImages:
        report = self._report_with_or_without_classes()
        found = sum(split.images for split in report.splits.values())
        wrong = [one for one in report.problems if one.wrong_size]
        damaged = [one for one in report.problems if one.damaged]
        others = [one for one in report.problems if not (one.wrong_size or one.damaged)]
        if others:
            raise DataError(
                f"{counted(len(others), 'problem')} with these images; the first: {others[0].what}",
                where=others[0].where,
                remedy=others[0].remedy or "replace or remove the file",
            )
        if found + len(wrong) < FEWEST_IMAGES:
            raise DataError(
                f"{counted(found + len(wrong), 'image')} can be read, too few to learn from",
                where=self._where,
                remedy=f"collect {FEWEST_IMAGES} or more; hundreds are better",
            )
        of = "of several sizes, such as" if wrong else "of"
        remarks = [f"{found + len(wrong):,} images {of} {_in_pixels(report)}"]
        if damaged:
            self._options["damaged"] = ("skip", f"{len(damaged):,}, such as {damaged[0].where}")
        if self._use != "npz":
            self._choose_size(report, size=size, largest=largest, differ=bool(wrong))
        elif size is not None:
            raise UsageError(
                "images in an .npz file are taken as they are",
                where="--size",
                remedy="leave --size out, or give a folder or .zip file of images",
            )
        if wrong or damaged:
            report = self._report()
            found = sum(split.images for split in report.splits.values())
        self._choose_colors(report, images=found, ask_alpha=ask_alpha)
        return self._held_out(report, remarks=remarks)

    def _dataset(self) -> Dataset:
        written = [f"{key}={inline(value)}" for key, (value, _) in self._options.items()]
        dataset: Dataset = read_component(
            Kind.DATASET, self._use, options=written[1:], catalogue=self._catalogue
        ).instantiate()
        return dataset

    def _report(self) -> DataReport:
        with self._progress() as shown:
            return examine_dataset(self._dataset(), progress=shown)

    def _report_with_or_without_classes(self) -> DataReport:
        try:
            return self._report()
        except DataError:
            self._options["classes"] = ("none", "")
            return self._report()  # which raises what is wrong in any case

    def _choose_size(
        self, report: DataReport, *, size: int | None, largest: int, differ: bool
    ) -> None:
        shape = shape_of(report)
        side = min(shape.height, shape.width)
        square = shape.height == shape.width and not differ
        if size is None and square and side <= largest and side % _HALVED == 0:
            return
        chosen = size or max(
            (one for one in _SIZES if one <= min(side, largest)), default=_SIZES[0]
        )
        comment = "the central square, resized"
        if size is None and side >= 2 * chosen:
            comment += f"; {2 * chosen} is finer and takes four times as long"
        self._options["size"] = (chosen, comment)

    def _choose_colors(self, report: DataReport, *, images: int, ask_alpha: AskAlpha) -> None:
        transparent = _noted(report, "transparency → white")
        if transparent:
            sentence = f"{transparent:,} of {images:,} images have transparent pixels"
            alpha = ask_alpha(sentence)
            if alpha == "refuse":
                raise DataError(
                    sentence, where=self._where, remedy="replace them, or choose white or black"
                )
            self._options["alpha"] = (alpha, sentence)
        if self._use != "npz" and _noted(report, "grey → RGB") == images:
            self._options["channels"] = ("grey", "")

    def _held_out(self, report: DataReport, *, remarks: list[str]) -> OwnImages:
        train = report.splits["train"]
        counts = dict(train.classes)
        uses = usable_classes([*counts.values()])
        if counts and not uses and "classes" not in self._options:
            why = counted(len(counts), "class", "classes")
            why += f", the smallest of {min(counts.values()):,}"
            self._options["classes"] = ("none", why)
        elif uses:
            remarks.append(f"{len(counts):,} classes of {min(counts.values()):,} or more images")
        held_out = 0
        if len(report.splits) == 1:
            held_out = max(1, min(train.images // _HELD_OUT, _MOST_HELD_OUT))
            self._options["held_out_images"] = (held_out, "which scores are compared with")
        shape = shape_of(report)
        if "size" in self._options:
            side = self._options["size"][0]
            shape = ImageShape(channels=shape.channels, height=side, width=side)
        if self._options.get("channels", ("",))[0] == "grey":
            shape = ImageShape(channels=1, height=shape.height, width=shape.width)
        fewest = train.images - held_out
        if uses:
            least = min(counts.values())
            fewest = least - -(-held_out * least // train.images)
        return OwnImages(
            name=folder_name(user_path(self._where).resolve().stem),
            options=self._options,
            facts=DatasetInfo(
                shape=shape,
                train_images=train.images - held_out,
                classes=tuple(counts) if uses else (),
            ),
            fewest=fewest,
            uses_classes=uses,
            remarks=tuple(remarks),
        )


def _noted(report: DataReport, note: str) -> int:
    """How often a conversion was made, from `note: 1,234`."""
    for line in report.notes:
        what, _, times = line.rpartition(": ")
        if what == note:
            return int(times.replace(",", ""))
    return 0


def shape_of(report: DataReport) -> ImageShape:
    """The shape of images, from `3×32×32`.

    Raises:
        DataError: if there is none, or splits differ.
    """
    try:
        channels, height, width = map(int, str(report.shape).split("×"))
    except ValueError as error:
        raise DataError(f"the images have no common shape: {report.shape}") from error
    return ImageShape(channels=channels, height=height, width=width)


def _in_pixels(report: DataReport) -> str:
    shape = shape_of(report)
    return f"{shape.height}×{shape.width} pixels"
