"""Tells observers what happens; none of them can end a run by failing, and each can ask it to end.

An observer asks by raising `StoppedEarly`: the run saves and ends as after Ctrl-C.
"""

import signal
import time
from collections.abc import Callable, Iterable
from typing import Any, final

from attrs import define

from dddm.errors import DddmError, StoppedEarly
from dddm.interfaces.observer import Event, Notice, Observer
from dddm.registry.blame import in_words, place_of
from dddm.train.stopping import StopRequest


@final
@define(kw_only=True)
class Follower:
    """An observer, and what became of it.

    Attributes:
        title: what it is called in messages: its id, and the package that it is of.
        make: makes the observer.
        named: whether the recipe names it; then it may refuse to be made, by a `DddmError`.
        observer: None where it could not be made.
        failures: how often it raised.
        told: of how many events it was told.
    """

    title: str
    make: Callable[[], Observer]
    named: bool = True
    observer: Observer | None = None
    failures: int = 0
    told: int = 0


@final
class _Notices(Observer):
    """See `Announcer.of_notices`."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def notice(self, event: Event) -> None:
        """Pass on a notice."""
        if isinstance(event, Notice):
            self._say(event.text)


@final
class Announcer:
    """Passes events on to observers, in order.

    One that raises is reported at its first failure, and told of what comes all the same; how often
    it failed is said by `tally`.
    """

    def __init__(self, followers: Iterable[Follower], *, stop: StopRequest | None = None) -> None:
        """Make the observers.

        Args:
            followers: the observers to be.
            stop: where an observer can ask the run to end; None where it cannot be heard.

        Raises:
            DddmError: if one that the recipe names refuses.
        """
        self._followers = list(followers)
        self._stop = stop
        self._started = time.perf_counter()
        # Said when all are there to hear it.
        failures = [(follower, self._make(follower)) for follower in self._followers]
        for follower, failure in failures:
            if failure is not None:
                self._blame(follower, failure, when="it was made, and is left out")

    @classmethod
    def of_notices(cls, say: Callable[[str], None]) -> "Announcer":
        """Passes on notices alone, as text."""
        return cls([Follower(title="notices", make=lambda: _Notices(say))])

    @staticmethod
    def _make(follower: Follower) -> BaseException | None:
        """Make an observer; what went wrong, where it is to be left out."""
        try:
            follower.observer = follower.make()
        except BaseException as error:
            if _is_ctrl_c(error) or (follower.named and isinstance(error, DddmError)):
                raise
            return error
        return None

    def clock(self) -> float:
        """Seconds since this process began the run."""
        return time.perf_counter() - self._started

    def notify(self, event: Event) -> None:
        """Pass one event on."""
        for follower in self._followers:
            if follower.observer is None:
                continue
            follower.told += 1
            try:
                follower.observer.notice(event)
            except BaseException as error:
                if _is_ctrl_c(error):
                    raise
                if isinstance(error, StoppedEarly) and self._stop is not None:
                    self._stop.ask(f"observer {follower.title}: {error.what}")
                else:
                    self._blame(follower, error, when=f"it was told of {type(event).__name__}")

    def announce(self, kind: type[Event], **fields: Any) -> None:
        """Make an event of `kind` that happens now, and pass it on."""
        self.notify(kind(seconds=round(self.clock(), 3), **fields))

    def say(self, text: str) -> None:
        """Pass on a sentence that a person should read."""
        self.announce(Notice, text=text)

    def tally(self) -> None:
        """Say of each observer that failed more than once how often."""
        for follower in self._followers:
            if follower.failures > 1:
                self.say(
                    f"observer {follower.title} failed at {follower.failures:,} of "
                    f"{follower.told:,} events"
                )

    def close(self) -> None:
        """Close all, the first ones last: they hear what goes wrong with the others."""
        for follower in reversed(self._followers):
            observer, follower.observer = follower.observer, None
            try:
                if observer is not None:
                    observer.close()
            except BaseException as error:
                if _is_ctrl_c(error):
                    raise
                self._blame(follower, error, when="it was closed")

    def _blame(self, follower: Follower, error: BaseException, *, when: str) -> None:
        """Say what went wrong, the first time."""
        follower.failures += 1
        if follower.failures == 1:
            place = place_of(error)
            at = "" if place is None else f" ({place})"
            self.say(f"observer {follower.title} failed when {when}: {in_words(error)}{at}")


def _is_ctrl_c(error: BaseException) -> bool:
    """Whether the user may have pressed it: a run that listens for it gets no such exception."""
    return (
        isinstance(error, KeyboardInterrupt)
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
