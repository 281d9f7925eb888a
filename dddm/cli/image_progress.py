"""Progress of work on many images, on stderr: a bar on a terminal, elsewhere occasional lines."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dddm.interfaces.data_report import ProgressCallback

_LINE_SECONDS: Final = 5.0


@contextmanager
def image_progress() -> Iterator["ProgressCallback"]:
    """Show progress while the block runs; work that ends at once shows nothing."""
    if sys.stderr.isatty():
        yield from _bars()
    else:
        yield lines(sys.stderr.write, clock=time.monotonic)


def _bars() -> Iterator["ProgressCallback"]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total or None)
            bars.update(tasks[what], completed=done, total=total or None)

        yield show


def lines(write: Callable[[str], object], *, clock: Callable[[], float]) -> "ProgressCallback":
    """Write one line every few seconds of `clock`."""
    last = clock()

    def show(what: str, done: int, total: int) -> None:
        nonlocal last
        now = clock()
        if now - last >= _LINE_SECONDS:
            last = now
            write(f"{what}: {done:,} of {total:,} images\n" if total else f"{what}\n")

    return show
