"""What a run's event log says, gathered in one pass."""

import math
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, final

from attrs import define, field, frozen

from dddm.train.event_log import read_events


@final
@frozen(kw_only=True)
class DiagnosisPoint:
    """The objective's diagnosis after `epochs` epochs: finite numbers by name."""

    epochs: int
    numbers: Mapping[str, float]


@final
@frozen(kw_only=True)
class History:
    """A run as its log tells it; what the log does not say is None or empty.

    Attributes:
        step: numbers of the logged optimizer steps, from 1, ascending.
        loss: of the objective, mean over the batch, one for each of them.
        learning_rate: one for each of them.
        scores: of the first score during training: by step count, by epochs done.
        epochs_done: whole epochs.
        images_per_second: median over the logged steps.
        stopped: the event `run-stopped`, where nothing happened after it.
        damage: one sentence, where the log cannot be read to its end.
    """

    step: tuple[int, ...] = ()
    loss: tuple[float, ...] = ()
    learning_rate: tuple[float, ...] = ()
    diagnosis: tuple[DiagnosisPoint, ...] = ()
    scores: dict[int, dict[int, float]] = field(factory=dict)
    epochs_done: int = 0
    steps_done: int = 0
    total_steps: int | None = None
    total_epochs: int | None = None
    parameters: int | None = None
    device: str | None = None
    train_images: int | None = None
    images_per_second: float | None = None
    stopped: dict[str, Any] | None = None
    damage: str | None = None

    @property
    def begun(self) -> bool:
        """Whether training began."""
        return self.total_steps is not None

    @property
    def trained(self) -> bool:
        """Whether all steps are done."""
        return self.total_steps is not None and self.steps_done >= self.total_steps


@final
@define(kw_only=True)
class _Pass:
    """What is collected on the way through the log."""

    start: dict[str, Any] = field(factory=dict)
    steps: dict[int, tuple[float, float]] = field(factory=dict)
    rates: list[float] = field(factory=list)
    epochs: dict[int, dict[str, Any]] = field(factory=dict)
    scores: dict[int, dict[int, float]] = field(factory=dict)
    last: dict[str, Any] = field(factory=dict)

    def take(self, entry: dict[str, Any]) -> None:
        self.last.clear()
        self.last.update(entry)
        if entry["event"] == "run-started":
            self.start.update(entry)
        elif entry["event"] == "step-done":
            self.steps[int(entry["step"])] = (
                float(entry["loss"]),
                float(entry["learning_rate"]),
            )
            if entry.get("images_per_second") is not None:
                self.rates.append(float(entry["images_per_second"]))
        elif entry["event"] == "epoch-done":
            self.epochs[int(entry["epoch"])] = entry
        elif entry["event"] == "score-measured" and entry.get("epoch") is not None:
            line = self.scores.setdefault(int(entry["steps"]), {})
            line[int(entry["epoch"]) + 1] = float(entry["value"])


def read_history(path: Path) -> History:
    """The history in an event log; an empty one where there is no log.

    A damaged log is read as far as it goes, and the history says so.
    """
    seen = _Pass()
    damage = None
    try:
        for entry in read_events(path):
            seen.take(entry)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        damage = f"{path.name} cannot be read to its end: {error}"
    steps = dict(sorted(seen.steps.items()))
    epochs = sorted(seen.epochs)
    done = [*steps, *(int(seen.epochs[epoch].get("step", 0)) for epoch in epochs)]
    return History(
        step=tuple(steps),
        loss=tuple(loss for loss, _ in steps.values()),
        learning_rate=tuple(rate for _, rate in steps.values()),
        diagnosis=tuple(_diagnoses(seen)),
        scores=dict(sorted(seen.scores.items())),
        epochs_done=epochs[-1] + 1 if epochs else 0,
        steps_done=max(done, default=0),
        total_steps=_whole(seen.start, "total_steps"),
        total_epochs=_whole(seen.start, "total_epochs"),
        parameters=_whole(seen.start, "parameters"),
        device=str(seen.start["device"]) if "device" in seen.start else None,
        train_images=_whole(seen.start, "train_images"),
        images_per_second=statistics.median(seen.rates) if seen.rates else None,
        stopped=seen.last if seen.last.get("event") == "run-stopped" else None,
        damage=damage,
    )


def _whole(entry: dict[str, Any], name: str) -> int | None:
    found = entry.get(name)
    return found if isinstance(found, int) else None


def _diagnoses(seen: _Pass) -> Iterator[DiagnosisPoint]:
    for epoch in sorted(seen.epochs):
        said = seen.epochs[epoch].get("diagnosis")
        if isinstance(said, dict):
            numbers = {str(name): float(number) for name, number in said.items()}
            if numbers and all(math.isfinite(number) for number in numbers.values()):
                yield DiagnosisPoint(epochs=epoch + 1, numbers=numbers)
