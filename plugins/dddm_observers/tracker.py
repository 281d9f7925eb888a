"""What trackers are told of a run, under one set of names.

| Tag | At |
| --- | --- |
| `train/loss`, `train/learning-rate` and what else there is of a step | each step |
| `epoch/loss`; `diagnosis/given-store` and what else the objective measures | each epoch |
| `scores-in-training/SCORE/SAMPLER-STEPS`, `samples-in-training/SAMPLER-STEPS` | when measured |
| `scores/SCORE/SAMPLER-STEPS`, `samples/SAMPLER-STEPS` | the end |
| `recipe`, the checked recipe | each start |
"""

import importlib
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dddm.errors import EnvironmentProblem
from dddm.interfaces.observer import (
    CheckpointSaved,
    EpochDone,
    Event,
    Observer,
    RunStarted,
    RunStopped,
    SamplesDrawn,
    ScoreMeasured,
    StepDone,
)
from dddm.support.files import raise_on_disk_full

_RECIPE: Final = "recipe.toml"


class Tracker(Observer, ABC):
    """Passes events on as numbers, pictures and one text.

    The tracker is opened by the first of them, as any event may be the first: `dddm evaluate` adds
    its scores to what the run wrote.
    """

    def __init__(self) -> None:
        self._step: int | None = None  # None where no training goes on in this process
        self._last_step: int | None = None  # likewise, and after the last checkpoint

    @abstractmethod
    def start(self, *, first_step: int, recipe: str | None) -> None:
        """Training begins, or goes on after `first_step`; `recipe` is the checked recipe."""

    @abstractmethod
    def numbers(self, numbers: Mapping[str, float], *, step: int | None) -> None:
        """Write numbers by tag; `step` is None where the training step is not known."""

    @abstractmethod
    def picture(self, tag: str, path: Path, *, step: int | None) -> None:
        """Write the picture of that file."""

    @abstractmethod
    def stop(self, reason: str) -> None:
        """The run ended: `finished`, `interrupted` or `failed`."""

    def place_of_result(self, tag: str, steps: int) -> tuple[str, int | None]:
        """Tag and step of what the finished run gives in so many sampling steps."""
        return f"{tag}-{steps}", self._step

    def on_event(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._step, self._last_step = event.first_step, event.total_steps
                path = event.folder / _RECIPE
                recipe = path.read_text("utf-8") if path.exists() else None
                self.start(first_step=event.first_step, recipe=recipe)
            case StepDone():
                self._after_step(event)
            case EpochDone():
                self._after_epoch(event)
            case CheckpointSaved() if event.step == self._last_step:
                self._last_step = None  # samples from here on are the finished run's
            case SamplesDrawn():
                self._samples(event)
            case ScoreMeasured():
                self._score(event)
            case RunStopped():
                self.stop(event.reason)

    def _after_step(self, event: StepDone) -> None:
        self._step = event.step
        numbers = {
            "loss": event.loss,
            "learning-rate": event.learning_rate,
            "gradient-norm": event.gradient_norm,
            "images-per-second": event.images_per_second,
            **event.numbers,
        }
        known = {_tag("train", name): n for name, n in numbers.items() if n is not None}
        self.numbers(known, step=event.step)

    def _after_epoch(self, event: EpochDone) -> None:
        self._step = event.step
        diagnosis = event.diagnosis or {}
        numbers = {_tag("diagnosis", name): number for name, number in diagnosis.items()}
        self.numbers({"epoch/loss": event.loss, **numbers}, step=event.step)

    def _samples(self, event: SamplesDrawn) -> None:
        if self._last_step is None:
            tag, step = self.place_of_result(f"samples/{event.sampler}", event.steps)
        else:
            tag, step = f"samples-in-training/{event.sampler}-{event.steps}", self._step
        self.picture(tag, event.grid, step=step)

    def _score(self, event: ScoreMeasured) -> None:
        of = f"{event.score}/{event.sampler}"
        if event.epoch is None:
            tag, step = self.place_of_result(f"scores/{of}", event.steps)
        else:
            tag, step = f"scores-in-training/{of}-{event.steps}", self._step
        self.numbers({tag: event.value}, step=step)


def _tag(group: str, name: str) -> str:
    return f"{group}/{name.replace('_', '-')}"


def import_tracker(module: str, *, extra: str) -> Any:
    """A tracker's package.

    Raises:
        EnvironmentProblem: if it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EnvironmentProblem(
            f"the observer {extra} cannot be used: {error}",
            where="[[observe]]",
            remedy=f"pip install 'dddm[{extra}]', or leave it out of the recipe",
        ) from error


def make_folder(path: Path, *, tracker: str) -> Path:
    """The observer's own folder, made where it does not exist.

    Raises:
        EnvironmentProblem: if it cannot be made.
    """
    try:
        with raise_on_disk_full(path):
            path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentProblem(
            f"the files of {tracker} cannot be written to this place: {error.strerror}",
            where=str(path),
            remedy=f"remove what stands there, or leave the observer {tracker} out of the recipe",
        ) from error
    return path


def run_id(folder: Path) -> str:
    """The name under which the tracker knows this run: drawn once, kept in the folder."""
    path = folder / "id"
    if not path.exists():
        path.write_text(secrets.token_hex(4) + "\n", encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()
