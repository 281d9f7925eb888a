"""Evaluating: every set of samples of a run, scored against the training images.

Legend: N generated images, M training images, D feature dimensions.
"""

import time
from collections.abc import Callable
from typing import Any, Final, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.errors import DataError
from dddm.interfaces.dataset import Split
from dddm.interfaces.facts import ImageShape
from dddm.interfaces.features import Features
from dddm.interfaces.metric import Metric
from dddm.interfaces.observer import Event, Notice, ScoreMeasured
from dddm.recipe.model import Evaluation, Recipe, Use, plain
from dddm.run.folder import RunFolder
from dddm.run.sample_files import ARRAYS, Samples
from dddm.run.stored_samples import load_samples, sample_folders
from dddm.run.versions import machine, versions
from dddm.scores.measure import SMALLEST_SET, Measurement, measure_frechet, measure_nearest
from dddm.scores.record import Score, scores_to_text
from dddm.scores.reference import Reference
from dddm.support.files import sha256_of, write_whole_text

_BATCH_IMAGES: Final = 256
_MEASURES: Final = {"fd": measure_frechet, "nearest": measure_nearest}


@final
@frozen(kw_only=True)
class _Judge:
    """What all sets of samples are scored with.

    Attributes:
        provenance: what is the same for all scores.
    """

    evaluation: Evaluation
    features: Features
    reference: Reference
    shape: ImageShape
    provenance: dict[str, Any]


def evaluate(
    recipe: Recipe,
    *,
    folder: RunFolder,
    notify: Callable[[Event], None],
    device: torch.device,
    clock: Callable[[], float],
) -> tuple[Score, ...]:
    """Score all samples under `folder.samples`, and write `scores.json`, whole or not at all.

    Args:
        recipe: what the run was made by; its table `[evaluate]` says how to score.
        folder: the run's.
        notify: told of each score, and of what a reader of it should know.
        device: where features with a network compute.
        clock: seconds since the run began, for the events.

    Returns:
        scores in the order of the recipe's samplers, by rising step count; none where the recipe
        has no table `[evaluate]`.

    Raises:
        DataError: if there are no samples, or some are damaged or of another shape than the data.
    """
    if recipe.evaluate is None:
        return ()
    sets = _load_sets(recipe, folder)
    judge = _make_judge(recipe, recipe.evaluate, device=device)
    for warning in judge.provenance["warnings"]:
        notify(Notice(seconds=clock(), text=warning))
    scores: list[Score] = []
    for samples, sha256 in sets:
        for score in _score(samples, sha256=sha256, judge=judge, notify=notify, clock=clock):
            scores.append(score)
            notify(
                ScoreMeasured(
                    seconds=clock(),
                    metric=score.name,
                    sampler=score.sampler,
                    steps=score.steps,
                    value=score.value,
                )
            )
    write_whole_text(folder.scores, scores_to_text(scores))
    return tuple(scores)


def _load_sets(recipe: Recipe, folder: RunFolder) -> list[tuple[Samples, str]]:
    """All samples, each with the checksum of its file, in the recipe's order."""
    sets = [
        (load_samples(path), sha256_of(path / ARRAYS)) for path in sample_folders(folder.samples)
    ]
    if not sets:
        raise DataError(
            "there are no samples to score",
            where=str(folder.samples),
            remedy="give the run's `dddm run` command: it draws what its recipe asks for",
        )
    order = [job.sampler.component.name for job in recipe.sample]

    def place(one: tuple[Samples, str]) -> tuple[int, str, int]:
        sampler, steps = one[0].facts["sampler"], one[0].facts["steps"]
        return (order.index(sampler) if sampler in order else len(order), sampler, steps)

    return sorted(sets, key=place)


