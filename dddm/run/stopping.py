"""Ctrl-C and SIGTERM: the first asks the run to save and stop, the second ends it at once."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import final

from dddm.errors import StoppedEarly


@final
class StopRequest:
    """Whether the run was asked to stop; safe to look at in every step."""

    def __init__(self) -> None:
        self.signal_name: str | None = None

    @property
    def made(self) -> bool:
        """Whether a signal has come."""
        return self.signal_name is not None

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
def listening() -> Iterator[StopRequest]:
    """Listen for SIGINT and SIGTERM within the block."""
    request = StopRequest()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if request.made:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        request.signal_name = signal.Signals(number).name

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
