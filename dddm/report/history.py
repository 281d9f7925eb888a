"""What `events.jsonl` and `run.json` say of a run, and how far it is.

Both may be missing, cut off or damaged: pages then show what can be read, and name the damage.
"""

import datetime as dt
import math
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, final

from attrs import define, field, frozen

from dddm.errors import DataError
from dddm.generate.generate import planned_sample_folders
from dddm.recipe.model import Recipe
from dddm.support.json_files import NUMBER, OBJECT, OPTIONAL, TEXT, WHOLE, check_object
from dddm.support.quantities import counted
from dddm.training.event_log import numbered_events
from dddm.training.run_folder import RunFolder

_FIELDS: Final[dict[str, dict[str, tuple[type, ...]]]] = {
    "step-done": {"step": WHOLE, "loss": NUMBER, "learning_rate": NUMBER},
    "epoch-done": {"epoch": WHOLE},
    "score-measured": {"steps": WHOLE, "value": NUMBER},
}
"""What is shown of events, by their names."""
_OPTIONAL_FIELDS: Final = {
    "step": WHOLE,
    "epoch": (*WHOLE, *OPTIONAL),
    "images_per_second": (*NUMBER, *OPTIONAL),
    "diagnosis": (*OBJECT, *OPTIONAL),
    "reason": TEXT,
    "message": TEXT,
    "device": TEXT,
    "parameters": WHOLE,
    "total_steps": WHOLE,
    "total_epochs": WHOLE,
}


@final
@define(kw_only=True)
class History:
    """A run as its event log tells it.

    Attributes:
        start: fields of the last `run-started`.
        losses: mean over the batch, by step from 1, ascending.
        learning_rates: by step, likewise.
        speeds: images per second of the logged steps.
        epochs: the last `epoch-done` of each epoch, by epoch from 0, ascending.
        scores: scores during training: by step count of the sampler, by epochs done.
        last: the last event.
        damage: one sentence, where lines of the log cannot be read.
    """

    start: dict[str, Any] = field(factory=dict)
    losses: dict[int, float] = field(factory=dict)
    learning_rates: dict[int, float] = field(factory=dict)
    speeds: list[float] = field(factory=list)
    epochs: dict[int, dict[str, Any]] = field(factory=dict)
    scores: dict[int, dict[int, float]] = field(factory=dict)
    last: dict[str, Any] = field(factory=dict)
    damage: str | None = None

    def add(self, event: dict[str, Any]) -> None:
        """Take up an event; a step or epoch that a resumed run repeats replaces the earlier one.

        Raises:
            ValueError: if a field that is shown is missing or has another type.
        """
        required = _FIELDS.get(event["event"], {})
        check_object(event, {**_OPTIONAL_FIELDS, **required}, required=required)
        self.last = event
        match event["event"]:
            case "run-started":
                self.start = event
            case "step-done":
                step = event["step"]
                self.losses[step] = float(event["loss"])
                self.learning_rates[step] = float(event["learning_rate"])
                if event.get("images_per_second") is not None:
                    self.speeds.append(float(event["images_per_second"]))
            case "epoch-done":
                self.epochs[event["epoch"]] = event
            case "score-measured" if event.get("epoch") is not None:
                line = self.scores.setdefault(event["steps"], {})
                line[event["epoch"] + 1] = float(event["value"])

    def whole(self, name: str) -> int | None:
        """A whole number of `run-started`, such as `parameters`; None where it is not there."""
        found = self.start.get(name)
        return found if isinstance(found, int) else None

    @property
    def epochs_done(self) -> int:
        """Whole epochs."""
        return max(self.epochs, default=-1) + 1

    @property
    def steps_done(self) -> int:
        """Optimizer steps."""
        return max([*self.losses, *(one.get("step", 0) for one in self.epochs.values())],
                   default=0)  # fmt: skip

    @property
    def trained(self) -> bool:
        """Whether all steps are done."""
        total = self.whole("total_steps")
        return total is not None and self.steps_done >= total

    @property
    def images_per_second(self) -> float | None:
        """Median over the logged steps."""
        return statistics.median(self.speeds) if self.speeds else None

    @property
    def diagnoses(self) -> dict[int, dict[str, float]]:
        """What the objective measured of itself, by epochs done; only where all is finite."""
        found = {}
        for epoch, event in self.epochs.items():
            diagnosis = event.get("diagnosis")
            if diagnosis and all(map(_is_finite, diagnosis.values())):
                found[epoch + 1] = {name: float(value) for name, value in diagnosis.items()}
        return found


