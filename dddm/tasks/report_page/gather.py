"""What a run folder says, read for the report.

A report must come out of any run folder: of one that is still training, that was interrupted, or
that lost a file.  So nothing here raises for what is missing; it is None or empty.  What is there
but damaged is left out too, and named in `problems`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, final

import attrs
from attrs import frozen
from torch import Tensor

from dddm.errors import DataError
from dddm.run.event_log import read_events
from dddm.run.folder import RunFolder
from dddm.run.stored_samples import load_samples, sample_folders
from dddm.scores.record import Score, read_scores

SHOWN_IMAGES: Final = 100


@final
@frozen(kw_only=True)
class ShownSamples:
    """One set of samples, as far as it is shown.

    Attributes:
        folder: the name of its folder.
        images: the first ones, at most `SHOWN_IMAGES`, (B, C, H, W), uint8.
        label: (B,), int64, or None.
        facts: its manifest; `sampler`, `steps` and `images` are always there.
    """

    folder: str
    images: Tensor
    label: Tensor | None
    facts: dict[str, Any]


@final
@frozen(kw_only=True)
class TrainingLog:
    """What the event log says about training; each step and epoch once, as it went last.

    Attributes:
        started: the newest `run-started`; None before training began.
        steps: `step-done` events, by step.
        epochs: `epoch-done` events, by epoch.
        grids: `samples-drawn` events by the file name of their grid.
        notices: the texts of `notice` events, each once.
        last: the newest event; None where there is none.
    """

    started: dict[str, Any] | None = None
    steps: tuple[dict[str, Any], ...] = ()
    epochs: tuple[dict[str, Any], ...] = ()
    grids: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    notices: tuple[str, ...] = ()
    last: dict[str, Any] | None = None


@final
@frozen(kw_only=True)
class Gathered:
    """All that is read for a report.

    Attributes:
        about: `run.json`.
        scores: in the order of the file.
        progress: grids drawn during training, by epoch.
        recipe_text: `recipe.toml`; None where there is none.
        problems: a sentence for each thing that is there and cannot be read.
    """

    about: dict[str, Any]
    log: TrainingLog
    samples: tuple[ShownSamples, ...]
    scores: tuple[Score, ...]
    progress: tuple[Path, ...]
    recipe_text: str | None
    problems: tuple[str, ...]


def gather(folder: RunFolder) -> Gathered:
    """Read what a run folder holds."""
    problems: list[str] = []
    return Gathered(
        about=_about(folder, problems),
        log=_log(folder, problems),
        samples=_samples(folder, problems),
        scores=_scores(folder, problems),
        progress=tuple(sorted(folder.progress.glob("epoch-*.png"))),
        recipe_text=_recipe_text(folder, problems),
        problems=tuple(problems),
    )


def _about(folder: RunFolder, problems: list[str]) -> dict[str, Any]:
    try:
        about: Any = folder.read_about()
    except (OSError, ValueError) as error:
        problems.append(f"run.json cannot be read: {error}")
        return {}
    return about if isinstance(about, dict) else {}


def _recipe_text(folder: RunFolder, problems: list[str]) -> str | None:
    if not folder.recipe.exists():
        return None
    try:
        return folder.recipe.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        problems.append(f"recipe.toml cannot be read: {error}")
        return None


def _scores(folder: RunFolder, problems: list[str]) -> tuple[Score, ...]:
    try:
        return read_scores(folder.scores)
    except DataError as error:
        problems.append(f"scores.json: {error.what}")
        return ()


def _samples(folder: RunFolder, problems: list[str]) -> tuple[ShownSamples, ...]:
    """All sets, by sampler and rising step count."""
    sets = []
    for path in sample_folders(folder.samples):
        try:
            samples = load_samples(path)
        except DataError as error:
            problems.append(error.what)
            continue
        label = samples.label
        sets.append(
            ShownSamples(
                folder=path.name,
                # Cloned, so that the many images that are not shown leave the memory.
                images=samples.images[:SHOWN_IMAGES].clone(),
                label=None if label is None else label[:SHOWN_IMAGES].clone(),
                facts=samples.facts,
            )
        )
    return tuple(sorted(sets, key=_place(sets)))


def _place(sets: Iterable[ShownSamples]) -> Any:
    """Order: samplers with the most sets first (the recipe's main one), then by step count."""
    counts: dict[str, int] = {}
    for one in sets:
        counts[one.facts["sampler"]] = counts.get(one.facts["sampler"], 0) + 1
    return lambda one: (
        -counts[one.facts["sampler"]],
        one.facts["sampler"],
        one.facts["steps"],
        one.folder,
    )


def _log(folder: RunFolder, problems: list[str]) -> TrainingLog:
    """The event log in one pass; a damaged line ends it."""
    started: dict[str, Any] | None = None
    last: dict[str, Any] | None = None
    steps: dict[int, dict[str, Any]] = {}
    epochs: dict[int, dict[str, Any]] = {}
    grids: dict[str, dict[str, Any]] = {}
    notices: dict[str, None] = {}
    try:
        for event in read_events(folder.events):
            last = event
            match event["event"]:
                case "run-started":
                    started = event
                case "step-done":
                    steps[event["step"]] = event
                case "epoch-done":
                    epochs[event["epoch"]] = event
                case "samples-drawn":
                    grids[Path(event["grid"]).name] = event
                case "notice":
                    notices[event["text"]] = None
                case _:
                    pass
    except (OSError, ValueError, KeyError, TypeError) as error:
        problems.append(f"events.jsonl cannot be read to its end: {error}")
    return TrainingLog(
        started=started,
        steps=tuple(steps[step] for step in sorted(steps)),
        epochs=tuple(epochs[epoch] for epoch in sorted(epochs)),
        grids=grids,
        notices=tuple(notices),
        last=last,
    )
