"""Evaluating: every set of samples of a run, scored against the training images.

Legend: N generated images, M training images, D feature dimensions.
"""

import time
from collections.abc import Callable
from itertools import groupby
from typing import Any

import torch

from dddm.errors import DataError
from dddm.interfaces.facts import ImageShape
from dddm.interfaces.observer import Event, Notice, ScoreMeasured
from dddm.recipe.model import Recipe
from dddm.run.folder import RunFolder
from dddm.run.processes import ALONE, Processes
from dddm.run.sample_files import ARRAYS, Samples
from dddm.run.stopping import StopRequest
from dddm.run.stored_samples import load_samples, sample_folders
from dddm.scores.kinds import FEWEST, Metric
from dddm.scores.measure import Measurement, measure
from dddm.scores.over_seeds import over_seeds
from dddm.scores.record import Score, scores_to_text
from dddm.support.files import sha256_of, write_whole_text
from dddm.support.quantities import counted
from dddm.tasks.extract import extract
from dddm.tasks.judge import Judge, Telling, make_judge


def evaluate(
    recipe: Recipe,
    *,
    folder: RunFolder,
    notify: Callable[[Event], None],
    device: torch.device,
    clock: Callable[[], float],
    stop: StopRequest | None = None,
    processes: Processes = ALONE,
) -> tuple[Score, ...]:
    """Score all samples under `folder.samples`, and write `scores.json`, whole or not at all.

    Sets that differ in their seed alone have one score: the mean, with its standard deviation.

    Processes share the extraction of features; the first measures, writes and tells.

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
        StoppedEarly: when asked to stop; the scores before stay.
        DataError: if there are no samples, or some are damaged or of another shape than the data.
    """
    if recipe.evaluate is None:
        return ()
    sets = _load_sets(recipe, folder)
    stop = StopRequest() if stop is None else stop
    judge = make_judge(
        recipe,
        recipe.evaluate,
        device=device,
        notify=notify,
        clock=clock,
        stop=stop,
        processes=processes,
    )
    for warning in judge.provenance["warnings"]:
        notify(Notice(seconds=clock(), text=warning))
    scores: list[Score] = []
    for _, alike in groupby(sets, key=lambda one: _about(one[0])):
        found = [
            score
            for samples, sha256 in alike
            for score in _score(
                samples,
                sha256=sha256,
                judge=judge,
                notify=notify,
                clock=clock,
                stop=stop,
                processes=processes,
            )
        ]
        for score in over_seeds(found):
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
    if processes.main:
        write_whole_text(folder.scores, scores_to_text(scores))
    return tuple(scores)


def _about(samples: Samples) -> tuple[str, int]:
    return samples.facts["sampler"], samples.facts["steps"]


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


def _score(
    samples: Samples,
    *,
    sha256: str,
    judge: Judge,
    notify: Callable[[Event], None],
    clock: Callable[[], float],
    stop: StopRequest,
    processes: Processes,
) -> list[Score]:
    """All scores of one set of samples; none in a process that is not the first."""
    facts = samples.facts
    _refuse_other_shape(samples, judge)
    named = f"{facts['sampler']}, {facts['steps']} steps"
    began = time.perf_counter()
    told = Telling(
        f"features of {named}", len(samples.images), notify=notify, clock=clock, stop=stop
    )
    generated = extract(judge.features, samples.images, processes=processes, progress=told)
    if not processes.main:
        return []
    extraction_seconds = time.perf_counter() - began
    scores = []
    metrics = _measurable(judge, len(samples.images), named=named, notify=notify, clock=clock)
    began = time.perf_counter()
    for metric, measured in measure(metrics, generated=generated, reference=judge.reference):
        seconds = time.perf_counter() - began
        provenance = {
            **judge.provenance,
            "samples": {**facts, "sha256": sha256, **_content(samples)},
            "formula": measured.formula,
            "seconds": round(extraction_seconds + seconds, 3),
        }
        scores.append(_record(metric, measured, samples, judge=judge, provenance=provenance))
        began = time.perf_counter()
    return scores


def _measurable(
    judge: Judge,
    images: int,
    *,
    named: str,
    notify: Callable[[Event], None],
    clock: Callable[[], float],
) -> list[Metric]:
    """The metrics for which there are enough images; of the others it is said."""
    real = len(judge.reference.train)
    found: list[Metric] = []
    for metric in judge.evaluation.settings.metrics:
        if min(images, real) >= FEWEST[metric]:
            found.append(metric)
            continue
        few = f"{counted(images, 'image')} and {counted(real, 'training image')}"
        text = f"{named}: no {metric}, which takes {FEWEST[metric]} images; there are {few}"
        notify(Notice(seconds=clock(), text=text))
    return found


def _record(
    metric: str,
    measured: Measurement,
    samples: Samples,
    *,
    judge: Judge,
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
        reference_images=judge.reference.images,
        floors=measured.floors,
        details=measured.details,
        provenance=provenance,
    )


def _content(samples: Samples) -> dict[str, Any]:
    """What the images are made of: how they were rounded, and how many of each class."""
    counts = None if samples.label is None else torch.bincount(samples.label).tolist()
    return {"rounding": "uint8, rounded", "images_of_each_class": counts}


def _refuse_other_shape(samples: Samples, judge: Judge) -> None:
    channels, height, width = samples.images.shape[1:]
    shape = ImageShape(channels=channels, height=height, width=width)
    if shape != judge.shape:
        name = f"{samples.facts['sampler']} at {samples.facts['steps']} steps"
        raise DataError(
            f"the samples of {name} are {shape}, the data are {judge.shape}",
            where="data",
            remedy="score them with the recipe that they were drawn with",
        )
