"""Where progress is shown: a bar on a terminal, lines elsewhere.  Both write to stderr."""

import sys
from abc import ABC, abstractmethod
from typing import final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from dddm.errors import printable

_COLUMNS_FOR_STATUS = 120


class Display(ABC):
    """Shows sentences that stay and progress that passes.  Work in progress has a name."""

    @abstractmethod
    def print_line(self, text: str) -> None:
        """Show a sentence that stays."""

    @abstractmethod
    def set_status(self, text: str) -> None:
        """Show a short text beside the progress, until the next one replaces it."""

    @abstractmethod
    def progress(
        self, work: str, *, unit: str, done: int, total: int | None, facts: str, seconds: float
    ) -> None:
        """Show how far `work` is, counted in `unit`, at `seconds` since the run began."""

    @abstractmethod
    def end(self, work: str) -> None:
        """`work` is over: its progress need not be seen any more."""

    @abstractmethod
    def close(self) -> None:
        """Leave the screen in order."""


@final
class Bars(Display):
    """One line a work at the foot of a terminal, redrawn in place, gone at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tasks: dict[str, TaskID] = {}
        self._status = ""
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%", markup=False),
            TextColumn("{task.fields[facts]}", markup=False),
            TextColumn("{task.fields[status]}", markup=False, style="dim"),
            console=console,
            transient=True,
            expand=True,
            redirect_stdout=False,  # results on stdout stay on stdout
            refresh_per_second=4,
        )

    def print_line(self, text: str) -> None:
        self._console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def set_status(self, text: str) -> None:
        if self._console.width >= _COLUMNS_FOR_STATUS:
            self._status = text

    def progress(
        self, work: str, *, unit: str, done: int, total: int | None, facts: str, seconds: float
    ) -> None:
        del (
            unit,
            seconds,
        )  # a percentage has no unit; the bars redraw themselves four times a second at most
        if work not in self._tasks:
            self._tasks[work] = self._bars.add_task(work, facts="", status="")
        self._bars.start()
        self._bars.update(
            self._tasks[work], completed=done, total=total, facts=facts, status=self._status
        )

    def end(self, work: str) -> None:
        if work in self._tasks:
            self._bars.remove_task(self._tasks.pop(work))
        if not self._tasks:
            self._bars.stop()

    def close(self) -> None:
        self._bars.stop()


@final
class Lines(Display):
    """A line now and then, for log files and pipes."""

    def __init__(self, *, every_seconds: float) -> None:
        self._every_seconds = every_seconds
        self._last_seconds: dict[str, float] = {}
        self._status = ""

    def print_line(self, text: str) -> None:
        sys.stderr.write(printable(text) + "\n")
        sys.stderr.flush()

    def set_status(self, text: str) -> None:
        self._status = text

    def progress(
        self, work: str, *, unit: str, done: int, total: int | None, facts: str, seconds: float
    ) -> None:
        last_seconds = self._last_seconds.get(work)
        waited = last_seconds is None or seconds - last_seconds >= self._every_seconds
        if not waited and done != total:
            return
        self._last_seconds[work] = seconds
        of_all = "" if total is None else f"/{total:,}"
        parts = (f"{work}: {unit} {done:,}{of_all}", facts, self._status)
        self.print_line(", ".join(part for part in parts if part))
        self._status = ""

    def end(self, work: str) -> None:
        self._last_seconds.pop(work, None)

    def close(self) -> None:
        if self._status:
            self.print_line(self._status)
        self._status = ""
