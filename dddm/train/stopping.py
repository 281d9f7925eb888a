"""Requests to save and stop: from Ctrl-C, SIGTERM or an observer.

A second signal ends the process at once.  A scheduler that signals every process of a job, and an
agent that passes its own signal on to its workers, deliver one request twice; so a second signal
counts only some time after the first.
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
    # It imports torch, for which the command line must not wait.
    from dddm.train.processes import Processes

_SAME_REQUEST_SECONDS: Final = 2.0


@final
class StopRequest:
    """Whether the run was asked to stop; cheap to look at in every step."""

    def __init__(self) -> None:
        self.requested_by: str | None = None

    @property
    def requested(self) -> bool:
        return self.requested_by is not None

    def request(self, by: str) -> None:
        """Ask the run to stop; the first requester is the one that messages name."""
        if not self.requested:
            self.requested_by = by

    def synchronize(self, processes: "Processes") -> bool:
        """Whether any process was asked to stop; afterwards all of them count as asked."""
        requests = processes.gather(self.requested_by)
        self.requested_by = next((by for by in requests if by is not None), None)
        return self.requested

    def raise_if_requested(self, *, where: str) -> None:
        """Stop here, where everything is saved.

        Raises:
            StoppedEarly: if a stop was requested.
        """
        if self.requested:
            raise StoppedEarly(
                f"stopped by {self.requested_by}; everything up to here is saved",
                where=where,
                remedy="give the same command again to resume",
            )


@contextmanager
def stop_on_signals(
    *, same_request_seconds: float = _SAME_REQUEST_SECONDS
) -> Iterator[StopRequest]:
    """Turn SIGINT and SIGTERM into a stop request within the block."""
    stop = StopRequest()
    first: float | None = None

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal first
        if first is None:
            first = time.monotonic()
            stop.request(signal.Signals(number).name)
        elif time.monotonic() - first >= same_request_seconds:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
