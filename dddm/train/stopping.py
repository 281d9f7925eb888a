"""A run is asked to save and stop: by Ctrl-C or SIGTERM, or by an observer.

A second signal ends it at once.

A scheduler that signals all processes of a job and an agent that passes its own signal on to its
workers deliver one request twice, so that a second counts only some time after the first.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Final, final

from dddm.errors import StoppedEarly

if TYPE_CHECKING:
    # It brings torch along, which the command line must not wait for.
    from dddm.train.processes import Processes

_SAME_REQUEST_SECONDS: Final = 2.0


@final
class StopRequest:
    """Whether the run was asked to stop; safe to look at in every step."""

    def __init__(self) -> None:
        self.asked_by: str | None = None

    @property
    def made(self) -> bool:
        """Whether somebody has asked."""
        return self.asked_by is not None

    def ask(self, by: str) -> None:
        """Ask the run to stop; who asked first is named."""
        if not self.made:
            self.asked_by = by

    def agree(self, processes: "Processes") -> bool:
        """Whether any process was asked to stop; then all take it that they were."""
        asked = processes.gather(self.asked_by)
        self.asked_by = next((by for by in asked if by is not None), None)
        return self.made

    def obey(self, *, where: str, saved: bool) -> None:
        """Stop here if asked to.

        Raises:
            StoppedEarly: if somebody has asked.
        """
        if self.made:
            kept = "everything up to here is saved" if saved else "the last checkpoint is whole"
            raise StoppedEarly(
                f"stopped by {self.asked_by}; {kept}",
                where=where,
                remedy="give the same command again: it goes on from there",
            )


@contextmanager
def listening(*, same_request_seconds: float = _SAME_REQUEST_SECONDS) -> Iterator[StopRequest]:
    """Listen for SIGINT and SIGTERM within the block."""
    request = StopRequest()
    first: float | None = None

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal first
        if first is None:
            first = time.monotonic()
            request.ask(signal.Signals(number).name)
        elif time.monotonic() - first >= same_request_seconds:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
