"""Tells observers what happens; none of them can stop a run by failing."""

import contextlib
import time
from collections.abc import Iterable
from typing import Any, final

from dddm.interfaces.observer import Event, Notice, Observer


@final
class Announcer:
    """Passes events on to observers, in order.

    An observer that raises is reported once to the others and hears nothing more.
    """

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = list(observers)
        self._started = time.perf_counter()

    def clock(self) -> float:
        """Seconds since this process began the run."""
        return time.perf_counter() - self._started

    def notify(self, event: Event) -> None:
        """Pass one event on."""
        for observer in list(self._observers):
            try:
                observer.notice(event)
            except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything
                self._observers.remove(observer)
                self.say(f"observer {type(observer).__name__} failed and is left out: {error!r}")

    def announce(self, kind: type[Event], **fields: Any) -> None:
        """Make an event of `kind` that happens now, and pass it on."""
        self.notify(kind(seconds=round(self.clock(), 3), **fields))

    def say(self, text: str) -> None:
        """Pass on a sentence that a person should read."""
        self.announce(Notice, text=text)

    def close(self) -> None:
        """Close every observer that is still there."""
        for observer in self._observers:
            # The run is over; nobody is left to tell.
            with contextlib.suppress(Exception):
                observer.close()
