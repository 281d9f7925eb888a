"""Events of a run on their way to its observers.

An observer that raises, also in a thread of its own, neither ends the run nor silences the others;
one that raises `StoppedEarly` asks the run to save and end, as Ctrl-C does.
"""

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, final

from attrs import define

from dddm.errors import DddmError, StoppedEarly
from dddm.interfaces.observer import Event, Notice, Observer
from dddm.interfaces.plugin import Kind
from dddm.recipe.model import Recipe
from dddm.registry.catalogue import Catalogue
from dddm.registry.tracebacks import line_in_package, summarize, top_package
from dddm.training.run_folder import RunFolder
from dddm.training.stopping import StopRequest


@final
@define(kw_only=True)
class Subscriber:
    """An observer that is to be made, or the one that was.

    Attributes:
        title: its id and package, for messages.
        folder: its own, removed after it is closed where it is empty.
        required: a `DddmError` while it is made ends the run; for observers that a recipe names.
        observer: None before it is made, and where making it failed.
        failures: how often it raised.
        received: how many events it was given.
    """

    title: str
    make: Callable[[], Observer]
    folder: Path | None = None
    required: bool = True
    observer: Observer | None = None
    failures: int = 0
    received: int = 0


def subscribers_for(recipe: Recipe, *, catalogue: Catalogue, folder: RunFolder) -> list[Subscriber]:
    """The recipe's observers; without `[[observe]]`, the default ones."""
    if recipe.observe is not None:
        places = _own_folders([use.component.name for use in recipe.observe], folder=folder)
        return [
            Subscriber(
                title=use.component.title,
                make=partial(_make_in, use.instantiate, folder=place),
                folder=place,
            )
            for use, place in zip(recipe.observe, places, strict=True)
        ]

    def make_default(component: Any, *, folder: Path) -> Observer:
        observer: Observer = component.load()(component.options(), folder=folder)
        return observer

    chosen = [one for one in catalogue.components(Kind.OBSERVER) if one.default]
    places = _own_folders([one.name for one in chosen], folder=folder)
    return [
        Subscriber(
            title=one.title,
            make=partial(_make_in, partial(make_default, one), folder=place),
            folder=place,
            required=False,
        )
        for one, place in zip(chosen, places, strict=True)
    ]


def _own_folders(names: Sequence[str], *, folder: RunFolder) -> list[Path]:
    """`observers/tensorboard`, with a number where that name is taken."""
    places: list[Path] = []
    for name in names:
        place, count = folder.observers / name, 1
        while place in places:
            count += 1
            place = folder.observers / f"{name}-{count}"
        places.append(place)
    return places


def _make_in(make: Callable[..., Observer], *, folder: Path) -> Observer:
    with suppress(OSError):  # one that writes nothing needs no folder; another says so itself
        folder.mkdir(parents=True, exist_ok=True)
    return make(folder=folder)


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
        self._in_threads: deque[tuple[Subscriber, BaseException]] = deque()
        self._hook_before: Callable[[threading.ExceptHookArgs], Any] | None = None
        self.subscribe(subscribers)

    def subscribe(self, subscribers: Iterable[Subscriber]) -> None:
        """Make these observers too; earlier events are not repeated for them.

        Raises:
            DddmError: if a required observer refuses to be made.
        """
        added = list(subscribers)
        if added and self._hook_before is None:
            self._hook_before, threading.excepthook = threading.excepthook, self._on_thread_failure
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
        self._report_threads()
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
            observer = subscriber.observer
            try:
                if observer is not None:
                    observer.close()
            except BaseException as error:
                if _is_ctrl_c(error):
                    raise
                subscriber.observer = None
                self._report(subscriber, error, when="it was closed")
            self._report_threads()
            subscriber.observer = None
            if subscriber.folder is not None:
                with suppress(OSError):  # it holds something
                    subscriber.folder.rmdir()
                    subscriber.folder.parent.rmdir()
        if self._hook_before is not None:
            threading.excepthook, self._hook_before = self._hook_before, None

    def _on_thread_failure(self, args: threading.ExceptHookArgs) -> None:
        """In the thread that failed; the main thread reports it."""
        for subscriber in self._subscribers:
            package = top_package(type(subscriber.observer).__module__)
            if args.exc_value is not None and line_in_package(args.exc_value, package) is not None:
                self._in_threads.append((subscriber, args.exc_value))
                return
        assert self._hook_before is not None
        self._hook_before(args)

    def _report_threads(self) -> None:
        while self._in_threads:
            subscriber, error = self._in_threads.popleft()
            self._report(subscriber, error, when="a thread of its own was at work")

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
