"""Bars and lines."""

import io
import re
import sys
from typing import final

import pytest
from rich.console import Console

from dddm_observers.display import Bars, Display, Lines

CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@final
class Screen(io.StringIO):
    """A file that says it is a terminal, and remembers all that was written."""

    def isatty(self) -> bool:
        """Yes."""
        return True

    def text(self) -> str:
        """What was written, without control sequences."""
        return CONTROL.sub("", self.getvalue())


def bars(*, width: int) -> tuple[Bars, Screen]:
    """Bars on a screen of so many columns."""
    screen = Screen()
    return Bars(Console(file=screen, force_terminal=True, width=width)), screen


def show(display: Display, done: int, *, seconds: float = 0.0, total: int | None = 10) -> None:
    """Tell a display of progress in training."""
    display.progress(
        "training", unit="step", done=done, total=total, facts=f"loss {done}", seconds=seconds
    )


def test_lines_come_at_the_first_progress_then_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Between two lines about a work lie at least so many seconds of the run's own clock."""
    lines = Lines(every_seconds=10)
    for done in range(1, 8):
        show(lines, done, seconds=4.0 * done)
    written = capsys.readouterr().err.splitlines()
    assert written == [f"training: step {done}/10, loss {done}" for done in (1, 4, 7)]


def test_the_last_progress_is_always_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A log shows that the work was completed, and how."""
    lines = Lines(every_seconds=10)
    show(lines, 1, seconds=0)
    show(lines, 10, seconds=1)
    assert capsys.readouterr().err.splitlines()[-1] == "training: step 10/10, loss 10"


def test_works_wait_for_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    """A line about one work does not keep another from being heard."""
    lines = Lines(every_seconds=10)
    show(lines, 1, seconds=0)
    lines.progress("sampling", unit="image", done=5, total=None, facts="", seconds=1)
    assert capsys.readouterr().err.splitlines()[-1] == "sampling: image 5"


def test_a_work_that_ended_begins_anew(capsys: pytest.CaptureFixture[str]) -> None:
    """The first progress of the next one of the same name is shown at once."""
    lines = Lines(every_seconds=10)
    show(lines, 1, seconds=0)
    lines.end("training")
    show(lines, 2, seconds=1)
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_status_rides_on_the_next_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A status takes no line of its own, and is shown once."""
    lines = Lines(every_seconds=0)
    lines.set_status("checkpoint a")
    lines.set_status("checkpoint b")
    show(lines, 1)
    show(lines, 2)
    written = capsys.readouterr().err.splitlines()
    assert written == ["training: step 1/10, loss 1, checkpoint b", "training: step 2/10, loss 2"]


def test_the_last_status_is_not_lost(capsys: pytest.CaptureFixture[str]) -> None:
    """Where no line of progress follows, the end says it; once."""
    lines = Lines(every_seconds=0)
    lines.set_status("checkpoint")
    lines.close()
    lines.close()
    assert capsys.readouterr().err == "checkpoint\n"


def test_a_bar_shows_how_far_its_work_is() -> None:
    """Name, percentage and facts stand beside the bar, on a screen of 80 columns too."""
    display, screen = bars(width=80)
    show(display, 3)
    display._bars.refresh()
    display.close()
    assert re.search(r"training .*30% loss 3", screen.text())


def test_a_status_is_shown_where_there_is_room() -> None:
    """A narrow screen keeps its columns for the facts."""
    for width, shown in ((80, False), (140, True)):
        display, screen = bars(width=width)
        display.set_status("checkpoint")
        show(display, 3)
        display._bars.refresh()
        display.close()
        assert ("checkpoint" in screen.text()) == shown


def test_bars_leave_the_screen_when_their_work_ends() -> None:
    """After the last work no thread draws, and what is said stands alone."""
    display, screen = bars(width=80)
    show(display, 3)
    display.end("training")
    display.end("training")
    assert not display._bars.live.is_started
    before = len(screen.text())
    display.print_line("done")
    assert screen.text()[before:] == "done\n"


def test_bars_come_back_for_the_next_work() -> None:
    """Training may go on after a grid was drawn."""
    display, screen = bars(width=80)
    show(display, 3)
    display.end("training")
    before = len(screen.text())
    show(display, 4)
    display._bars.refresh()
    display.close()
    assert "40%" in screen.text()[before:]


def test_what_is_said_is_not_markup() -> None:
    """Square brackets of a path or label are shown, not obeyed."""
    display, screen = bars(width=80)
    display.print_line("a [bold]path[/bold]")
    display.progress("[red]", unit="image", done=1, total=2, facts="[blue]", seconds=0)
    display._bars.refresh()
    display.close()
    assert "a [bold]path[/bold]" in screen.text()
    assert "[red]" in screen.text()
    assert "[blue]" in screen.text()


def test_stdout_is_left_alone() -> None:
    """While a bar moves, results still go to stdout itself."""
    display, _ = bars(width=80)
    stdout = sys.stdout
    show(display, 3)
    assert sys.stdout is stdout
    display.close()


def test_names_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    """A text may hold the name of a file, which may come from anyone."""
    shown_bars, screen = bars(width=100)
    shown_bars.print_line("no run folder \x1b[31m")
    shown_bars.close()
    Lines(every_seconds=10).print_line("no run folder \x1b[31m")
    for shown in (screen.getvalue(), capsys.readouterr().err):
        assert "no run folder \\u001b[31m" in shown
