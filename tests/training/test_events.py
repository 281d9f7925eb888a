"""Observers are told, cannot end a run by failing, and can ask it to end."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import final

import pytest
from command_line import write_tiny

from dddm.errors import EnvironmentProblem, StoppedEarly
from dddm.interfaces.event_lines import to_line
from dddm.interfaces.observer import EpochDone, Event, Notice, Observer, RunStopped
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.training.events import EventBus, Subscriber, subscribers_for
from dddm.training.run_folder import RunFolder
from dddm.training.stopping import StopRequest, stop_on_signals


@final
class Listening(Observer):
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.closed = False

    def on_event(self, event: Event) -> None:
        assert isinstance(event, Notice)
        self.texts.append(event.text)

    def close(self) -> None:
        self.closed = True


@final
class Raising(Observer):
    """Raises whatever it is given, when told of an event or when closed."""

    def __init__(
        self, told: BaseException | None = None, closed: BaseException | None = None
    ) -> None:
        self._told = told
        self._closed = closed

    def on_event(self, event: Event) -> None:
        if self._told is not None:
            raise self._told

    def close(self) -> None:
        if self._closed is not None:
            raise self._closed


def subscriber(make: Observer | Callable[[], Observer], *, required: bool = True) -> Subscriber:
    made = (lambda: make) if isinstance(make, Observer) else make
    return Subscriber(title="toy:eye of toys 1.0", make=made, required=required)


def refusing(error: BaseException) -> Callable[[], Observer]:
    def make() -> Observer:
        raise error

    return make


@pytest.mark.parametrize(
    "error", [RuntimeError("no tracker today"), SystemExit(3), MemoryError(), AssertionError("so")]
)
def test_a_broken_observer_is_reported_once_and_counted(error: BaseException) -> None:
    """The others hear everything, what failed and where once, and at the end how often."""
    good = Listening()
    events = EventBus([subscriber(Raising(error)), subscriber(good)])
    events.notice("one")
    events.notice("two")
    events.report_failures()
    events.close()
    blamed, one, two, tally = good.texts
    assert blamed.startswith("observer toy:eye of toys 1.0 failed when it got a Notice event: ")
    assert type(error).__name__ in blamed
    assert "test_events.py:" in blamed
    assert (one, two) == ("one", "two")
    assert tally == "observer toy:eye of toys 1.0 failed at 3 of 3 events"
    assert good.closed


def test_an_observer_that_recovers_is_told_on() -> None:
    """A tracker whose network was away for a moment misses that moment only."""
    heard: list[str] = []

    @final
    class Hiccup(Observer):
        def on_event(self, event: Event) -> None:
            assert isinstance(event, Notice)
            if event.text == "two":
                raise ConnectionError
            heard.append(event.text)

    events = EventBus([subscriber(Hiccup())])
    for text in ("one", "two", "three"):
        events.notice(text)
    events.report_failures()
    assert heard[0] == "one"
    assert "ConnectionError" in heard[1]
    assert heard[2:] == ["three"]


@pytest.mark.parametrize("error", [ValueError("no key"), KeyError("x"), SystemExit("no")])
@pytest.mark.parametrize("named", [True, False])
def test_one_that_cannot_be_made_is_left_out(error: BaseException, *, named: bool) -> None:
    """The others are told; there is nothing to tell or to close."""
    good = Listening()
    events = EventBus([subscriber(refusing(error), required=named), subscriber(good)])
    events.notice("one")
    events.close()
    assert "failed when it was made, and is left out" in good.texts[0]
    assert good.texts[1:] == ["one"]


def test_a_named_one_may_refuse_before_the_run_begins() -> None:
    """A user's mistake, such as a file that cannot be written, ends it; not so of a default one."""
    refusal = EnvironmentProblem("no right to write", where="there")
    with pytest.raises(EnvironmentProblem, match="no right"):
        EventBus([subscriber(refusing(refusal))])
    good = Listening()
    EventBus([subscriber(refusing(refusal), required=False), subscriber(good)])
    assert "no right to write" in good.texts[0]


def test_one_that_fails_when_it_is_closed_is_reported_to_those_before_it() -> None:
    """They are still open; the log is the first, and closed last."""
    good = Listening()
    events = EventBus([subscriber(good), subscriber(Raising(closed=OSError("gone")))])
    events.close()
    assert len(good.texts) == 1
    assert "failed when it was closed: OSError: gone" in good.texts[0]
    assert good.closed


