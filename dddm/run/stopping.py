"""Ctrl-C and SIGTERM: the first asks the run to save and stop, a second ends it at once.

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
    from dddm.run.processes import Processes

_SAME_REQUEST_SECONDS: Final = 2.0


@final
class StopRequest:
    """Whether the run was asked to stop; safe to look at in every step."""

    def __init__(self) -> None:
        self.signal_name: str | None = None

    @property
    def made(self) -> bool:
        """Whether a signal has come."""
        return self.signal_name is not None

    def agree(self, processes: "Processes") -> bool:
        """Whether any process was asked to stop; then all take it that they were."""
        asked = processes.gather(self.signal_name)
        self.signal_name = next((name for name in asked if name is not None), None)
        return self.made

    def obey(self, *, where: str, saved: bool) -> None:
        """Stop here if asked to.

        Raises:
            StoppedEarly: if a signal has come.
        """
        if self.made:
            kept = "everything up to here is saved" if saved else "the last checkpoint is whole"
            raise StoppedEarly(
                f"stopped by {self.signal_name}; {kept}",
                where=where,
                remedy="give the same command again: it goes on from there",
            )


@contextmanager
def listening(*, same_request_seconds: float = _SAME_REQUEST_SECONDS) -> Iterator[StopRequest]:
    """Listen for SIGINT and SIGTERM within the block."""
    request = StopRequest()
    first = 0.0

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal first
        if not request.made:
            first = time.monotonic()
            request.signal_name = signal.Signals(number).name
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
