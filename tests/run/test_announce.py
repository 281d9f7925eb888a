"""Observers are told, and cannot stop a run."""

from typing import final

from dddm.interfaces.observer import Event, Notice, Observer
from dddm.run.announce import Announcer


@final
class Listening(Observer):
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.closed = False

    def notice(self, event: Event) -> None:
        assert isinstance(event, Notice)
        self.texts.append(event.text)

    def close(self) -> None:
        self.closed = True


@final
class Broken(Observer):
    def notice(self, event: Event) -> None:
        raise RuntimeError("no tracker today")


def test_a_broken_observer_is_reported_once_and_left_out() -> None:
    """The others hear why it is gone, and everything else."""
    good = Listening()
    announcer = Announcer([Broken(), good])
    announcer.say("one")
    announcer.say("two")
    announcer.close()
    assert [text for text in good.texts if "no tracker today" in text] == [good.texts[0]]
    assert good.texts[1:] == ["one", "two"]
    assert good.closed
