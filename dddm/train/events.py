"""Events of a run on their way to its observers.

An observer that raises neither ends the run nor silences the others; one that raises `StoppedEarly`
asks the run to save and end, as Ctrl-C does.
"""

import signal
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, final

from attrs import define

from dddm.errors import DddmError, StoppedEarly
from dddm.interfaces.observer import Event, Notice, Observer
from dddm.interfaces.plugin import Kind
from dddm.recipe.model import Recipe
from dddm.registry.catalogue import Catalogue
from dddm.registry.tracebacks import line_in_package, summarize
from dddm.train.run_folder import RunFolder
from dddm.train.stopping import StopRequest


@final
@define(kw_only=True)
class Subscriber:
    """An observer that is to be made, or the one that was.

    Attributes:
        title: its id and package, for messages.
        required: a `DddmError` while it is made ends the run; for observers that a recipe names.
        observer: None before it is made, and where making it failed.
        failures: how often it raised.
        received: how many events it was given.
    """

    title: str
    make: Callable[[], Observer]
    required: bool = True
    observer: Observer | None = None
    failures: int = 0
    received: int = 0


def subscribers_for(recipe: Recipe, *, catalogue: Catalogue, folder: RunFolder) -> list[Subscriber]:
    """The recipe's observers; without `[[observe]]`, the default ones."""
    if recipe.observe is not None:
        return [
            Subscriber(title=use.component.title, make=partial(use.instantiate, folder=folder.path))
            for use in recipe.observe
        ]

    def make_default(component: Any) -> Observer:
        observer: Observer = component.load()(component.options(), folder=folder.path)
        return observer

    return [
        Subscriber(title=one.title, make=partial(make_default, one), required=False)
        for one in catalogue.components(Kind.OBSERVER)
        if one.default
    ]


@final
class _NoticeCallback(Observer):
    def __init__(self, callback: Callable[[str], None]) -> None:
        self._callback = callback

    def on_event(self, event: Event) -> None:
        if isinstance(event, Notice):
            self._callback(event.text)


@final
class EventBus:
    """Publishes events to observers, in order.

    Only an observer's first failure is reported at once; `report_failures` counts the rest.

    Args:
        stop: how an observer can ask the run to end; None where nothing listens.

    Raises:
        DddmError: if a required observer refuses to be made.
    """

    def __init__(
        self, subscribers: Iterable[Subscriber] = (), *, stop: StopRequest | None = None
    ) -> None:
        self._subscribers: list[Subscriber] = []
        self._stop = stop
        self._started = time.perf_counter()
        self.subscribe(subscribers)

    def subscribe(self, subscribers: Iterable[Subscriber]) -> None:
        """Make these observers too; earlier events are not repeated for them.

        Raises:
            DddmError: if a required observer refuses to be made.
        """
        added = list(subscribers)
        failures: list[tuple[Subscriber, BaseException]] = []
        for subscriber in added:
            try:
                subscriber.observer = subscriber.make()
            except BaseException as error:
                if _is_ctrl_c(error) or (subscriber.required and isinstance(error, DddmError)):
                    raise
                failures.append((subscriber, error))
        self._subscribers += added
        # Reported when all observers are there to hear it.
        for subscriber, failure in failures:
            self._report(subscriber, failure, when="it was made, and is left out")

    @classmethod
    def for_notices(cls, callback: Callable[[str], None]) -> "EventBus":
        """Passes the text of notices to `callback`, and drops other events."""
        return cls([Subscriber(title="notices", make=lambda: _NoticeCallback(callback))])

    def clock(self) -> float:
        """Seconds since this process began the run."""
        return time.perf_counter() - self._started

    def publish(self, event: Event) -> None:
        for subscriber in self._subscribers:
            if subscriber.observer is None:
                continue
            subscriber.received += 1
            try:
                subscriber.observer.on_event(event)
            except BaseException as error:
                if _is_ctrl_c(error):
                    raise
                if isinstance(error, StoppedEarly) and self._stop is not None:
                    self._stop.request(f"observer {subscriber.title}: {error.what}")
                else:
                    self._report(subscriber, error, when=f"it got a {type(event).__name__} event")

    def emit(self, kind: type[Event], **fields: Any) -> None:
        """Publish an event of `kind` that happens now."""
        self.publish(kind(seconds=round(self.clock(), 3), **fields))

    def notice(self, text: str) -> None:
        """Publish a sentence that a person should read."""
        self.emit(Notice, text=text)

    def report_failures(self) -> None:
        """Say how often each observer failed that failed more than once."""
        for subscriber in self._subscribers:
            if subscriber.failures > 1:
                self.notice(
                    f"observer {subscriber.title} failed at {subscriber.failures:,} of "
                    f"{subscriber.received:,} events"
                )

    def close(self) -> None:
        """Close all observers, the first ones last: they hear what goes wrong with the others."""
        for subscriber in reversed(self._subscribers):
            observer, subscriber.observer = subscriber.observer, None
            try:
                if observer is not None:
                    observer.close()
            except BaseException as error:
                if _is_ctrl_c(error):
                    raise
                self._report(subscriber, error, when="it was closed")

    def _report(self, subscriber: Subscriber, error: BaseException, *, when: str) -> None:
        subscriber.failures += 1
        if subscriber.failures == 1:
            place = line_in_package(error, None)
            at = "" if place is None else f" ({place})"
            self.notice(f"observer {subscriber.title} failed when {when}: {summarize(error)}{at}")


def _is_ctrl_c(error: BaseException) -> bool:
    """Whether the user may have pressed it: a run that listens for it gets no such exception."""
    return (
        isinstance(error, KeyboardInterrupt)
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
