"""Progress on stderr: what is said of each event, on a terminal or in a log file."""

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
from dddm.support.quantities import counted, counted_steps, duration, size
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
        self._began: dict[str, tuple[int, float]] = {}

    def on_event(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._start(event)
            case StepDone():
                self._step(event)
            case CheckpointSaved():
                self._display.set_status(checkpoint_saved(event))
            case DataProgress():
                self._preparing(event)
            case SampleProgress():
                self._sampling(event)
            case SamplesDrawn():
                self._display.print_line(samples_drawn(event))
            case ScoreMeasured():
                self._display.print_line(score_measured(event))
            case Notice():
                self._display.print_line(event.text)
            case RunStopped():
                self._display.close()
                self._display.print_line(run_stopped(event))

    def _start(self, event: RunStarted) -> None:
        self._total_steps, self._total_epochs = event.total_steps, event.total_epochs
        for line in run_started(event):
            self._display.print_line(line)

    def _step(self, event: StepDone) -> None:
        self._display.progress(
            _TRAINING,
            unit="step",
            done=event.step,
            total=self._total_steps,
            facts=step_done(event, total_epochs=self._total_epochs),
            seconds=event.seconds,
        )
        if event.step == self._total_steps:
            self._display.end(_TRAINING)

    def _preparing(self, event: DataProgress) -> None:
        done, seconds = self._began.setdefault(event.what, (event.done, event.seconds))
        left = ""
        if done < event.done < event.total:
            each = (event.seconds - seconds) / (event.done - done)
            left = f", {duration(each * (event.total - event.done))} left"
        self._display.progress(
            event.what,
            unit="image",
            done=event.done,
            total=event.total,
            facts=f"{event.done:,} of {event.total:,} images{left}",
            seconds=event.seconds,
        )
        if event.done == event.total:
            self._display.end(event.what)
            del self._began[event.what]

    def _sampling(self, event: SampleProgress) -> None:
        work = sample_progress(event)
        self._display.progress(
            work,
            unit="network evaluation",
            done=event.evaluations_done,
            total=event.evaluations,
            facts=sample_facts(event),
            seconds=event.seconds,
        )
        if event.images_done == event.images:
            self._display.end(work)

    def close(self) -> None:
        self._display.close()


def run_started(event: RunStarted) -> list[str]:
    work = (
        f"{event.name}: {event.parameters:,} parameters on {event.device}, "
        f"{counted(event.train_images, 'image')}, {counted(event.total_epochs, 'epoch')}, "
        f"{counted(event.total_steps, 'step')} of {counted(event.batch_images, 'image')}"
    )
    store = "" if event.store_memory_bytes is None else f"target store {_store(event)}, "
    lines = [work, f"{store}run folder {event.folder}"]
    if event.stale_images:
        lines.append(
            f"each epoch leaves out {counted(event.stale_images, 'image')}, which do not fill a "
            "batch" + ("; their estimates stay as they are" if store else "")
        )
    if event.first_step:
        lines.append(f"resuming after step {event.first_step:,}")
    return lines


def _store(event: RunStarted) -> str:
    places = {
        "of memory": event.store_memory_bytes,
        "on the disk at most": event.store_disk_bytes,
        "on the device": event.store_device_bytes,
    }
    taken = ", ".join(f"{size(taken)} {where}" for where, taken in places.items() if taken)
    return taken if event.processes == 1 else f"{taken}, in {event.processes} processes"


def step_done(event: StepDone, *, total_epochs: int | None) -> str:
    of_all = "" if total_epochs is None else f"/{total_epochs}"
    parts = [f"epoch {event.epoch + 1}{of_all}", f"loss {event.loss:.4g}"]
    if event.images_per_second is not None:
        parts.append(f"{event.images_per_second:,.0f} images/s")
    if event.seconds_left is not None:
        parts.append(f"{duration(event.seconds_left)} left")
    return ", ".join(parts)


def checkpoint_saved(event: CheckpointSaved) -> str:
    return (
        f"checkpoint at step {event.step:,}: {size(event.size_bytes)} in {event.save_seconds:.2g} s"
    )


def sample_progress(event: SampleProgress) -> str:
    steps = ", ".join(str(count) for count in event.steps)
    noun = "step" if event.steps == (1,) else "steps"
    return f"{event.sampler} at {steps} {noun}"


def sample_facts(event: SampleProgress) -> str:
    left = "" if event.images_done == event.images else f", {duration(event.seconds_left)} left"
    return f"{event.images_done:,} of {counted(event.images, 'image')}{left}"


def samples_drawn(event: SamplesDrawn) -> str:
    steps = counted_steps(event.steps, event.evaluations)
    images = counted(event.images, "image")
    return f"{event.sampler}, {steps}: {images}, {event.grid}"


def score_measured(event: ScoreMeasured) -> str:
    after = "" if event.epoch is None else f"after epoch {event.epoch + 1:,}, "
    steps = counted_steps(event.steps, event.evaluations)
    return f"{after}{event.sampler}, {steps}: {event.score} {event.value:.4g}"


def run_stopped(event: RunStopped) -> str:
    if event.reason == "finished":
        return f"finished: {event.message}"
    if event.reason == "failed":
        # The step that failed is in the message; the event's is that of the newest checkpoint.
        saved = f"saved up to step {event.step:,}" if event.step else "nothing is saved"
        return f"failed, {saved}: {event.message}"
    return f"{event.reason} at step {event.step:,}: {event.message}"
