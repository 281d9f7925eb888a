"""Every event as a line of JSON, for scripts and trackers that follow a run while it goes on."""

import sys
from pathlib import Path
from typing import TextIO, final

from dddm.errors import EnvironmentProblem
from dddm.interfaces.event_lines import to_line
from dddm.interfaces.observer import Event, Observer
from dddm.support.files import raise_on_disk_full
from dddm_observers.options import JsonLinesOptions

_STDERR = "-"


@final
class JsonLines(Observer):
    """Writes each event at once, so that a reader sees it while the run goes on.

    A file is added to, never cut: a resumed run repeats the steps that its last checkpoint did not
    hold.  The run folder's own log is the one without repetitions.
    """

    def __init__(self, options: JsonLinesOptions, *, folder: Path) -> None:
        """Open the file.

        Raises:
            EnvironmentProblem: if there can be no file, for want of space, of a right, or of a
                folder.
        """
        del folder  # the run keeps its own log there
        self._file: TextIO | None = None
        if options.path != _STDERR:
            self._file = _open_to_add(Path(options.path))

    def on_event(self, event: Event) -> None:
        out = sys.stderr if self._file is None else self._file
        out.write(to_line(event) + "\n")
        out.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _open_to_add(path: Path) -> TextIO:
    try:
        with raise_on_disk_full(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            return path.open("a", encoding="utf-8")
    except OSError as error:
        raise EnvironmentProblem(
            f"events cannot be written to this place: {error.strerror}",
            where=str(path),
            remedy="give json-lines another path, or - for stderr",
        ) from error
