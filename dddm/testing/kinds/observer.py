"""What an observer promises; see `dddm.interfaces.observer`."""

import contextlib
import io
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, final

import numpy as np
from attrs import field, frozen
from PIL import Image

from dddm.interfaces.observer import (
    CheckpointSaved,
    DataProgress,
    EpochDone,
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
from dddm.testing.check import Suite, expect
from dddm.testing.subject import LeftOut, Subject

OBSERVER: Final = Suite("observer")

_DESCRIPTORS: Final = Path("/proc/self/fd")
_SLOW_SECONDS: Final = 0.05
_STEPS: Final = 11


@final
@frozen(kw_only=True)
class FutureEvent(Event):
    """An event that no observer of today knows."""

    text: str


def _step(number: int) -> StepDone:
    return StepDone(
        seconds=1.0 + number,
        step=number,
        epoch=(number - 1) // 2,
        loss=0.5 / number,
        learning_rate=1e-3,
        gradient_norm=None if number == 1 else 1.5,
        images_per_second=None if number == 1 else 250.0,
        seconds_left=None if number == 1 else 60.0,
    )


def every_event(folder: Path) -> tuple[Event, ...]:
    """Events of every kind, in the order of a short run whose folder this is."""
    grid = folder / "grid.png"
    if folder.is_dir():
        Image.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save(grid)
    diagnosis = {"given_store": 0.2, "given_noise": 0.4, "data_variance": 0.3}
    return (
        DataProgress(seconds=0.0, what="packing images", done=10, total=10),
        RunStarted(
            seconds=0.1,
            name="a-run",
            folder=folder,
            total_steps=4,
            total_epochs=2,
            batch_images=10,
            first_step=0,
            device="cpu",
            parameters=1234,
            train_images=20,
            stale_images=0,
            store_memory_bytes=5120,
            store_disk_bytes=0,
            store_device_bytes=0,
        ),
        Notice(seconds=0.2, text="[a notice] with x̂ and 100 %"),
        _step(1),
        _step(2),
        EpochDone(seconds=3.0, epoch=0, step=2, loss=0.4, diagnosis=diagnosis),
        CheckpointSaved(
            seconds=3.1,
            step=2,
            folder=folder / "checkpoints" / "step-00000002",
            size_bytes=10_000,
            save_seconds=0.02,
            stalled_seconds=0.01,
        ),
        ScoreMeasured(
            seconds=3.2, score="fd", sampler="steps", steps=1, evaluations=1, value=5.0, epoch=0
        ),
        _step(3),
        _step(4),
        EpochDone(seconds=5.0, epoch=1, step=4, loss=0.3, diagnosis=None),
        SampleProgress(
            seconds=6.0,
            sampler="steps",
            steps=(1, 2),
            images_done=16,
            images=16,
            evaluations_done=2,
            evaluations=2,
            seconds_left=0.0,
        ),
        SamplesDrawn(seconds=6.1, sampler="steps", steps=1, evaluations=1, images=16, grid=grid),
        ScoreMeasured(seconds=7.0, score="fd", sampler="steps", steps=1, evaluations=1, value=4.0),
        RunStopped(seconds=8.0, reason="finished", step=4, message="see the report"),
    )


@final
@frozen(kw_only=True)
class _Stage:
    """A folder of a run, which is also the current one, and what is written to stdout there.

    Attributes:
        observers: that were made here.
    """

    folder: Path
    out: io.StringIO
    observers: list[Observer] = field(factory=list)


@contextlib.contextmanager
def _stage() -> Iterator[_Stage]:
    """Inside, whatever is written goes into a folder that is removed; stderr is not shown."""
    out = io.StringIO()
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        stage = _Stage(folder=Path(folder), out=out)
        try:
            yield stage
        except BaseException:
            # A check that ended early has not closed them, and their files would stay open.
            for observer in stage.observers:
                with contextlib.suppress(Exception):
                    observer.close()
            raise


def _observer(subject: Subject, stage: _Stage) -> Observer:
    observer: Observer = subject.make(folder=stage.folder)
    stage.observers.append(observer)
    return observer


@OBSERVER.check()
def takes_every_event(subject: Subject) -> None:
    """Events of every kind, in the order of a run, are taken, and then it closes."""
    with _stage() as stage:
        observer = _observer(subject, stage)
        for event in every_event(stage.folder):
            observer.on_event(event)
        observer.close()


@OBSERVER.check()
def takes_any_event_first(subject: Subject) -> None:
    """Any event may be the first, as when samples are drawn without training."""
    with _stage() as stage:
        for event in every_event(stage.folder):
            observer = _observer(subject, stage)
            observer.on_event(event)
            observer.close()


@OBSERVER.check()
def takes_a_resumed_run(subject: Subject) -> None:
    """A run that goes on in the same folder is followed by a new observer."""
    with _stage() as stage:
        for _ in range(2):
            observer = _observer(subject, stage)
            for event in every_event(stage.folder):
                observer.on_event(event)
            observer.close()


@OBSERVER.check()
def passes_over_the_unknown(subject: Subject) -> None:
    """An event of a later version, which it does not know, harms nothing."""
    with _stage() as stage:
        observer = _observer(subject, stage)
        events = every_event(stage.folder)
        for event in (*events[:4], FutureEvent(seconds=4.0, text="?"), *events[4:]):
            observer.on_event(event)
        observer.close()


@OBSERVER.check()
def closes_without_a_run(subject: Subject) -> None:
    """It can be closed though nothing has happened."""
    with _stage() as stage:
        _observer(subject, stage).close()


@OBSERVER.check()
def lets_go(subject: Subject) -> None:
    """Once it is closed no file is open any more and no thread of its goes on."""
    with _stage() as stage:
        threads, files = set(threading.enumerate()), _open_files()
        observer = _observer(subject, stage)
        for event in every_event(stage.folder):
            observer.on_event(event)
        observer.close()
        left = [t.name for t in threading.enumerate() if t not in threads and t.is_alive()]
        expect(not left, f"threads go on: {', '.join(left)}", remedy="join them in `close`")
        if files is None:
            raise LeftOut("this system does not say which files are open")
        gone = _open_files() or set()
        expect(
            not gone - files,
            f"still open: {', '.join(sorted(gone - files))}",
            remedy="close files in `close`",
        )


def _open_files() -> set[str] | None:
    """Files that this process has open; None where the system does not say."""
    if not _DESCRIPTORS.is_dir():
        return None
    found = set()
    for descriptor in _DESCRIPTORS.iterdir():
        with contextlib.suppress(OSError):
            target = str(descriptor.readlink())
            if target.startswith("/") and not target.startswith(("/proc/", "/dev/")):
                found.add(target)
    return found


@OBSERVER.check()
def quick(subject: Subject) -> None:
    """It returns from a step within 50 ms, most of the time."""
    with _stage() as stage:
        observer = _observer(subject, stage)
        observer.on_event(every_event(stage.folder)[1])
        took = []
        for number in range(1, _STEPS + 1):
            began = time.perf_counter()
            observer.on_event(_step(number))
            took.append(time.perf_counter() - began)
        observer.close()
    seconds = statistics.median(took)
    expect(
        seconds < _SLOW_SECONDS,
        f"it took {1000 * seconds:.0f} ms of each step",
        remedy="hand what takes long to a thread of your own",
    )


@OBSERVER.check()
def leaves_stdout_alone(subject: Subject) -> None:
    """It prints nothing on stdout, where results go."""
    with _stage() as stage:
        observer = _observer(subject, stage)
        for event in every_event(stage.folder):
            observer.on_event(event)
        observer.close()
        printed = stage.out.getvalue()
    expect(not printed, f"it printed {printed[:100]!r}", remedy="write to stderr or a file")
