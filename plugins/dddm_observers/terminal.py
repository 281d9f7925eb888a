"""What a person at a terminal, or at the end of a pipe, sees of a run."""

import sys
from pathlib import Path
from typing import final

from rich.console import Console

from dddm.interfaces.observer import (
    CheckpointSaved,
    DataProgress,
    Event,
    Notice,
    Observer,
    RunStarted,
    RunStopped,
    SampleProgress,
    SamplesDrawn,
    ScoreMeasured,
    StepDone,
)
from dddm_observers import wording
from dddm_observers.display import Bars, Display, Lines
from dddm_observers.options import TerminalOptions

_TRAINING = "training"


def display_for_stderr(*, every_seconds: float) -> Display:
    """Bars where stderr is a terminal that can redraw them; lines elsewhere.

    `FORCE_COLOR` makes rich take every file for a terminal, so the file itself is asked too.
    """
    console = Console(stderr=True)
    if sys.stderr.isatty() and console.is_interactive:
        return Bars(console)
    return Lines(every_seconds=every_seconds)


@final
class Terminal(Observer):
    """Progress on stderr.  It also serves where no training is: any event may be the first."""

    def __init__(self, options: TerminalOptions, *, folder: Path) -> None:
        del folder
        self._display = display_for_stderr(every_seconds=options.every_seconds)
        self._total_steps: int | None = None
        self._total_epochs: int | None = None

    def on_event(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._start(event)
            case StepDone():
                self._step(event)
            case CheckpointSaved():
                self._display.set_status(wording.checkpoint_saved(event))
            case DataProgress():
                self._preparing(event)
            case SampleProgress():
                self._sampling(event)
            case SamplesDrawn():
                self._display.print_line(wording.samples_drawn(event))
            case ScoreMeasured():
                self._display.print_line(wording.score_measured(event))
            case Notice():
                self._display.print_line(event.text)
            case RunStopped():
                self._display.close()
                self._display.print_line(wording.run_stopped(event))

    def _start(self, event: RunStarted) -> None:
        self._total_steps, self._total_epochs = event.total_steps, event.total_epochs
        for line in wording.run_started(event):
            self._display.print_line(line)

    def _step(self, event: StepDone) -> None:
        self._display.progress(
            _TRAINING,
            unit="step",
            done=event.step,
            total=self._total_steps,
            facts=wording.step_done(event, total_epochs=self._total_epochs),
            seconds=event.seconds,
        )
        if event.step == self._total_steps:
            self._display.end(_TRAINING)

    def _preparing(self, event: DataProgress) -> None:
        self._display.progress(
            event.what,
            unit="image",
            done=event.done,
            total=event.total,
            facts=f"{event.done:,} of {event.total:,} images",
            seconds=event.seconds,
        )
        if event.done == event.total:
            self._display.end(event.what)

    def _sampling(self, event: SampleProgress) -> None:
        work = wording.sample_progress(event)
        self._display.progress(
            work,
            unit="network evaluation",
            done=event.evaluations_done,
            total=event.evaluations,
            facts=wording.sample_facts(event),
            seconds=event.seconds,
        )
        if event.images_done == event.images:
            self._display.end(work)

    def close(self) -> None:
        self._display.close()
