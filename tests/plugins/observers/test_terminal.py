"""The terminal observer, fed with the events of a run."""

import io
import re
import sys
from pathlib import Path
from typing import final

import attrs
import pytest
from run_events import EVENTS, STARTED, drawn, step

from dddm.interfaces.observer import (
    DataProgress,
    Event,
    RunStopped,
    SamplesDrawn,
    ScoreMeasured,
)
from dddm_observers import terminal
from dddm_observers.display import Bars, Lines
from dddm_observers.options import TerminalOptions
from dddm_observers.terminal import Terminal, display_for_stderr

REST = "2,500 images/s, 2 min 05 s left"
CHECKPOINT = "checkpoint at step 2: 5.2 MB in 0.041 s"
CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@final
class Screen(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def screen_for_stderr(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Put a terminal of 100 columns in place of stderr.

    No fixture: pytest puts its own stderr in place between a fixture and the test.
    """
    screen = Screen()
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_INTERACTIVE", "TTY_COMPATIBLE", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


def observe(events: list[Event], *, every_seconds: float = 10.0) -> None:
    """Show events from the first to the end."""
    observer = Terminal(TerminalOptions(every_seconds=every_seconds), folder=Path())
    for event in events:
        observer.on_event(event)
    observer.close()


def test_a_pipe_gets_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A whole run, as a log file shows it; nothing on stdout."""
    observe(EVENTS)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "digits: 361,234 parameters on cpu, 1,500 images, 2 epochs, 4 steps of 100 images",
        f"target store 384.0 kB of memory, run folder {STARTED.folder}",
        "[no] markup, and x̂",
        "training: step 1/4, epoch 1/2, loss 0.125",
        f"training: step 3/4, epoch 2/2, loss 0.04167, {REST}, {CHECKPOINT}",
        f"training: step 4/4, epoch 2/2, loss 0.03125, {REST}",
        "fixed-time at 1, 10 steps: network evaluation 10/20, 64 of 128 images, 2 min 05 s left",
        "fixed-time at 1, 10 steps: network evaluation 20/20, 128 of 128 images",
        f"fixed-time, 1 step: 128 images, {STARTED.folder / 'grid.png'}",
        "fixed-time, 1 step: fd 4.432",
        "finished: see report.html",
    ]


def test_lines_come_as_often_as_the_option_says(capsys: pytest.CaptureFixture[str]) -> None:
    """With every_seconds = 0 each step is a line."""
    observe(EVENTS, every_seconds=0)
    assert capsys.readouterr().err.count("training: step") == 4


def test_sampling_alone_is_followed_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Where no run was started, as in `dddm sample`, progress is shown all the same."""
    observe([drawn(64, seconds=1.0), step(3, seconds=1.0)])
    assert capsys.readouterr().err.splitlines() == [
        "fixed-time at 1, 10 steps: network evaluation 10/20, 64 of 128 images, 2 min 05 s left",
        "training: step 3, epoch 2, loss 0.04167, 2,500 images/s, 2 min 05 s left",
    ]


def test_a_terminal_gets_bars_and_what_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The facts, samples, scores and the end stay on the screen; bars leave no trace at the end."""
    screen = screen_for_stderr(monkeypatch)
    observe(EVENTS)
    text = CONTROL.sub("", screen.getvalue())
    for sentence in ("digits: 361,234 parameters", "[no] markup, and x̂", "fd 4.432", "finished: "):
        assert text.count(sentence) == 1
    assert "training" in text
    assert "fixed-time at 1, 10 steps" in text
    assert text.endswith("finished: see report.html\n")
    assert screen.getvalue().count("\x1b[?25l") == screen.getvalue().count("\x1b[?25h") > 0


def test_the_cursor_comes_back_when_a_run_breaks_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing in the middle of training leaves a usable terminal."""
    screen = screen_for_stderr(monkeypatch)
    observe(EVENTS[:4])
    assert screen.getvalue().count("\x1b[?25l") == screen.getvalue().count("\x1b[?25h") == 1


def test_bars_need_a_terminal_that_can_redraw(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dumb terminal gets lines, and so does a file, even under FORCE_COLOR."""
    screen_for_stderr(monkeypatch)
    assert isinstance(display_for_stderr(every_seconds=1), Bars)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(display_for_stderr(every_seconds=1), Lines)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(display_for_stderr(every_seconds=1), Lines)


def test_data_being_packed(capsys: pytest.CaptureFixture[str]) -> None:
    """What is done, how far it is, and no more of it once it is over."""
    observe(
        [
            DataProgress(seconds=seconds, what="packing train", done=done, total=5000)
            for seconds, done in ((2.0, 1000), (12.0, 2000), (42.0, 5000), (60.0, 0), (70.0, 1000))
        ]
    )
    _, err = capsys.readouterr()
    first, second, last, _, again = err.splitlines()
    assert first == "packing train: image 1,000/5,000, 1,000 of 5,000 images"
    assert second.endswith("2,000 of 5,000 images, 30 s left")
    assert last.endswith("5,000 of 5,000 images")
    assert again.endswith("1,000 of 5,000 images, 40 s left"), "the same work once more"


def test_a_score_during_training_says_after_which_epoch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Epochs are counted from 1 for a reader."""
    observe(
        [
            ScoreMeasured(
                seconds=1.0,
                score="fd-pixels@64",
                sampler="fixed-time",
                steps=2,
                evaluations=2,
                value=3.5,
                epoch=4,
            )
        ]
    )
    _, err = capsys.readouterr()
    assert err.splitlines() == ["after epoch 5, fixed-time, 2 steps: fd-pixels@64 3.5"]


def test_a_start_tells_where_the_store_is() -> None:
    """Memory, disk and device, each by itself, over all processes."""
    on_disk = attrs.evolve(
        STARTED, store_memory_bytes=15_400_000, store_disk_bytes=94_500_000_000, processes=4
    )
    assert terminal.run_started(on_disk)[1] == (
        "target store 15.4 MB of memory, 94.5 GB on the disk at most, in 4 processes, "
        f"run folder {STARTED.folder}"
    )
    on_device = attrs.evolve(STARTED, store_memory_bytes=0, store_device_bytes=307_200_000)
    assert terminal.run_started(on_device)[1].startswith("target store 307.2 MB on the device, ")


def test_a_start_tells_of_stale_images_and_of_going_on() -> None:
    """Images that no batch holds are counted; a resumed run says where it stands."""
    lines = terminal.run_started(attrs.evolve(STARTED, stale_images=48, first_step=2))
    assert "leaves out 48 images" in lines[2]
    assert lines[3] == "resuming after step 2"


def test_without_memory_there_is_no_store_to_tell_of() -> None:
    """Neither where it is, nor that estimates of left-out images stay as they are."""
    bare = attrs.evolve(
        STARTED,
        stale_images=48,
        store_memory_bytes=None,
        store_disk_bytes=None,
        store_device_bytes=None,
    )
    lines = terminal.run_started(bare)
    assert lines[1].startswith("run folder ")
    assert lines[2].endswith("which do not fill a batch")


def test_a_step_tells_what_is_known() -> None:
    """Before there is a rate, neither rate nor time left are shown."""
    known = terminal.step_done(step(3, seconds=0), total_epochs=2)
    assert known == "epoch 2/2, loss 0.04167, 2,500 images/s, 2 min 05 s left"
    unknown = terminal.step_done(step(1, seconds=0, rate=None), total_epochs=None)
    assert unknown == "epoch 1, loss 0.125"


@pytest.mark.parametrize(
    ("steps", "text"), [((1,), "fixed-time at 1 step"), ((1, 10), "fixed-time at 1, 10 steps")]
)
def test_sampling_tells_sampler_and_steps(steps: tuple[int, ...], text: str) -> None:
    """One pass may serve several step counts; all are named."""
    assert terminal.sample_progress(attrs.evolve(drawn(1, seconds=0), steps=steps)) == text


def test_samples_and_scores_tell_where_and_how_much() -> None:
    """A grid's path, a score's value to four digits."""
    grid = SamplesDrawn(
        seconds=0, sampler="annealed", steps=10, evaluations=10, images=64, grid=Path("grid.png")
    )
    assert terminal.samples_drawn(grid) == "annealed, 10 steps: 64 images, grid.png"
    score = ScoreMeasured(
        seconds=0, score="fd", sampler="annealed", steps=1, evaluations=1, value=4.43212
    )
    assert terminal.score_measured(score) == "annealed, 1 step: fd 4.432"


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("finished", "finished: why"),
        ("interrupted", "interrupted at step 1,200: why"),
        ("failed", "failed, saved up to step 1,200: why"),
    ],
)
def test_an_end_tells_how_it_came(reason: str, text: str) -> None:
    """A finished run says how long it took, any other where it stopped."""
    event = RunStopped(seconds=125.0, reason=reason, step=1200, message="why")
    assert terminal.run_stopped(event) == text
