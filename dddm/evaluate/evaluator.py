"""Scores sets of images against real ones, in each of the features of an evaluation.

Legend: N images of a set.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any, Final, final

from attrs import evolve, frozen
from torch import Tensor

from dddm.errors import DataError, PluginError, RecipeError
from dddm.evaluate.baselines import applies, baseline_images
from dddm.evaluate.circular import relations
from dddm.evaluate.extract import (
    MAX_KEPT,
    EvaluationContext,
    RealFeatures,
    extract_cached,
    extract_together,
    real_features,
)
from dddm.evaluate.record import ScoreRecord, mean_over_seeds
from dddm.interfaces.data_report import no_progress
from dddm.interfaces.dataset import Split
from dddm.interfaces.features import Extraction, Features
from dddm.interfaces.info import ImageShape, Measure
from dddm.interfaces.measurement import Baseline, Floor, Measurement
from dddm.interfaces.observer import DataProgress, ScoreMeasured
from dddm.interfaces.score import Reference, Score
from dddm.recipe.model import ComponentConfig, Evaluation, Recipe, plain, score_info
from dddm.recipe.protocol import score_name
from dddm.training.versions import machine, versions

_SECONDS_BETWEEN_REPORTS: Final = 1.0
_FLIPS: Final = False
"""Features that learn do it without mirrored images, whatever training does: all runs on the same
images are scored in the same features."""


@final
@frozen(kw_only=True)
class RealImages:
    """The data set that samples are compared with, and its splits."""

    config: ComponentConfig
    splits: Mapping[str, Split]

    @property
    def train(self) -> Split:
        return self.splits["train"]

    @property
    def held_out(self) -> Split | None:
        """Images that training did not use; None if there are none."""
        split = self.splits.get("held-out")
        return split if split is not None and len(split) else None


@final
@frozen(kw_only=True, eq=False)
class ImageSet:
    """Images that are scored together.

    Attributes:
        images: uint8, (N, C, H, W) if they are a tensor.
        labels: (N,), int64, of a tensor; None if they have none.
        sampler: its name, or another name of their origin.
        steps: of the sampler; 0 if unknown.
        evaluations: network evaluations for one image; 0 if unknown.
        title: their name in messages.
        manifest: their origin, for the provenance of scores.
        random_classes: whether their classes were drawn at random, not taken in turn; None if
            that is unknown, or they have none.
    """

    images: Split | Tensor
    shape: ImageShape
    sampler: str
    steps: int
    evaluations: int
    title: str
    manifest: dict[str, Any]
    labels: Tensor | None = None
    random_classes: bool | None = None


def validate_features(
    config: ComponentConfig, features: Features, evaluation: Evaluation, *, shape: ImageShape
) -> None:
    """Check that features take images of this shape and offer what the scores need.

    Raises:
        DataError: if they do not take these images.
        RecipeError: if a score needs logits and they have none.
    """
    features.check_shape(shape)
    for score in evaluation.scores:
        if score_info(score).logits and not features.has_logits:
            raise RecipeError(
                f'the score "{score.component.name}" needs features with logits of classes; '
                f"{config.component.name} has none",
                where="evaluate.scores",
                remedy=f'remove "{score.component.name}", or use other features',
            )


def build_features(evaluation: Evaluation, *, images: Split) -> tuple[Features, ...]:
    """The features of an evaluation, validated; errors as in `validate_features`.

    Args:
        images: real images that samples are compared with; features may learn from them.
    """
    built = []
    for config in evaluation.features:
        features: Features = config.instantiate()
        features.identify(images, flips=_FLIPS)
        validate_features(config, features, evaluation, shape=images.shape)
        built.append(features)
    return tuple(built)


def prepare_features(features: Features, images: Split, *, context: EvaluationContext) -> None:
    """Let features learn, if they do: in the first process, then in the others.

    Args:
        images: as in `build_features`.

    Raises:
        StoppedEarly: when asked to stop; what was learned is resumed.
    """

    def progress(what: str, done: int, total: int) -> None:
        context.events.emit(DataProgress, what=what, done=done, total=total)
        context.stop.raise_if_requested(where=f"{what}: {done:,} of {total:,} images")

    prepare = partial(features.prepare, images=images, flips=_FLIPS, device=context.device)
    sentence = context.processes.from_main(lambda: prepare(progress=progress))
    if not context.processes.main:
        prepare(progress=no_progress)
    if sentence is not None:
        context.events.notice(sentence)


def score_sets(
    sets: Sequence[ImageSet],
    *,
    evaluation: Evaluation,
    real: RealImages,
    recipe: Recipe | None,
    context: EvaluationContext,
    provenance: dict[str, Any],
) -> tuple[ScoreRecord, ...]:
    """All scores of all sets in all features, as means over seeds.

    All checks run before the first image is read.

    Args:
        recipe: of the training of the network that made the images; None if unknown.
        provenance: what else to record with each score.

    Returns:
        scores in the order of features, then of `sets`; none in a process other than the first.

    Raises:
        DddmError: if the images do not fit the real ones, the features or the scores.
        StoppedEarly: when asked to stop.
    """
    _check_sets(sets, evaluation, real)
    built = build_features(evaluation, images=real.train)
    records: list[ScoreRecord] = []
    announced: set[str] = set()
    for config, features in zip(evaluation.features, built, strict=True):
        evaluator = Evaluator(
            config,
            features,
            evaluation=evaluation,
            real=real,
            recipe=recipe,
            context=context,
            announced=announced,
        )
        for _, same_steps in groupby(sets, key=lambda one: (one.sampler, one.steps)):
            found = [
                record
                for images in same_steps
                for record in evaluator.score(images, provenance=provenance)
            ]
            for record in mean_over_seeds(found):
                records.append(record)
                context.events.emit(
                    ScoreMeasured,
                    score=record.name,
                    sampler=record.sampler,
                    steps=record.steps,
                    evaluations=record.evaluations,
                    value=record.value,
                )
    return tuple(records)


def _check_sets(sets: Sequence[ImageSet], evaluation: Evaluation, real: RealImages) -> None:
    for one in sets:
        if one.shape != real.train.shape:
            raise DataError(
                f"the images of {one.title} are {one.shape}, the real ones {real.train.shape}",
                where="data",
                remedy="compare images with real ones of the same size",
            )
    images, training_images = max(len(one.images) for one in sets), len(real.train)
    for score in evaluation.scores:
        problem = _too_few_images(score, images, min(training_images, MAX_KEPT))
        if problem is not None:
            raise DataError(
                problem,
                where="evaluate.scores",
                remedy=f'generate more samples, or remove "{score.component.name}"',
            )


def _too_few_images(score: ComponentConfig, images: int, training_images: int) -> str | None:
    fewest = score_info(score).fewest_images
    if min(images, training_images) >= fewest:
        return None
    return (
        f'the score "{score.component.name}" needs at least {fewest} generated and {fewest} '
        f"training images, but there are {images:,} and {training_images:,}"
    )


def measure(
    config: ComponentConfig, *, generated: Any, reference: Reference
) -> Mapping[str, Measurement]:
    """What a score measures, by the names of its measures.

    Raises:
        PluginError: if these are not the ones that it declares.
    """
    score: Score = config.instantiate()
    found = score.measure(generated=generated, reference=reference)
    declared = [measure.name for measure in score_info(config).measures]
    if set(found) != set(declared):
        raise PluginError(
            f"the score {config.component.id} measures {', '.join(found) or 'nothing'}, but "
            f"declares {', '.join(declared)}",
            remedy=f"dddm plugin test {config.component.id}",
        )
    return found


@final
class Evaluator:
    """Scores sets of images in one of the features, against real images that are read once.

    Args:
        config: of `features`.
        recipe: of the training of the network that made the images; None if unknown.
        announced: warnings already announced; shared by the evaluators of all features.

    Raises:
        DataError: if a feature of a real image is not finite.
        StoppedEarly: when asked to stop.
    """

    def __init__(
        self,
        config: ComponentConfig,
        features: Features,
        *,
        evaluation: Evaluation,
        real: RealImages,
        recipe: Recipe | None,
        context: EvaluationContext,
        announced: set[str],
    ) -> None:
        self._config, self._features, self._evaluation = config, features, evaluation
        self._context, self._announced = context, announced
        found = () if recipe is None else relations(recipe, config, features, images=real.train)
        self._warnings = tuple(relation.sentence for relation in found)
        self._announce(self._warnings)
        prepare_features(features, real.train, context=context)
        train = self._real_features(real.train, "training images")
        held_out = None
        if real.held_out is not None:
            held_out = self._real_features(real.held_out, "held-out images")
        self._known = None if train is None else _reference(train, held_out=held_out)
        self._train = real.train
        self._real = real.config
        self._extracted_baselines: dict[int, list[tuple[str, str, Extraction]]] = {}
        self._scored_baselines: dict[tuple[int, str, bool], dict[str, list[Baseline]]] = {}
        used = [config, real.config, *evaluation.scores] if recipe is None else recipe.components
        self._provenance = (
            {}
            if train is None
            else {
                "features": {
                    **config.identity,
                    "fingerprint": features.fingerprint,
                    "dimensions": train.kept.features.shape[1],
                    "precision": "float32",
                    "trained_on": features.trained_on,
                },
                "reference": {
                    **real.config.identity,
                    "split": "train",
                    "manifest": real.train.manifest,
                    "images": train.images,
                    "images_with_features_kept": len(train.kept.features),
                    "held_out_images": 0 if real.held_out is None else len(real.held_out),
                    "held_out_manifest": None if real.held_out is None else real.held_out.manifest,
                },
                "trained_with": None
                if recipe is None
                else {
                    "recipe_sha256": recipe.fingerprint,
                    "objective": recipe.objective.identity,
                    "metric": None if recipe.metric is None else recipe.metric.identity,
                },
                "trained_the_loss": any(relation.trained_the_loss for relation in found),
                "versions": versions(used),
                "machine": machine(context.device),
                "processes": context.processes.count,
            }
        )

    @property
    def _reference(self) -> Reference:
        assert self._known is not None, "only the first process has it"
        return self._known

    def _real_features(self, split: Split, title: str) -> RealFeatures | None:
        return real_features(
            self._features,
            split,
            identity=self._config.identity,
            context=self._context,
            progress=ProgressReporter(self._context, f"features of {title}", total=len(split)),
        )

    def score(self, images: ImageSet, *, provenance: dict[str, Any]) -> Iterator[ScoreRecord]:
        """All scores of one set; none in a process other than the first."""
        began = time.perf_counter()
        progress = ProgressReporter(
            self._context, f"features of {images.title}", total=len(images.images)
        )
        generated = extract_together(
            self._features,
            images.images,
            labels=images.labels,
            processes=self._context.processes,
            progress=progress,
        )
        extraction_seconds = time.perf_counter() - began
        self._extract_baselines(len(images.images))
        if generated is None:
            return
        for config in self._possible_scores(images):
            began = time.perf_counter()
            score: Score = config.instantiate()
            found = measure(config, generated=generated, reference=self._reference)
            floors = score.floors(generated=generated, reference=self._reference)
            seconds = extraction_seconds + time.perf_counter() - began
            baselines = self._score_baselines(
                config, len(images.images), labelled=generated.labels is not None
            )
            for one in score_info(config).measures:
                record = self._record(
                    images,
                    one,
                    found[one.name],
                    floors=floors.get(one.name, ()),
                    baselines=baselines.get(one.name, ()),
                    provenance={
                        **provenance,
                        **self._provenance,
                        "score": config.identity,
                        "samples": images.manifest,
                        "formula": found[one.name].formula,
                        "seconds": round(seconds, 3),
                    },
                )
                self._announce(record.warnings)
                yield record

    def _extract_baselines(self, images: int) -> None:
        """Features of this number of images of each baseline, kept for further sets of as many."""
        if images in self._extracted_baselines:
            return
        found = self._extracted_baselines[images] = []
        for name in self._evaluation.scored_baselines:
            if not applies(name, self._train.shape):
                if self._evaluation.baselines is not None:
                    sides = f"its blocks do not divide images of {self._train.shape}"
                    self._announce([f"the baseline {name} is left out: {sides}"])
                continue
            made = baseline_images(name, self._train, images=images)
            extracted = extract_cached(
                self._features,
                made.images,
                identity=self._config.identity,
                context=self._context,
                progress=ProgressReporter(
                    self._context, f"features of the baseline {name}", total=len(made.images)
                ),
            )
            if extracted is not None:
                found.append((name, made.words, made.repeat(extracted)))

    def _score_baselines(
        self, config: ComponentConfig, images: int, *, labelled: bool
    ) -> Mapping[str, Sequence[Baseline]]:
        """The baselines' scores, with labels if the samples have some, by the measure's name."""
        key = (images, config.component.id, labelled)
        if key not in self._scored_baselines:
            found = self._scored_baselines[key] = {}
            for name, words, extracted in self._extracted_baselines[images]:
                # As the samples, so that both are compared within the same classes.
                generated = extracted if labelled else evolve(extracted, labels=None)
                for measured, one in measure(
                    config, generated=generated, reference=self._reference
                ).items():
                    baseline = Baseline(name=name, words=words, value=one.value, images=images)
                    found.setdefault(measured, []).append(baseline)
        return self._scored_baselines[key]

    def _possible_scores(self, images: ImageSet) -> Iterator[ComponentConfig]:
        """Scores for which there are enough images; announces the others."""
        for score in self._evaluation.scores:
            problem = _too_few_images(score, len(images.images), len(self._reference.train))
            if problem is None:
                yield score
            else:
                self._context.events.notice(f"{images.title}: {problem}")

    def _record(
        self,
        images: ImageSet,
        measure: Measure,
        measurement: Measurement,
        *,
        floors: Sequence[Floor],
        baselines: Sequence[Baseline],
        provenance: dict[str, Any],
    ) -> ScoreRecord:
        protocol, warnings = self._evaluation.protocol, list(self._warnings)
        followed = protocol
        if protocol is not None:
            provenance["protocol"] = plain(protocol)
            deviations = protocol.deviations(
                features=self._config.component.id,
                default_options=self._config.all_defaults,
                images=len(images.images),
                training_images=self._reference.images,
                sampled_training_images=measurement.training_images,
                data=self._real.component.id,
                data_options=plain(self._real.options),
                random_classes=images.random_classes,
            )
            if deviations:
                followed = None
                warnings.append(protocol.warning(deviations))
        return ScoreRecord(
            measure=measure,
            name=score_name(
                measure,
                features=self._config.component.name,
                images=len(images.images),
                followed=followed,
            ),
            value=measurement.value,
            sampler=images.sampler,
            steps=images.steps,
            evaluations=images.evaluations,
            images=len(images.images),
            reference_images=self._reference.images,
            floors=tuple(floors),
            baselines=tuple(baselines),
            details=measurement.details,
            provenance={**provenance, "warnings": warnings},
        )

    def _announce(self, warnings: Sequence[str]) -> None:
        for text in warnings:
            if text not in self._announced:
                self._announced.add(text)
                self._context.events.notice(text)


def _reference(train: RealFeatures, *, held_out: RealFeatures | None) -> Reference:
    kept = None if held_out is None else held_out.kept
    return Reference(
        train=train.kept.features,
        held_out=None if kept is None else kept.features,
        train_logits=train.kept.logits,
        held_out_logits=None if kept is None else kept.logits,
        train_image_statistics=train.kept.image_statistics,
        held_out_image_statistics=None if kept is None else kept.image_statistics,
        train_labels=train.kept.labels,
        held_out_labels=None if kept is None else kept.labels,
        statistics=train.statistics,
        train_images=train.images,
    )


@final
class ProgressReporter:
    """Reports progress on images, at most once a second, and stops when asked to."""

    def __init__(self, context: EvaluationContext, what: str, *, total: int) -> None:
        self._context, self._what, self._total = context, what, total
        self._last_report = time.monotonic()

    def __call__(self, done: int) -> None:
        """Report that `done` images are done.

        Raises:
            StoppedEarly: in the process that was asked to stop.
        """
        self._context.stop.raise_if_requested(where=f"{self._what}: {done} of {self._total} images")
        now = time.monotonic()
        if now - self._last_report >= _SECONDS_BETWEEN_REPORTS:
            self._last_report = now
            self._context.events.emit(DataProgress, what=self._what, done=done, total=self._total)
