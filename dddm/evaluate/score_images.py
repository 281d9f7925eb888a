"""Scoring images that no run of ours drew: a folder, zip or npz file against real images."""

import json
from pathlib import Path
from typing import Any, Final

from dddm.errors import DataError
from dddm.evaluate.evaluator import Bench, RealImages
from dddm.evaluate.record import ScoreRecord
from dddm.evaluate.score import ImageSet, score_sets
from dddm.generate.storage import ARRAYS
from dddm.interfaces.data_report import ProgressCallback
from dddm.interfaces.dataset import Dataset, Split
from dddm.interfaces.observer import DataProgress
from dddm.interfaces.plugin import Kind
from dddm.recipe.model import ComponentConfig, Evaluation
from dddm.recipe.read import read_use
from dddm.registry.catalogue import Catalogue

_BY_SUFFIX: Final = {".npz": "npz", ".zip": "zip"}
_GREY: Final = 1


def is_images(path: Path) -> bool:
    """Whether a path is one of images: a folder, or a zip or npz file."""
    return path.is_dir() or (path.is_file() and path.suffix.lower() in _BY_SUFFIX)


def images_at(path: Path, *, catalogue: Catalogue, grey: bool = False) -> ComponentConfig:
    """The data set of the images in a folder, zip or npz file, without classes.

    A folder of samples that `dddm sample` drew stands for its `samples.npz`.

    Args:
        grey: whether files of images are read as grey; an npz file has the channels it has.

    Raises:
        DataError: if there is no such folder or file.
    """
    whole = path.expanduser().absolute()
    file = whole / ARRAYS if (whole / ARRAYS).is_file() else whole
    if not is_images(file):
        raise DataError(
            f"there are no images at {path}",
            where=str(whole),
            remedy="name a folder of images, a .zip of them, or an .npz file of ADM's layout",
        )
    name = "folder" if file.is_dir() else _BY_SUFFIX[file.suffix.lower()]
    colours = [f'channels="{"grey" if grey else "rgb"}"'] if name != "npz" else []
    options = [f"path={_quoted(str(file))}", 'classes="none"', *colours]
    return read_use(Kind.DATASET, name, options=options, catalogue=catalogue)


def _quoted(text: str) -> str:
    """As TOML writes it."""
    return json.dumps(text, ensure_ascii=False)


def open_real(use: ComponentConfig, *, bench: Bench) -> RealImages:
    """The splits of a data set, packed where they were not.

    Raises:
        DataError: if images are missing, damaged or of several sizes.
    """
    data: Dataset = use.instantiate()
    bench.processes.from_main(lambda: data.prepare(progress=_progress(bench)))
    return RealImages(use=use, splits=data.splits())


def score_images(
    path: Path, *, evaluation: Evaluation, real: RealImages, catalogue: Catalogue, bench: Bench
) -> tuple[ScoreRecord, ...]:
    """All scores of the images at `path`.

    Raises:
        DataError: if there are none, some cannot be read, they are not of one size, that of the
            real images, or they are in two parts, of which only one can be meant.
        DddmError: if the features cannot judge these images as the evaluation asks.
        StoppedEarly: when asked to stop.
    """
    use = images_at(path, catalogue=catalogue, grey=real.train.shape.channels == _GREY)
    try:
        found = open_real(use, bench=bench)
    except DataError as error:
        raise DataError(
            error.what,
            where=error.where,
            remedy="give images of one size that can all be read; scores look at them as they are",
        ) from error
    if found.held_out is not None:
        raise DataError(
            f"the images at {path} are in two parts, to train on and held out",
            where=str(path.absolute()),
            remedy="name the folder of the part that is meant",
        )
    split = found.train
    images = ImageSet(
        images=split,
        shape=split.shape,
        sampler=path.absolute().name,
        steps=0,
        evaluations=0,
        named=str(path),
        facts=_facts(path, split),
    )
    return score_sets(
        [images], evaluation=evaluation, real=real, recipe=None, bench=bench, about={}
    )


def _facts(path: Path, split: Split) -> dict[str, Any]:
    return {
        "path": str(path),
        "sha256": split.manifest,
        "images": len(split),
        "rounding": "uint8, as they are",
        "images_of_each_class": None,
    }


def _progress(bench: Bench) -> ProgressCallback:
    def progress(what: str, done: int, total: int) -> None:
        bench.notify(DataProgress(seconds=bench.clock(), what=what, done=done, total=total))
        bench.stop.raise_if_requested(where=f"{what}: {done:,} of {total:,} images")

    return progress
