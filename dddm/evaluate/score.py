"""Scoring sets of images, of whatever origin, against real ones: each in one extraction.

Legend: N images of a set.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, final

from attrs import frozen
from torch import Tensor

from dddm.errors import DataError, PluginError
from dddm.evaluate.evaluator import Bench, Judge, RealImages, make_judge, refuse_unfit
from dddm.evaluate.extract import MOST_KEPT, extract
from dddm.evaluate.over_seeds import over_seeds
from dddm.evaluate.record import ScoreRecord
from dddm.interfaces.dataset import Split
from dddm.interfaces.features import Extraction
from dddm.interfaces.info import ImageShape, Measure
from dddm.interfaces.measurement import Floor, Measurement
from dddm.interfaces.observer import Notice, ScoreMeasured
from dddm.interfaces.score import Reference, Score
from dddm.recipe.model import ComponentConfig, Evaluation, Recipe, plain, score_info
from dddm.recipe.protocol import Taken, warning_of
from dddm.support.quantities import counted


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
) -> tuple[ScoreRecord, ...]:
    """All scores of all sets in all features, those of one sampler and step count over their seeds.

    All checks run before the first image is read.

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
    scores: list[ScoreRecord] = []
    every = refuse_unfit(evaluation, shape=real.train.shape)
    for use, features in zip(evaluation.features, every, strict=True):
        judge = make_judge(
            use,
            features,
            real=real,
            scores=evaluation.scores,
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
                        score=score.name,
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
    for use in evaluation.scores:
        name, fewest = use.component.name, score_info(use).fewest_images
        if min(most, there) < fewest:
            raise DataError(
                f'no set has images enough for the score "{name}", which takes '
                f"{fewest}: {_few(most, there)}",
                where="evaluate.scores",
                remedy=f'draw more samples, or leave "{name}" out',
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
) -> list[ScoreRecord]:
    """All scores of one set of images; none in a process that is not the first."""
    began = time.perf_counter()
    progress = bench.telling(f"features of {images.named}", len(images.images))
    generated = extract(judge.features, images.images, processes=bench.processes, progress=progress)
    if not bench.processes.main:
        return []
    extraction_seconds = time.perf_counter() - began
    scores = []
    for use in _measurable(evaluation, images, judge=judge, bench=bench):
        began = time.perf_counter()
        found = list(_measured(use, generated=generated, reference=judge.reference))
        seconds = round(extraction_seconds + time.perf_counter() - began, 3)
        for measure, measured, floors in found:
            facts = {
                **about,
                **judge.provenance,
                "score": use.identity,
                "samples": images.facts,
                "formula": measured.formula,
                "seconds": seconds,
            }
            record = _record(
                measure,
                measured,
                floors,
                images,
                judge=judge,
                evaluation=evaluation,
                provenance=facts,
            )
            told.of(record.provenance["warnings"])
            scores.append(record)
    return scores


def take(
    use: ComponentConfig, *, generated: Extraction, reference: Reference
) -> Mapping[str, Measurement]:
    """What a score measures: exactly what its facts name.

    Raises:
        PluginError: if it measures something else.
    """
    score: Score = use.instantiate()
    found = score.measure(generated=generated, reference=reference)
    named = [measure.name for measure in score_info(use).measures]
    if set(found) != set(named):
        raise PluginError(
            f"the score {use.component.id} measures {', '.join(found) or 'nothing'}, and says that "
            f"it measures {', '.join(named)}",
            remedy=f"dddm plugin test {use.component.id}",
        )
    return found


def _measured(
    use: ComponentConfig, *, generated: Extraction, reference: Reference
) -> Iterator[tuple[Measure, Measurement, tuple[Floor, ...]]]:
    """Its measures in their order, each with its measurement and what real images reach."""
    found = take(use, generated=generated, reference=reference)
    score: Score = use.instantiate()
    floors = score.floors(generated=generated, reference=reference)
    for measure in score_info(use).measures:
        yield measure, found[measure.name], tuple(floors.get(measure.name, ()))


def _measurable(
    evaluation: Evaluation, images: ImageSet, *, judge: Judge, bench: Bench
) -> list[ComponentConfig]:
    """The scores for which there are enough images; of the others it is said."""
    count, real = len(images.images), len(judge.reference.train)
    found: list[ComponentConfig] = []
    for use in evaluation.scores:
        name, fewest = use.component.name, score_info(use).fewest_images
        if min(count, real) >= fewest:
            found.append(use)
            continue
        text = f"{images.named}: no {name}, which takes {fewest} images; {_few(count, real)}"
        bench.notify(Notice(seconds=bench.clock(), text=text))
    return found


def _record(
    measure: Measure,
    measured: Measurement,
    floors: tuple[Floor, ...],
    images: ImageSet,
    *,
    judge: Judge,
    evaluation: Evaluation,
    provenance: dict[str, Any],
) -> ScoreRecord:
    protocol = evaluation.protocol
    taken = Taken(
        measure=measure,
        features=judge.use.component.id,
        as_they_come=judge.use.all_defaults,
        images=len(images.images),
        training_images=judge.reference.images,
        sampled_training_images=measured.training_images,
    )
    warnings = list(judge.warnings)
    if protocol is not None:
        provenance = {**provenance, "protocol": plain(protocol)}
        departs = warning_of(protocol, taken.departures(protocol))
        warnings += [] if departs is None else [departs]
    return ScoreRecord(
        measure=measure,
        name=taken.name(protocol),
        value=measured.value,
        sampler=images.sampler,
        steps=images.steps,
        evaluations=images.evaluations,
        images=taken.images,
        reference_images=taken.training_images,
        floors=floors,
        details=measured.details,
        provenance={**provenance, "warnings": warnings},
    )
