"""Progress of work on many images, on stderr: a bar on a terminal, otherwise occasional lines."""

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
    """Show progress within the block; work that ends at once shows nothing."""
    if not sys.stderr.isatty():
        yield progress_lines(sys.stderr.write, clock=time.monotonic)
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TaskID

    text, bar, _, remaining = Progress.get_default_columns()
    columns = (text, bar, MofNCompleteColumn(), remaining)
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what)
            bars.update(tasks[what], completed=done, total=total or None)

        yield show


def progress_lines(
    write: Callable[[str], object], *, clock: Callable[[], float]
) -> "ProgressCallback":
    """Write one line every few seconds of `clock`."""
    last = clock()

    def show(what: str, done: int, total: int) -> None:
        nonlocal last
        now = clock()
        if now - last >= _LINE_SECONDS:
            last = now
            write(f"{what}: {done:,} of {total:,} images\n" if total else f"{what}\n")

    return show