def _is_finite(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def read_history(path: Path) -> History:
    """The history in an event log but for damaged lines; an empty one where there is no log."""
    history = History()
    damaged: list[tuple[int, ValueError]] = []
    for number, event in numbered_events(path):
        if isinstance(event, ValueError):
            damaged.append((number, event))
            continue
        try:
            history.add(event)
        except ValueError as error:
            damaged.append((number, error))
    if damaged:
        number, first = damaged[0]
        more = f", and {counted(len(damaged) - 1, 'more line')}" if len(damaged) > 1 else ""
        place = f"line {number} of {path.name} is damaged" if number else f"{path.name} is damaged"
        history.damage = f"{place}{more}: {first}"
    history.losses = dict(sorted(history.losses.items()))
    history.learning_rates = dict(sorted(history.learning_rates.items()))
    history.epochs = dict(sorted(history.epochs.items()))
    history.scores = dict(sorted(history.scores.items()))
    return history


@final
@frozen(kw_only=True)
class RunInfo:
    """What `run.json` says; empty where it is damaged or says nothing.

    Attributes:
        created: such as `5 January 2026, 14:03 UTC`.
        seconds: taken by each task.
        image_shape: (C, H, W).
        damage: one sentence, where the file cannot be read.
    """

    created: str | None = None
    seconds: Mapping[str, float]
    versions: Mapping[str, str]
    machine: Mapping[str, str]
    image_shape: tuple[int, int, int] | None = None
    damage: str | None = None


def read_run_info(folder: RunFolder) -> RunInfo:
    """What `run.json` says."""
    contents: dict[str, Any] = {}
    damage = None
    try:
        contents = folder.read_about()
    except DataError as error:
        damage = f"{error.what}."
    shape = contents.get("image_shape")
    return RunInfo(
        created=_date(contents.get("created")),
        seconds=contents.get("seconds", {}),
        versions={name: str(value) for name, value in contents.get("versions", {}).items()},
        machine={name: str(value) for name, value in contents.get("machine", {}).items()},
        image_shape=None if shape is None else (shape["channels"], shape["height"], shape["width"]),
        damage=damage,
    )


def _date(text: object) -> str | None:
    try:
        date = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return f"{date.day} {date:%B %Y, %H:%M} {date.tzname() or ''}".strip()


@final
@frozen(kw_only=True)
class RunState:
    """How far a run is.

    Attributes:
        sentence: what readers should know; empty for a finished run.
    """

    word: Literal["finished", "interrupted", "failed", "unfinished"]
    sentence: str = ""


def run_state(recipe: Recipe, *, folder: RunFolder, history: History, has_scores: bool) -> RunState:
    """Compare what the recipe asks for with what is there.

    A process that was killed leaves nothing in the log, so it cannot be told from one that is at
    work; the sentence says both.
    """
    missing = _missing(recipe, folder=folder, history=history, has_scores=has_scores)
    if not missing:
        return RunState(word="finished")
    reason = history.last.get("reason") if history.last.get("event") == "run-stopped" else None
    if reason in {None, "finished"}:
        return RunState(
            word="unfinished",
            sentence=f"{missing}  The run is still going, or its process was killed; run the same "
            "command again to resume from the last checkpoint.",
        )
    if reason == "interrupted":
        return RunState(
            word="interrupted",
            sentence=f"This run was interrupted.  {missing}  Run the same command again to resume.",
        )
    message = str(history.last.get("message", "")).strip()
    end = "" if message.endswith((".", "!", "?")) else "."
    return RunState(word="failed", sentence=f"This run failed: {message}{end}  {missing}")


def _missing(recipe: Recipe, *, folder: RunFolder, history: History, has_scores: bool) -> str:
    """What is not done, in a sentence; empty where all is."""
    total = history.whole("total_steps")
    if total is None:
        return "Training has not started."
    if not history.trained:
        return f"Training is at step {history.steps_done:,} of {total:,}."
    paths = [path for _, by_steps in planned_sample_folders(recipe, folder)
             for path in by_steps.values()]  # fmt: skip
    missing = sum(not (path / "manifest.json").is_file() for path in paths)
    if missing:
        return (
            f"Training is done; {counted(missing, 'set')} of samples "
            f"{'is' if missing == 1 else 'are'} missing."
        )
    if recipe.evaluate is not None and recipe.sample and not has_scores:
        return "Training and sampling are done; the samples have no scores yet."
    return ""