def test_an_observer_asks_the_run_to_stop() -> None:
    """The request names who asked and why; asking is no failure, and the first one counts."""
    good, stop = Listening(), StopRequest()
    asking = subscriber(Raising(StoppedEarly("the loss rises")))
    events = EventBus([asking, subscriber(good)], stop=stop)
    events.notice("one")
    events.notice("two")
    events.report_failures()
    assert good.texts == ["one", "two"]
    with pytest.raises(StoppedEarly, match=r"toys 1\.0: the loss rises; everything"):
        stop.raise_if_requested(where="step 3")


def test_where_nothing_can_be_stopped_asking_is_a_failure() -> None:
    """It is said, rather than passed over."""
    good = Listening()
    events = EventBus([subscriber(Raising(StoppedEarly("the loss rises"))), subscriber(good)])
    events.notice("one")
    assert "StoppedEarly: the loss rises" in good.texts[0]


def test_an_observers_interrupt_is_not_the_users() -> None:
    """Where a run listens for Ctrl-C, no KeyboardInterrupt is one; elsewhere it may be."""
    events = EventBus([subscriber(Raising(KeyboardInterrupt()))])
    # Tests that a shell runs in the background are started with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            events.notice("one")
        with stop_on_signals():
            events.notice("two")
    finally:
        signal.signal(signal.SIGINT, before)


def test_notices_alone_can_be_followed() -> None:
    """As where a command or Python code has no observers: sentences, and no other event."""
    texts: list[str] = []
    events = EventBus.for_notices(texts.append)
    events.notice("a damaged checkpoint is passed over")
    events.emit(RunStopped, reason="finished", step=1, message="")
    assert texts == ["a damaged checkpoint is passed over"]


@final
class Threaded(Observer):
    """Does its work in a thread, which fails."""

    def on_event(self, event: Event) -> None:
        del event
        thread = threading.Thread(target=self._work)
        thread.start()
        thread.join()

    def _work(self) -> None:
        raise ConnectionError("the tracker has gone")

    def close(self) -> None:
        self.on_event(Notice(seconds=0, text=""))


def test_a_failure_in_a_thread_of_an_observer_is_reported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Once at once, all counted; no traceback, and the hook before is back afterwards."""
    hook, good = threading.excepthook, Listening()
    events = EventBus([subscriber(good), subscriber(Threaded())])
    events.notice("one")
    events.notice("two")
    events.report_failures()
    told = [text for text in good.texts if text.startswith("observer")]
    assert "failed when a thread of its own was at work: ConnectionError: the tracker" in told[0]
    assert "test_events.py:" in told[0]
    assert "failed at" in told[-1]
    events.close()
    assert threading.excepthook is hook
    assert "Traceback" not in capsys.readouterr().err


def test_a_failure_in_another_thread_is_not_an_observers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is shown as it would be without a run."""
    good, shown = Listening(), list[threading.ExceptHookArgs]()
    monkeypatch.setattr(threading, "excepthook", shown.append)
    events = EventBus([subscriber(good)])
    thread = threading.Thread(target=int, args=["x"])
    thread.start()
    thread.join()
    events.notice("one")
    events.close()
    assert good.texts == ["one"]
    assert [one.exc_type for one in shown] == [ValueError]


def test_events_cannot_be_changed() -> None:
    """An observer that edits what it is told does not lie to those after it, nor to the log."""
    given = {"noise": 0.5}
    event = EpochDone(seconds=1.0, epoch=0, step=1, loss=1.0, diagnosis=given)
    given["noise"] = 0.7
    with pytest.raises(TypeError):
        event.diagnosis["noise"] = 0.0  # type: ignore[index]
    assert '"diagnosis": {"noise": 0.5}' in to_line(event)


def test_observers_have_folders_of_their_own(tmp_path: Path) -> None:
    """One for each, also of those of one kind; empty ones do not stay."""
    text = '[[observe]]\nuse = "json-lines"\npath = "-"\n'
    path = write_tiny(tmp_path, ('[evaluate]\nfeatures = "pixels"\n', text * 2))
    catalogue = load_catalogue()
    recipe = read_recipe(str(path), catalogue=catalogue)
    folder = RunFolder(tmp_path / "run")
    subscribers = subscribers_for(recipe, catalogue=catalogue, folder=folder)
    places = [one.folder for one in subscribers]
    assert places == [folder.observers / "json-lines", folder.observers / "json-lines-2"]
    events = EventBus(subscribers)
    assert all(place is not None and place.is_dir() for place in places)
    (folder.observers / "json-lines" / "kept").touch()
    events.close()
    assert [each.name for each in folder.observers.iterdir()] == ["json-lines"]
