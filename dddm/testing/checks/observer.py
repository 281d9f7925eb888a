"""What an observer promises; see `dddm.interfaces.observer`."""

import contextlib
import io
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, final

import pytest
from attrs import evolve, field, frozen
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
from dddm.testing.check import Suite
from dddm.testing.offline import offline
from dddm.testing.subject import Subject

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
    """Events of every kind, in the order of a short run in `folder`."""
    grid = folder / "grid.png"
    if folder.is_dir():
        Image.new("RGB", (8, 8)).save(grid)
    diagnosis = {"given_store": 0.2, "given_noise": 0.4, "data_variance": 0.3}
    steps = {"sampler": "steps", "steps": 1, "evaluations": 1}
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
        ScoreMeasured(seconds=3.2, score="fd", value=5.0, epoch=0, **steps),  # type: ignore[arg-type]
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
        SamplesDrawn(seconds=6.1, images=16, grid=grid, **steps),  # type: ignore[arg-type]
        ScoreMeasured(seconds=7.0, score="fd", value=4.0, **steps),  # type: ignore[arg-type]
        RunStopped(seconds=8.0, reason="finished", step=4, message="see the report"),
    )


@final
@frozen(kw_only=True)
class _Run:
    """A run's folder, and what is written to stdout while the current folder is another one."""

    subject: Subject
    folder: Path
    out: io.StringIO = field(factory=io.StringIO)
    observers: list[Observer] = field(factory=list)

    @property
    def own(self) -> Path:
        """The observer's own folder."""
        made = self.folder / "observers" / "this"
        made.mkdir(parents=True, exist_ok=True)
        return made

    @property
    def events(self) -> tuple[Event, ...]:
        return every_event(self.folder)

    def follow(self, *events: Event) -> None:
        """Give events to a new observer, and close it."""
        observer: Observer = self.subject.make(folder=self.own)
        self.observers.append(observer)
        for event in events:
            observer.on_event(event)
        observer.close()


def _runs(subject: Subject) -> Iterator[tuple[_Run]]:
    """In a folder that is removed, without network; stderr is not shown."""
    out = io.StringIO()
    with (
        tempfile.TemporaryDirectory() as folder,
        _current_folder(Path(folder)),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(io.StringIO()),
        offline(Path(folder)),
    ):
        run = _Run(subject=subject, folder=Path(folder) / "run", out=out)
        run.folder.mkdir()
        try:
            yield (run,)
        finally:
            # A check that failed has not closed them, and their files would stay open.
            for observer in run.observers:
                with contextlib.suppress(Exception):
                    observer.close()


@contextlib.contextmanager
def _current_folder(within: Path) -> Iterator[None]:
    here = within / "here"
    here.mkdir()
    with contextlib.chdir(here):
        yield


OBSERVER: Final = Suite(
    "observer",
    interface=Observer,
    cases=_runs,
    capabilities={
        "keeps-history": "what it wrote about a run stays when the run is resumed",
        "reports-failures": "it does not hide that it cannot write",
    },
)


@OBSERVER.check()
def takes_every_event(run: _Run) -> None:
    """It accepts the events of a whole run, then closes."""
    run.follow(*run.events)


@OBSERVER.check()
def takes_any_event_first(run: _Run) -> None:
    """It accepts any event as the first, as in sampling without training."""
    for event in run.events:
        run.follow(event)


@OBSERVER.check()
def takes_a_resumed_run(run: _Run) -> None:
    """A new observer can follow the resumed run in the same folder."""
    run.follow(*run.events)
    run.follow(*run.events)


@OBSERVER.check()
def passes_over_the_unknown(run: _Run) -> None:
    """It ignores events of unknown classes."""
    events = run.events
    run.follow(*events[:4], FutureEvent(seconds=4.0, text="?"), *events[4:])


@OBSERVER.check()
def closes_without_a_run(run: _Run) -> None:
    """It can be closed without any event."""
    run.follow()


@OBSERVER.check()
def writes_into_its_folder(run: _Run) -> None:
    """It makes, changes and removes files in its own folder alone."""
    events = run.events  # which draw a grid
    for name in ("recipe.toml", "run.json", "events.jsonl", "scores.json", "report.html"):
        text = 'name = "a-run"\n' if name == "recipe.toml" else "{}\n"
        (run.folder / name).write_text(text, encoding="utf-8")
    own = run.own
    before = _files_outside(own, within=run.folder)
    run.follow(*events)
    after = _files_outside(own, within=run.folder)
    touched = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    assert not touched, (
        f"it wrote, changed or removed {', '.join(touched[:5])} in the run folder: write into "
        "`folder`, which is the observer's own"
    )


