"""How far work on many images is: a bar on a terminal, elsewhere a line now and then; on stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dddm.interfaces.findings import Progress

_LINE_SECONDS: Final = 5.0


@contextmanager
def showing_images() -> Iterator["Progress"]:
    """A function to be called with what is done, how many images are done, and how many there are.

    Nothing is shown of work that ends at once.
    """
    if sys.stderr.isatty():
        yield from _bars()
    else:
        yield lines(sys.stderr.write, clock=time.monotonic)


def _bars() -> Iterator["Progress"]:
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


def lines(write: Callable[[str], object], *, clock: Callable[[], float]) -> "Progress":
    """A line every few seconds.

    Args:
        write: takes each line.
        clock: seconds, from any start.
    """
    last = clock()

    def show(what: str, done: int, total: int) -> None:
        nonlocal last
        now = clock()
        if now - last >= _LINE_SECONDS:
            last = now
            write(f"{what}: {done:,} of {total:,} images\n" if total else f"{what}\n")

    return show
