"""Evaluating: every set of samples of a run, scored against the training images.

Legend: N generated images.
"""

from collections.abc import Sequence
from typing import Any

import torch

from dddm.errors import DataError
from dddm.evaluate.evaluator import Bench, RealImages
from dddm.evaluate.merge_scores import RECIPE, merge_scores
from dddm.evaluate.record import ScoreRecord, read_scores, scores_to_text
from dddm.evaluate.score import ImageSet, score_sets
from dddm.generate.storage import ARRAYS, Samples, load_samples, sample_folders
from dddm.interfaces.info import ImageShape
from dddm.interfaces.observer import Notice
from dddm.recipe.model import Recipe
from dddm.support.files import atomic_write_text, sha256_of
from dddm.support.quantities import counted_steps
from dddm.train.run_folder import RunFolder


def evaluate(
    recipe: Recipe, *, folder: RunFolder, bench: Bench, asked_by: str = RECIPE
) -> tuple[ScoreRecord, ...]:
    """Score all samples under `folder.samples`, and write `scores.json`, whole or not at all.

    Sets that differ in their seed alone have one score: the mean, with its standard deviation.
    Scores that others asked for stay beside them in the file.

    Processes share the extraction of features; the first measures, writes and tells.

    Args:
        recipe: what the run was made by; its table `[evaluate]` says how to score.
        folder: the run's.
        asked_by: who wants to know: the recipe, or a preset that stands in its place.

    Returns:
        scores in the order of the features, then of the recipe's samplers, by rising network
        evaluations; none where the recipe has no table `[evaluate]`.

    Raises:
        StoppedEarly: when asked to stop; the scores before stay.
        DataError: if there are no samples, or some are damaged or of another shape than the data,
            or all too few for a score.
    """
    if recipe.evaluate is None:
        return ()
    sets = _load_sets(recipe, folder)
    before = _scores_before(folder, asked_by=asked_by, bench=bench)
    scores = score_sets(
        sets,
        evaluation=recipe.evaluate,
        real=RealImages(use=recipe.data, splits=recipe.data.instantiate().splits()),
        recipe=recipe,
        bench=bench,
        about={"asked_by": asked_by},
    )
    if bench.processes.main:
        present = {one.facts["sha256"] for one in sets}
        every = merge_scores(before, scores, asked_by=asked_by, samples=present)
        atomic_write_text(folder.scores, scores_to_text(every))
    return scores


def _scores_before(folder: RunFolder, *, asked_by: str, bench: Bench) -> Sequence[ScoreRecord]:
    """What stands in `scores.json`; the recipe's own scores may take the place of a damaged one.

    Raises:
        DataError: if it is damaged, and others than the recipe ask.
    """
    try:
        return read_scores(folder.scores)
    except DataError as error:
        if asked_by != RECIPE:
            raise
        bench.notify(Notice(seconds=bench.clock(), text=f"{error.what}; they are taken again"))
        return ()


def _load_sets(recipe: Recipe, folder: RunFolder) -> list[ImageSet]:
    """All samples, in the recipe's order."""
    sets = [
        _image_set(load_samples(path), sha256=sha256_of(path / ARRAYS))
        for path in sample_folders(folder.samples)
    ]
    if not sets:
        raise DataError(
            "there are no samples to score",
            where=str(folder.samples),
            remedy="give the run's `dddm run` command: it draws what its recipe asks for",
        )
    order = [spec.name for spec in recipe.sample]

    def place(one: ImageSet) -> tuple[int, str, int]:
        known = order.index(one.sampler) if one.sampler in order else len(order)
        return (known, one.sampler, one.evaluations)

    return sorted(sets, key=place)


def _image_set(samples: Samples, *, sha256: str) -> ImageSet:
    channels, height, width = samples.images.shape[1:]
    sampler, steps = samples.facts["sampler"], samples.facts["steps"]
    return ImageSet(
        images=samples.images,
        shape=ImageShape(channels=channels, height=height, width=width),
        sampler=sampler,
        steps=steps,
        evaluations=samples.facts["evaluations"],
        named=f"{sampler} at {counted_steps(steps, samples.facts['evaluations'])}",
        facts={**samples.facts, "sha256": sha256, **_content(samples)},
    )


def _content(samples: Samples) -> dict[str, Any]:
    """What the images are made of: how they were rounded, and how many of each class."""
    counts = None if samples.label is None else torch.bincount(samples.label).tolist()
    return {"rounding": "uint8, rounded", "images_of_each_class": counts}
