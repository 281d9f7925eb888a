"""The terminal observer, fed with the events of a run."""

import io
import re
import sys
from pathlib import Path
from typing import final

import pytest
from run_events import EVENTS, STARTED, drawn, step

from dddm.interfaces.observer import DataProgress, Event, ScoreMeasured
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
        "finished in 2 min 10 s: see report.html",
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
    for sentence in ("digits: 361,234 parameters", "[no] markup, and x̂", "fd 4.432", "finished in"):
        assert text.count(sentence) == 1
    assert "training" in text
    assert "fixed-time at 1, 10 steps" in text
    assert text.endswith("finished in 2 min 10 s: see report.html\n")
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
            for seconds, done in ((0.0, 0), (11.0, 2500), (12.0, 5000))
        ]
    )
    _, err = capsys.readouterr()
    assert "packing train" in err
    assert "2,500 of 5,000 images" in err


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
