"""Requests to save and stop: from Ctrl-C, SIGTERM, a closed terminal (SIGHUP) or an observer.

The first signal is answered at once on stderr, and obeyed where the run can save.  A second one
ends the process at once.  A scheduler that signals every process of a job, and an agent that passes
its own signal on to its workers, deliver one request twice; so a second signal counts only some
time after the first.  Ctrl-C in a run of one process comes from a person, who may soon repeat it.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Final, final

from dddm.errors import StoppedEarly
from dddm.training.launch import is_worker, rank_here

if TYPE_CHECKING:
    # It imports torch, for which the command line must not wait.
    from dddm.training.processes import Processes

_SAME_REQUEST_SECONDS: Final = 2.0
_SAME_KEY_SECONDS: Final = 0.3
_STDERR: Final = 2
_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


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
    *, same_request_seconds: float | None = None, exit_at_second: bool = True
) -> Iterator[StopRequest]:
    """Turn SIGINT, SIGTERM and SIGHUP into a stop request within the block.

    A signal that the process was started to ignore, as `nohup` does with SIGHUP, stays ignored.

    Args:
        same_request_seconds: a second signal within them is the first one again; None for a time
            that fits the signal.
        exit_at_second: whether a second signal ends the process; otherwise it does what it would
            have done before the block: Ctrl-C raises KeyboardInterrupt.
    """
    stop = StopRequest()
    first: float | None = None

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal first
        if first is None:
            first = time.monotonic()
            stop.request(signal.Signals(number).name)
            _answer(number)
        elif time.monotonic() - first >= _window(number, same_request_seconds):
            signal.signal(number, signal.SIG_DFL if exit_at_second else before[number])
            os.kill(os.getpid(), number)

    before = {
        number: signal.signal(number, on_signal)
        for number in _SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _window(number: int, given: float | None) -> float:
    if given is not None:
        return given
    alone = number == signal.SIGINT and not is_worker()
    return _SAME_KEY_SECONDS if alone else _SAME_REQUEST_SECONDS


def _answer(number: int) -> None:
    """Say on stderr what happens next; by one system call: a print may have been interrupted."""
    if rank_here() != 0:
        return
    again = "Ctrl-C again" if number == signal.SIGINT else f"{signal.Signals(number).name} again"
    line_end = "\n" if os.isatty(_STDERR) else ""  # a bar may be drawn in the present one
    told = (
        f"{line_end}{signal.Signals(number).name}: finishing this step, then saving; "
        f"{again} stops at once and loses what was done since the last save\n"
    )
    with suppress(OSError):  # the terminal may be closed
        os.write(_STDERR, told.encode())
