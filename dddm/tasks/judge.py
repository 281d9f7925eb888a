"""What samples are scored with: features, the real images', and where all of it comes from."""

import time
from collections.abc import Callable
from typing import Any, Final, final

import torch
from attrs import field, frozen

from dddm.errors import RecipeError
from dddm.interfaces.dataset import Split
from dddm.interfaces.facts import ImageShape
from dddm.interfaces.features import Features
from dddm.interfaces.metric import Metric
from dddm.interfaces.observer import DataProgress, Event
from dddm.recipe.model import Evaluation, Recipe, Use, plain
from dddm.run.processes import ALONE, Processes
from dddm.run.stopping import StopRequest
from dddm.run.versions import machine, versions
from dddm.scores.reference import Reference
from dddm.tasks.extract import RealFeatures, real_features

_SECONDS_BETWEEN_LINES: Final = 1.0


@final
@frozen(kw_only=True)
class Judge:
    """What all sets of samples are scored with.

    Attributes:
        shape: of the images.
        provenance: what is the same for all scores.
    """

    evaluation: Evaluation
    features: Features
    reference: Reference
    shape: ImageShape
    provenance: dict[str, Any]


def refuse_unfit(evaluation: Evaluation, *, shape: ImageShape) -> Features:
    """The features of an evaluation, if they can judge images of this shape as it asks.

    Raises:
        DataError: if they take no such images.
        RecipeError: if a score is asked for that they cannot give.
    """
    features: Features = evaluation.features.make()
    features.check_shape(shape)
    if "is" in evaluation.settings.metrics and not features.guesses:
        raise RecipeError(
            f"an Inception Score needs features that guess classes, and "
            f"{evaluation.features.component.name} guess none",
            where="evaluate.metrics",
            remedy='leave "is" out, or use other features, such as "inception"',
        )
    return features


def make_judge(
    recipe: Recipe,
    evaluation: Evaluation,
    *,
    device: torch.device,
    notify: Callable[[Event], None],
    clock: Callable[[], float],
    stop: StopRequest,
    processes: Processes = ALONE,
) -> Judge:
    """Features, and those of the real images; processes share the work.

    Raises:
        DddmError: if the features cannot judge these images as the evaluation asks.
        StoppedEarly: when asked to stop.
    """
    splits = recipe.data.make().splits()
    train: Split = splits["train"]
    held_out: Split | None = splits.get("held-out")
    features = refuse_unfit(evaluation, shape=train.shape)
    features.to(device)

    def of(split: Split, name: str) -> RealFeatures:
        told = Telling(f"features of {name}", len(split), notify=notify, clock=clock, stop=stop)
        return real_features(features, split, device=device, processes=processes, progress=told)

    real = of(train, "training images")
    unseen = None if held_out is None or not len(held_out) else of(held_out, "held-out images")
    return Judge(
        evaluation=evaluation,
        features=features,
        reference=Reference(
            train=real.kept.features,
            held_out=None if unseen is None else unseen.kept.features,
            train_logits=real.kept.logits,
            held_out_logits=None if unseen is None else unseen.kept.logits,
            statistics=real.statistics,
            train_images=real.images,
            neighbour_images=evaluation.settings.neighbour_images,
        ),
        shape=train.shape,
        provenance={
            "features": {
                **_named(evaluation.features),
                "fingerprint": features.fingerprint,
                "dimensions": real.kept.features.shape[1],
                "precision": "float32",
                "trained_on": features.trained_on,
            },
            "reference": {
                **_named(recipe.data),
                "split": "train",
                "manifest": train.manifest,
                "images": real.images,
                "images_with_features_kept": len(real.kept.features),
                "held_out_images": 0 if held_out is None else len(held_out),
                "held_out_manifest": None if held_out is None else held_out.manifest,
            },
            "trained_with": {"recipe_sha256": recipe.fingerprint, "metric": _named(recipe.metric)},
            "warnings": _warnings(recipe, evaluation, features),
            "versions": versions(recipe),
            "machine": machine(device),
            "processes": processes.count,
        },
    )


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
        self._stop.obey(where=f"{self._what}: {done} of {self._total} images", saved=True)
        now = time.monotonic()
        if now - self._told[0] < _SECONDS_BETWEEN_LINES:
            return
        self._told[0] = now
        self._notify(
            DataProgress(seconds=self._clock(), what=self._what, done=done, total=self._total)
        )


def _named(use: Use) -> dict[str, Any]:
    return {"id": use.component.id, "options": plain(use.options)}


def _warnings(recipe: Recipe, evaluation: Evaluation, features: Features) -> list[str]:
    """Sentences that a reader of the scores should know."""
    metric: Metric = recipe.metric.make()
    if features.trained_on is None or features.trained_on != metric.trained_on:
        return []
    warning = (
        f"the features {evaluation.features.component.name} and those of the metric "
        f"{recipe.metric.component.name} were both trained on {features.trained_on}: training may "
        "have fitted what the score looks at, so compare in features that the metric never saw too"
    )
    return [warning]