def _files_outside(own: Path, *, within: Path) -> dict[str, bytes]:
    """Contents of all files within a folder but those of an observer."""
    return {
        str(path.relative_to(within)): path.read_bytes()
        for path in within.rglob("*")
        if path.is_file() and own not in path.parents
    }


@OBSERVER.check(capability="keeps-history")
def keeps_what_it_wrote(run: _Run) -> None:
    """When a run is resumed, no file of its folder is removed or becomes shorter."""
    _, started, *rest = run.events
    assert isinstance(started, RunStarted)
    run.follow(*run.events)
    before = {path: path.stat().st_size for path in run.own.rglob("*") if path.is_file()}
    run.follow(evolve(started, first_step=4), rest[-1])
    for path, size in before.items():
        name = path.relative_to(run.own)
        assert path.is_file(), f"{name} is gone after the run was resumed: add to what is there"
        now = path.stat().st_size
        assert now >= size, (
            f"{name} had {size} bytes, and {now} after the run was resumed: open it to append, or "
            "give each start a file of its own"
        )


@OBSERVER.check(capability="reports-failures")
def reports_failures(run: _Run) -> None:
    """If it cannot write, it raises, in a method or in its thread; it does not go on in silence."""
    run.follow(*run.events)
    if not any(path.is_file() for path in run.own.rglob("*")):
        pytest.skip("it writes no files")
    shutil.rmtree(run.own)
    own = run.folder / "observers" / "this"
    own.touch()  # a file where its folder should be
    raised: list[object] = []
    usual, threading.excepthook = threading.excepthook, raised.append
    observer: Observer | None = None
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "unraisablehook", raised.append)
            observer = run.subject.use.instantiate(folder=own)
            run.observers.append(observer)
            for event in run.events:
                observer.on_event(event)
            observer.close()
    except Exception as error:  # noqa: BLE001 - the observer may raise anything
        raised.append(error)
    finally:
        threading.excepthook = usual
    assert raised, (
        "its folder could not be written to, and nobody was told: let exceptions leave `on_event`, "
        "`close` and the thread; ask a Future for its result"
    )


@OBSERVER.check()
def lets_go(run: _Run) -> None:
    """After `close`, it has no open files and no running threads."""
    threads, files = set(threading.enumerate()), _open_files()
    run.follow(*run.events)
    left = [t.name for t in threading.enumerate() if t not in threads and t.is_alive()]
    assert not left, f"threads still run: {', '.join(left)}: join them in `close`"
    if not _DESCRIPTORS.is_dir():
        pytest.skip("this system does not say which files are open")
    still_open = sorted(_open_files() - files)
    assert not still_open, f"still open: {', '.join(still_open)}: close files in `close`"


def _open_files() -> set[str]:
    """Files that this process has open; none where the system does not say."""
    found = set()
    for descriptor in _DESCRIPTORS.iterdir() if _DESCRIPTORS.is_dir() else ():
        with contextlib.suppress(OSError):
            target = str(descriptor.readlink())
            if target.startswith("/") and not target.startswith(("/proc/", "/dev/")):
                found.add(target)
    return found


@OBSERVER.check()
def quick(run: _Run) -> None:
    """`on_event` usually returns from a step within 50 ms."""
    observer: Observer = run.subject.make(folder=run.own)
    run.observers.append(observer)
    observer.on_event(run.events[1])
    seconds = []
    for number in range(1, _STEPS + 1):
        began = time.perf_counter()
        observer.on_event(_step(number))
        seconds.append(time.perf_counter() - began)
    took = statistics.median(seconds)
    assert took < _SLOW_SECONDS, (
        f"it took {1000 * took:.0f} ms of each step: move slow work to a thread"
    )


@OBSERVER.check()
def leaves_stdout_alone(run: _Run) -> None:
    """It prints nothing on stdout."""
    run.follow(*run.events)
    printed = run.out.getvalue()
    assert not printed, f"it printed {printed[:100]!r}: write to stderr or a file"