def _make_judge(recipe: Recipe, evaluation: Evaluation, *, device: torch.device) -> _Judge:
    """Features, and those of the real images."""
    splits = recipe.data.make().splits()
    train: Split = splits["train"]
    held_out: Split | None = splits.get("held-out")
    features: Features = evaluation.features.make()
    features.check_shape(train.shape)
    features.to(device)
    reference = Reference(
        train=extract_all(features, train),
        held_out=None if held_out is None else extract_all(features, held_out),
    )
    return _Judge(
        evaluation=evaluation,
        features=features,
        reference=reference,
        shape=train.shape,
        provenance={
            "features": {
                **_named(evaluation.features),
                "fingerprint": features.fingerprint,
                "dimensions": reference.train.shape[1],
                "precision": "float32",
                "trained_on": features.trained_on,
            },
            "reference": {
                **_named(recipe.data),
                "split": "train",
                "manifest": train.manifest,
                "held_out_images": 0 if held_out is None else len(held_out),
                "held_out_manifest": None if held_out is None else held_out.manifest,
            },
            "trained_with": {"recipe_sha256": recipe.fingerprint, "metric": _named(recipe.metric)},
            "warnings": _warnings(recipe, features),
            "versions": versions(recipe),
            "machine": machine(device),
        },
    )


def extract_all(features: Features, images: Split | Tensor) -> Tensor:
    """Features (N, D), float32, on the CPU, of a split or of images (N, C, H, W), uint8."""
    batches = torch.split(torch.arange(len(images)), _BATCH_IMAGES)
    return torch.cat(
        [
            features.extract(images[index] if isinstance(images, Tensor) else images.images(index))
            for index in batches
        ]
    )


def _named(use: Use) -> dict[str, Any]:
    return {"id": use.component.id, "options": plain(use.options)}


def _warnings(recipe: Recipe, features: Features) -> list[str]:
    """Sentences that a reader of the scores should know."""
    metric: Metric = recipe.metric.make()
    if features.trained_on is None or features.trained_on != metric.trained_on:
        return []
    warning = (
        f"the score's features and those of the metric {recipe.metric.component.name} were both "
        f"trained on {features.trained_on}: training may have fitted what the score looks at, so "
        "compare in features that the metric never saw too"
    )
    return [warning]


def _score(
    samples: Samples,
    *,
    sha256: str,
    judge: _Judge,
    notify: Callable[[Event], None],
    clock: Callable[[], float],
) -> list[Score]:
    """All scores of one set of samples."""
    facts = samples.facts
    _refuse_other_shape(samples, judge)
    began = time.perf_counter()
    generated_ND = extract_all(judge.features, samples.images)
    extraction_seconds = time.perf_counter() - began
    scores = []
    for metric in judge.evaluation.settings.metrics:
        if metric == "fd" and len(generated_ND) < SMALLEST_SET:
            text = f"{facts['sampler']}, {facts['steps']} steps: one image has no Fréchet distance"
            notify(Notice(seconds=clock(), text=text))
            continue
        began = time.perf_counter()
        measured = _MEASURES[metric](generated_ND, judge.reference)
        seconds = extraction_seconds + time.perf_counter() - began
        provenance = {
            **judge.provenance,
            "samples": {**facts, "sha256": sha256, **_content(samples)},
            "formula": measured.formula,
            "seconds": round(seconds, 3),
        }
        scores.append(_record(metric, measured, samples, judge=judge, provenance=provenance))
    return scores


def _record(
    metric: str,
    measured: Measurement,
    samples: Samples,
    *,
    judge: _Judge,
    provenance: dict[str, Any],
) -> Score:
    count = len(samples.images)
    return Score(
        metric=metric,
        name=f"{metric}-{judge.evaluation.features.component.name}@{count}",
        value=measured.value,
        sampler=samples.facts["sampler"],
        steps=samples.facts["steps"],
        images=count,
        reference_images=len(judge.reference.train),
        floors=measured.floors,
        details=measured.details,
        provenance=provenance,
    )


def _content(samples: Samples) -> dict[str, Any]:
    """What the images are made of: how they were rounded, and how many of each class."""
    counts = None if samples.label is None else torch.bincount(samples.label).tolist()
    return {"rounding": "uint8, rounded", "images_of_each_class": counts}


def _refuse_other_shape(samples: Samples, judge: _Judge) -> None:
    channels, height, width = samples.images.shape[1:]
    shape = ImageShape(channels=channels, height=height, width=width)
    if shape != judge.shape:
        name = f"{samples.facts['sampler']} at {samples.facts['steps']} steps"
        raise DataError(
            f"the samples of {name} are {shape}, the data are {judge.shape}",
            where="data",
            remedy="score them with the recipe that they were drawn with",
        )
