"""Scores of images without a run: a folder, zip or npz file against real images."""

import json
from pathlib import Path
from typing import Final

from dddm.errors import DataError
from dddm.evaluate.evaluator import ImageSet, RealImages, score_sets
from dddm.evaluate.extract import EvaluationContext
from dddm.evaluate.record import ScoreRecord
from dddm.generate.storage import ARRAYS
from dddm.interfaces.observer import DataProgress
from dddm.interfaces.plugin import Kind
from dddm.recipe.model import ComponentConfig, Evaluation
from dddm.recipe.read import read_component
from dddm.registry.catalogue import Catalogue
from dddm.support.files import user_path
from dddm.training.build import open_splits

_DATASETS: Final = {".npz": "npz", ".zip": "zip"}


def images_at(path: Path, *, catalogue: Catalogue, grey: bool = False) -> ComponentConfig:
    """The data set of the images in a folder, zip or npz file, without classes.

    A folder that `dddm sample` wrote is read from its `samples.npz`.

    Args:
        grey: whether image files are read as grey; an npz file has the channels it has.

    Raises:
        DataError: if there is no such folder or file.
    """
    absolute = user_path(str(path))
    source = absolute / ARRAYS if (absolute / ARRAYS).is_file() else absolute
    name = "folder" if source.is_dir() else _DATASETS.get(source.suffix.lower())
    if name is None or not source.exists():
        raise DataError(
            f"there are no images at {path}",
            where=str(absolute),
            remedy="name a folder of images, a .zip of them, or an .npz file in ADM's layout",
        )
    # JSON quotes text as TOML does.
    options = [f"path={json.dumps(str(source), ensure_ascii=False)}", 'classes="none"']
    if name != "npz":
        options.append(f'channels="{"grey" if grey else "rgb"}"')
    return read_component(Kind.DATASET, name, options=options, catalogue=catalogue)


def open_real(config: ComponentConfig, *, context: EvaluationContext) -> RealImages:
    """The splits of a data set, packed if they were not.

    Raises:
        DataError: if images are missing, damaged or of several sizes.
    """

    def progress(what: str, done: int, total: int) -> None:
        context.events.emit(DataProgress, what=what, done=done, total=total)
        context.stop.raise_if_requested(where=f"{what}: {done:,} of {total:,} images")

    splits = open_splits(config, processes=context.processes, progress=progress)
    return RealImages(config=config, splits=splits)


def score_images(
    path: Path,
    *,
    evaluation: Evaluation,
    real: RealImages,
    catalogue: Catalogue,
    context: EvaluationContext,
) -> tuple[ScoreRecord, ...]:
    """All scores of the images at `path`.

    Raises:
        DataError: if there are none, some cannot be read, their sizes differ from each other or
            from the real images', or they have two splits.
        DddmError: if they do not fit the features or the scores.
        StoppedEarly: when asked to stop.
    """
    config = images_at(path, catalogue=catalogue, grey=real.train.shape.channels == 1)
    try:
        found = open_real(config, context=context)
    except DataError as error:
        raise DataError(
            error.what,
            where=error.where,
            remedy="use readable images of one size; scores do not resize them",
        ) from error
    if found.held_out is not None:
        raise DataError(
            f"the images at {path} have two splits, for training and held out",
            where=str(path.absolute()),
            remedy="name the folder of the split to score",
        )
    split = found.train
    images = ImageSet(
        images=split,
        shape=split.shape,
        sampler=path.absolute().name,
        steps=0,
        evaluations=0,
        title=str(path),
        manifest={
            "path": str(path),
            "sha256": split.manifest,
            "images": len(split),
            "rounding": "uint8, as they are",
            "images_of_each_class": None,
        },
    )
    return score_sets(
        [images], evaluation=evaluation, real=real, recipe=None, context=context, provenance={}
    )
