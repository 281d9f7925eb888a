"""A right observer, and wrong ones."""

import threading
import time
from pathlib import Path
from typing import Any, Final, final

from dddm.interfaces.observer import (
    CheckpointSaved,
    Event,
    Observer,
    RunStarted,
    RunStopped,
    StepDone,
)
from dddm.interfaces.plugin import Kind, NoOptions
from planted.bug import Bug, bug


class Notes(Observer):
    """A line in a file for each event."""

    mode = "a"

    def __init__(self, options: NoOptions, *, folder: Path) -> None:
        self.file: Any = (folder / "notes.txt").open(self.mode, encoding="utf-8")
        self.total = 0

    def on_event(self, event: Event) -> None:
        self.file.write(f"{event}\n")

    def close(self) -> None:
        self.file.close()


@final
class RightObserver(Notes):
    pass


@final
class RaisesAtTheEnd(Notes):
    def on_event(self, event: Event) -> None:
        if isinstance(event, RunStopped):
            raise RuntimeError("so it ends")  # noqa: TRY004 - the mistake
        super().on_event(event)


@final
class WantsTheStart(Notes):
    def on_event(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.total = event.total_steps
        if isinstance(event, StepDone):
            self.file.write(f"{event.step / self.total:.0%}\n")


@final
class OnceInAFolder(Notes):
    mode = "a"

    def on_event(self, event: Event) -> None:
        if isinstance(event, CheckpointSaved):
            event.folder.parent.parent.joinpath("seen").mkdir()
        super().on_event(event)


@final
class KnowsAllEvents(Notes):
    def on_event(self, event: Event) -> None:
        if not type(event).__module__.startswith("dddm.interfaces"):
            raise TypeError("unknown event")
        super().on_event(event)


@final
class OpensLate(Notes):
    def __init__(self, options: NoOptions, *, folder: Path) -> None:
        self.folder = folder

    def on_event(self, event: Event) -> None:
        self.file = (self.folder / "notes.txt").open("a", encoding="utf-8")
        self.file.write(f"{event}\n")
        self.file.flush()

        # Only the last is closed by `close`, which knows of one at least.
        if not isinstance(event, RunStopped):
            self.file.close()


@final
class KeepsItsFile(Notes):
    def close(self) -> None:
        KEPT.append(self.file)


KEPT: Final[list[Any]] = []
"""Files that nobody closes: a test must, or Python warns of them."""


@final
class GoesOn(Notes):
    def __init__(self, options: NoOptions, *, folder: Path) -> None:
        super().__init__(options, folder=folder)
        STOP.clear()
        threading.Thread(target=STOP.wait, daemon=True, name="goes-on").start()


STOP: Final = threading.Event()


@final
class Slow(Notes):
    def on_event(self, event: Event) -> None:
        if isinstance(event, StepDone):
            time.sleep(0.06)


@final
class Prints(Notes):
    def on_event(self, event: Event) -> None:
        print(event)  # noqa: T201 - the mistake


BUGS: Final[list[Bug]] = [
    bug(Kind.OBSERVER, RightObserver),
    bug(
        Kind.OBSERVER,
        RaisesAtTheEnd,
        "observer.takes-every-event",
    ),
    bug(Kind.OBSERVER, WantsTheStart, "observer.takes-any-event-first"),
    bug(Kind.OBSERVER, OnceInAFolder, "observer.takes-a-resumed-run"),
    bug(Kind.OBSERVER, KnowsAllEvents, "observer.passes-over-the-unknown"),
    bug(Kind.OBSERVER, OpensLate, "observer.closes-without-a-run"),
    bug(Kind.OBSERVER, KeepsItsFile, "observer.lets-go"),
    bug(Kind.OBSERVER, GoesOn, "observer.lets-go"),
    bug(Kind.OBSERVER, Slow, "observer.quick"),
    bug(Kind.OBSERVER, Prints, "observer.leaves-stdout-alone"),
]
