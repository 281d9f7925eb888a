"""Scoring sets of images, of whatever origin, against real ones: each in one extraction.

Legend: N images of a set.
"""

import time
from collections.abc import Sequence
from itertools import groupby
from typing import Any, final

from attrs import frozen
from torch import Tensor

from dddm.errors import DataError
from dddm.interfaces.dataset import Split
from dddm.interfaces.facts import ImageShape
from dddm.interfaces.observer import Notice, ScoreMeasured
from dddm.recipe.model import Evaluation, Recipe, plain
from dddm.scores.kinds import FEWEST, Metric
from dddm.scores.measure import Measurement, measure
from dddm.scores.over_seeds import over_seeds
from dddm.scores.protocol import Taken, warning_of
from dddm.scores.record import Score
from dddm.support.quantities import counted
from dddm.tasks.extract import MOST_KEPT, extract
from dddm.tasks.judge import Bench, Judge, RealImages, make_judge, refuse_unfit


@final
@frozen(kw_only=True, eq=False)
class ImageSet:
    """Images that are scored together.

    Attributes:
        images: uint8, (N, C, H, W) where they are a tensor.
        sampler: who made them.
        steps: of the sampler; 0 where nobody knows.
        evaluations: network evaluations for one image; 0 where nobody knows.
        named: what messages call them.
        facts: where they come from, for the scores' provenance.
    """

    images: Split | Tensor
    shape: ImageShape
    sampler: str
    steps: int
    evaluations: int
    named: str
    facts: dict[str, Any]


def score_sets(
    sets: Sequence[ImageSet],
    *,
    evaluation: Evaluation,
    real: RealImages,
    recipe: Recipe | None,
    bench: Bench,
    about: dict[str, Any],
) -> tuple[Score, ...]:
    """All scores of all sets in all features, those of one sampler and step count over their seeds.

    Whatever can be refused is refused before the first image is looked at.

    Args:
        recipe: what the network was trained by that made the images; None where nobody knows.
        about: what else stands in every score's provenance.

    Returns:
        scores in the order of features, then of `sets`; none in a process that is not the first.

    Raises:
        DddmError: if the features cannot judge these images as the evaluation asks.
        StoppedEarly: when asked to stop.
    """
    refuse_unlike(sets, real)
    refuse_too_few(sets, evaluation, real)
    scores: list[Score] = []
    every = refuse_unfit(evaluation, shape=real.train.shape)
    for use, features in zip(evaluation.features, every, strict=True):
        judge = make_judge(
            use,
            features,
            real=real,
            neighbour_images=evaluation.settings.neighbour_images,
            recipe=recipe,
            bench=bench,
        )
        told = Warned(bench)
        told.of(judge.warnings)
        for _, alike in groupby(sets, key=lambda one: (one.sampler, one.steps)):
            found = [
                score
                for images in alike
                for score in _score(
                    images, evaluation=evaluation, judge=judge, bench=bench, about=about, told=told
                )
            ]
            for score in over_seeds(found):
                scores.append(score)
                bench.notify(
                    ScoreMeasured(
                        seconds=bench.clock(),
                        metric=score.name,
                        sampler=score.sampler,
                        steps=score.steps,
                        evaluations=score.evaluations,
                        value=score.value,
                    )
                )
    return tuple(scores)


@final
class Warned:
    """Tells each sentence once."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._said: set[str] = set()

    def of(self, sentences: Sequence[str]) -> None:
        """Tell those that are new."""
        for text in sentences:
            if text not in self._said:
                self._said.add(text)
                self._bench.notify(Notice(seconds=self._bench.clock(), text=text))


def refuse_unlike(sets: Sequence[ImageSet], real: RealImages) -> None:
    """All images must be of the shape of the real ones.

    Raises:
        DataError: with both shapes.
    """
    for one in sets:
        if one.shape != real.train.shape:
            raise DataError(
                f"the samples of {one.named} are {one.shape}, the data are {real.train.shape}",
                where="data",
                remedy="score images against real ones of their own size",
            )


def refuse_too_few(sets: Sequence[ImageSet], evaluation: Evaluation, real: RealImages) -> None:
    """Some set must have images enough for each score that is asked for.

    Raises:
        DataError: with the score, what it takes, and what there is.
    """
    most, there = max(len(one.images) for one in sets), min(len(real.train), MOST_KEPT)
    for metric in evaluation.settings.metrics:
        if min(most, there) < FEWEST[metric]:
            raise DataError(
                f'no set has images enough for the score "{metric}", which takes '
                f"{FEWEST[metric]}: {_few(most, there)}",
                where="evaluate.metrics",
                remedy=f'draw more samples, or leave "{metric}" out',
            )


def _few(images: int, real: int) -> str:
    return f"there {'is' if images == 1 else 'are'} {counted(images, 'image')} and " + counted(
        real, "training image"
    )


def _score(
    images: ImageSet,
    *,
    evaluation: Evaluation,
    judge: Judge,
    bench: Bench,
    about: dict[str, Any],
    told: Warned,
) -> list[Score]:
    """All scores of one set of images; none in a process that is not the first."""
    began = time.perf_counter()
    progress = bench.telling(f"features of {images.named}", len(images.images))
    generated = extract(judge.features, images.images, processes=bench.processes, progress=progress)
    if not bench.processes.main:
        return []
    extraction_seconds = time.perf_counter() - began
    scores = []
    metrics = _measurable(evaluation, images, judge=judge, bench=bench)
    began = time.perf_counter()
    for metric, measured in measure(metrics, generated=generated, reference=judge.reference):
        seconds = time.perf_counter() - began
        facts = {**about, **judge.provenance, "samples": images.facts, "formula": measured.formula}
        facts["seconds"] = round(extraction_seconds + seconds, 3)
        score = _record(
            metric, measured, images, judge=judge, evaluation=evaluation, provenance=facts
        )
        told.of(score.provenance["warnings"])
        scores.append(score)
        began = time.perf_counter()
    return scores


def _measurable(
    evaluation: Evaluation, images: ImageSet, *, judge: Judge, bench: Bench
) -> list[Metric]:
    """The metrics for which there are enough images; of the others it is said."""
    count, real = len(images.images), len(judge.reference.train)
    found: list[Metric] = []
    for metric in evaluation.settings.metrics:
        if min(count, real) >= FEWEST[metric]:
            found.append(metric)
            continue
        few = _few(count, real)
        text = f"{images.named}: no {metric}, which takes {FEWEST[metric]} images; {few}"
        bench.notify(Notice(seconds=bench.clock(), text=text))
    return found


def _record(
    metric: str,
    measured: Measurement,
    images: ImageSet,
    *,
    judge: Judge,
    evaluation: Evaluation,
    provenance: dict[str, Any],
) -> Score:
    protocol = evaluation.protocol
    taken = Taken(
        metric=metric,
        features=judge.use.component.id,
        as_they_come=judge.use.as_it_comes,
        images=len(images.images),
        training_images=judge.reference.images,
        neighbour_images=judge.reference.neighbourhoods,
    )
    warnings = list(judge.warnings)
    if protocol is not None:
        provenance = {**provenance, "protocol": plain(protocol)}
        departs = warning_of(protocol, taken.departures(protocol))
        warnings += [] if departs is None else [departs]
    return Score(
        metric=metric,
        name=taken.name(protocol),
        value=measured.value,
        sampler=images.sampler,
        steps=images.steps,
        evaluations=images.evaluations,
        images=taken.images,
        reference_images=taken.training_images,
        floors=measured.floors,
        details=measured.details,
        provenance={**provenance, "warnings": warnings},
    )
