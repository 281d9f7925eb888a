"""A thread that writes checkpoints while training goes on.

Training waits until what is to be saved has been copied in memory, and not for the disk.  One
checkpoint is on its way at a time; whatever goes wrong with it is raised in training.
"""

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import final

from attrs import frozen

from dddm.support.side_thread import side_thread
from dddm.train.processes import Processes


@final
@frozen(kw_only=True)
class Saved:
    """A checkpoint that is complete.

    Attributes:
        seconds: from the step that it was asked for to the last byte.
        stalled_seconds: how many of them training waited.
    """

    step: int
    folder: Path
    size_bytes: int
    seconds: float
    stalled_seconds: float


@final
class Saver:
    """Does one piece of work at a time beside training.

    Args:
        processes: of the run; all make their savers at once.
    """

    def __init__(self, processes: Processes) -> None:
        self.processes = processes.apart()
        self._thread = side_thread("dddm-saver")
        self._work: Future[Saved] | None = None

    def begin(self, write: Callable[[], Saved]) -> None:
        """Begin to write; what was begun before has been waited for."""
        assert self._work is None
        self._work = self._thread.submit(write)

    def finished(self) -> Saved | None:
        """What has become complete since this was last asked.

        Raises:
            DddmError: whatever went wrong with it.
        """
        return self.wait() if self._work is not None and self._work.done() else None

    def wait(self) -> Saved | None:
        """The same, after waiting for what is on its way.

        Raises:
            DddmError: whatever went wrong with it.
        """
        work, self._work = self._work, None
        return None if work is None else work.result()

    def close(self) -> None:
        """Let what is on its way become complete, if it can, and end the thread."""
        # Training ends with an error of its own, or has waited before.
        with suppress(Exception):
            self.wait()
        self._thread.shutdown(wait=True)
