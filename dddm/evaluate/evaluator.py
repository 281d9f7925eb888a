"""What samples are scored with: features, the real images', and where all of it comes from."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, final

import torch
from attrs import field, frozen

from dddm.errors import DataError, RecipeError
from dddm.evaluate.extract import RealFeatures, real_features
from dddm.interfaces.dataset import Split
from dddm.interfaces.features import Features
from dddm.interfaces.info import ImageShape
from dddm.interfaces.metric import Metric
from dddm.interfaces.observer import DataProgress, Event
from dddm.interfaces.score import Reference
from dddm.recipe.model import ComponentConfig, Evaluation, Recipe, score_info
from dddm.train.processes import ALONE, Processes
from dddm.train.stopping import StopRequest
from dddm.train.versions import machine, versions

_SECONDS_BETWEEN_LINES: Final = 1.0


@final
@frozen(kw_only=True)
class Bench:
    """Where scores are taken, and who is told.

    Attributes:
        notify: told of each score, and of what a reader of it should know.
        clock: seconds since the run began, for the events.
        device: where features with a network compute.
        processes: share the extraction of features.
    """

    notify: Callable[[Event], None]
    clock: Callable[[], float]
    device: torch.device
    stop: StopRequest = field(factory=StopRequest)
    processes: Processes = ALONE

    def telling(self, what: str, total: int) -> "Telling":
        """Tells of work on `total` images."""
        return Telling(what, total, notify=self.notify, clock=self.clock, stop=self.stop)


@final
@frozen(kw_only=True)
class RealImages:
    """What samples are compared with: a data set and its splits."""

    use: ComponentConfig
    splits: Mapping[str, Split]

    @property
    def train(self) -> Split:
        """The training images."""
        return self.splits["train"]

    @property
    def held_out(self) -> Split | None:
        """Images that training never saw; None where there are none."""
        split = self.splits.get("held-out")
        return split if split is not None and len(split) else None


@final
@frozen(kw_only=True)
class Judge:
    """What all sets of samples are scored with, in one of the features.

    Attributes:
        use: of the features.
        provenance: what is the same for all scores.
        warnings: sentences that a reader of all scores should know.
    """

    use: ComponentConfig
    features: Features
    reference: Reference
    provenance: dict[str, Any]
    warnings: tuple[str, ...]


def refuse_unfit(evaluation: Evaluation, *, shape: ImageShape) -> tuple[Features, ...]:
    """The features of an evaluation, if they can judge images of this shape as it asks.

    Raises:
        DataError: if they take no such images.
        RecipeError: if a score is asked for that they cannot give.
    """
    made: list[Features] = []
    for use in evaluation.features:
        features: Features = use.instantiate()
        features.check_shape(shape)
        for score in evaluation.scores:
            if score_info(score).probabilities and not features.guesses:
                name = score.component.name
                raise RecipeError(
                    f'the score "{name}" needs features that give logits of classes, and '
                    f"{use.component.name} give none",
                    where="evaluate.scores",
                    remedy=f'leave "{name}" out, or use other features',
                )
        made.append(features)
    return tuple(made)


def make_judge(
    use: ComponentConfig,
    features: Features,
    *,
    real: RealImages,
    scores: Sequence[ComponentConfig],
    recipe: Recipe | None,
    bench: Bench,
) -> Judge:
    """Features, and those of the real images; processes share the work.

    Args:
        use: of `features`.
        recipe: what the samples' network was trained by; None where nobody knows.

    Raises:
        DataError: if a feature is not finite.
        StoppedEarly: when asked to stop.
    """
    warnings = () if recipe is None else tuple(_related(recipe, use, features))
    features.to(bench.device)

    def of(split: Split, name: str) -> RealFeatures:
        return real_features(
            features,
            split,
            identity=use.identity,
            device=bench.device,
            processes=bench.processes,
            progress=bench.telling(f"features of {name}", len(split)),
        )

    train = of(real.train, "training images")
    held_out = None if real.held_out is None else of(real.held_out, "held-out images")
    return Judge(
        use=use,
        features=features,
        reference=Reference(
            train=train.kept.features,
            held_out=None if held_out is None else held_out.kept.features,
            train_logits=train.kept.logits,
            held_out_logits=None if held_out is None else held_out.kept.logits,
            statistics=train.statistics,
            train_images=train.images,
        ),
        provenance={
            "features": {
                **use.identity,
                "fingerprint": features.fingerprint,
                "dimensions": train.kept.features.shape[1],
                "precision": "float32",
                "trained_on": features.trained_on,
            },
            "reference": _reference(real, train),
            "trained_with": None if recipe is None else _trained_with(recipe),
            "versions": versions([use, real.use, *scores] if recipe is None else recipe.uses),
            "machine": machine(bench.device),
            "processes": bench.processes.count,
        },
        warnings=warnings,
    )


def _reference(real: RealImages, train: RealFeatures) -> dict[str, Any]:
    held_out = real.held_out
    return {
        **real.use.identity,
        "split": "train",
        "manifest": real.train.manifest,
        "images": train.images,
        "images_with_features_kept": len(train.kept.features),
        "held_out_images": 0 if held_out is None else len(held_out),
        "held_out_manifest": None if held_out is None else held_out.manifest,
    }


def _trained_with(recipe: Recipe) -> dict[str, Any]:
    return {
        "recipe_sha256": recipe.fingerprint,
        "objective": recipe.objective.identity,
        "metric": None if recipe.metric is None else recipe.metric.identity,
    }


@final
@frozen
class Telling:
    """Tells how far a long piece of work is, nothing where it is short; and ends it when asked to.

    Raises:
        StoppedEarly: in the process that was asked to stop.
    """

    _what: str
    _total: int
    _notify: Callable[[Event], None] = field(kw_only=True)
    _clock: Callable[[], float] = field(kw_only=True)
    _stop: StopRequest = field(kw_only=True)
    _told: list[float] = field(factory=lambda: [time.monotonic()], init=False)

    def __call__(self, done: int) -> None:
        """So many images are done."""
        self._stop.raise_if_requested(where=f"{self._what}: {done} of {self._total} images")
        now = time.monotonic()
        if now - self._told[0] < _SECONDS_BETWEEN_LINES:
            return
        self._told[0] = now
        self._notify(
            DataProgress(seconds=self._clock(), what=self._what, done=done, total=self._total)
        )


def _related(recipe: Recipe, use: ComponentConfig, features: Features) -> Iterator[str]:
    """A sentence where features and the metric that was trained with learned from the same data."""
    metric = recipe.metric
    if features.trained_on is None or metric is None:
        return
    name = metric.component.name
    try:
        made: Metric = metric.instantiate()
    except DataError as error:  # a run may be scored where the weights of its loss are not
        yield (
            f"whether the metric {name} was trained on {features.trained_on} too, as the features "
            f"{use.component.name} were, is not known here: {error.what.partition(':')[0]}"
        )
        return
    if features.trained_on == made.trained_on:
        yield (
            f"the features {use.component.name} and those of the metric {name} were both trained "
            f"on {features.trained_on}: training may have fitted what the score looks at, so "
            "compare in features that the metric never saw too"
        )
