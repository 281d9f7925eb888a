"""Scores every set of samples of a run against its training images."""

from collections.abc import Sequence

import torch

from dddm.errors import DataError
from dddm.evaluate.evaluator import ImageSet, RealImages, score_sets
from dddm.evaluate.extract import EvaluationContext
from dddm.evaluate.record import (
    FROM_RECIPE,
    ScoreRecord,
    merge_scores,
    read_scores,
    scores_to_text,
)
from dddm.generate.storage import ARRAYS, Samples, load_samples, sample_folders
from dddm.interfaces.info import ImageShape
from dddm.support.files import atomic_write_text, sha256_of
from dddm.support.quantities import counted_steps
from dddm.training.build import open_splits
from dddm.training.context import RunContext


def evaluate(context: RunContext, *, requested_by: str = FROM_RECIPE) -> tuple[ScoreRecord, ...]:
    """Score all samples of a run as its recipe says, and write `scores.json`, atomically.

    Sets that differ only in their seed have one score, their mean.  Scores that were requested
    otherwise stay in the file.  Processes share the extraction of features.

    Args:
        requested_by: `recipe`, or the preset that replaces its table `[evaluate]`.

    Returns:
        scores in the order of the features, then of the recipe's samplers, by rising network
        evaluations; none if the recipe has no table `[evaluate]`.

    Raises:
        StoppedEarly: when asked to stop; `scores.json` is unchanged.
        DataError: if there are no samples, or some are damaged or of another shape than the data,
            or too few for a score.
    """
    recipe, folder = context.recipe, context.folder
    if recipe.evaluate is None:
        return ()
    sets = _load_sets(context)
    before = _existing_scores(context, requested_by=requested_by)
    scores = score_sets(
        sets,
        evaluation=recipe.evaluate,
        real=RealImages(
            config=recipe.data, splits=open_splits(recipe.data, processes=context.processes)
        ),
        recipe=recipe,
        context=EvaluationContext(
            events=context.events,
            device=context.device,
            stop=context.stop,
            processes=context.processes,
        ),
        provenance={"requested_by": requested_by},
    )
    if context.processes.main:
        samples = {one.manifest["sha256"] for one in sets}
        merged = merge_scores(before, scores, requested_by=requested_by, samples=samples)
        atomic_write_text(folder.scores, scores_to_text(merged))
    return scores


def _existing_scores(context: RunContext, *, requested_by: str) -> Sequence[ScoreRecord]:
    """What is in `scores.json`; the recipe's own scores replace a damaged file."""
    try:
        return read_scores(context.folder.scores)
    except DataError as error:
        if requested_by != FROM_RECIPE:
            raise
        context.events.notice(f"{error.what}; they are measured again")
        return ()


def _load_sets(context: RunContext) -> list[ImageSet]:
    """All samples, in the recipe's order."""
    folder = context.folder.samples
    sets = [
        image_set(load_samples(path), sha256=sha256_of(path / ARRAYS))
        for path in sample_folders(folder)
    ]
    if not sets:
        raise DataError(
            "there are no samples to score",
            where=str(folder),
            remedy="repeat the run's `dddm run` command, which generates the recipe's samples",
        )
    order = [spec.name for spec in context.recipe.sample]

    def place(one: ImageSet) -> tuple[int, str, int]:
        known = order.index(one.sampler) if one.sampler in order else len(order)
        return (known, one.sampler, one.evaluations)

    return sorted(sets, key=place)


def image_set(samples: Samples, *, sha256: str) -> ImageSet:
    """Samples as a set to score.

    Args:
        sha256: of their archive.
    """
    channels, height, width = samples.images.shape[1:]
    facts = samples.facts
    of_each_class: list[int] | str | None = None
    if samples.label is not None:
        # At random, the numbers differ between seeds, and scores are compared and averaged anyway.
        random = facts.get("random_classes")
        of_each_class = "at random" if random else torch.bincount(samples.label).tolist()
    return ImageSet(
        images=samples.images,
        labels=samples.label,
        random_classes=None if samples.label is None else bool(facts.get("random_classes")),
        shape=ImageShape(channels=channels, height=height, width=width),
        sampler=facts["sampler"],
        steps=facts["steps"],
        evaluations=facts["evaluations"],
        title=f"{facts['sampler']} at {counted_steps(facts['steps'], facts['evaluations'])}",
        manifest={
            **facts,
            "sha256": sha256,
            "rounding": "uint8, rounded",
            "images_of_each_class": of_each_class,
        },
    )
