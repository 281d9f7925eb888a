"""The event log: one JSON object a line, as `dddm.interfaces.event_lines` writes it, in order."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, final

from dddm.errors import DataError
from dddm.interfaces.event_lines import to_line
from dddm.interfaces.observer import DataProgress, Event, Observer, SampleProgress
from dddm.support.files import open_file, refuse_special
from dddm.support.json_files import TEXT, check_object, parse_json

_LONGEST_LINE: Final = 1 << 20


def read_events(path: Path, *, event: str | None = None) -> Iterator[dict[str, Any]]:
    """The events of a log, or those of one name; a last line cut off by a crash is passed over.

    Raises:
        DataError: if the log is damaged.
    """
    for number, entry in numbered_events(path):
        if isinstance(entry, ValueError):
            raise DataError(
                f"line {number} of {path.name} is damaged: {entry}",
                where=f"{path}:{number}",
                remedy="restore it from a copy, or remove the line",
            )
        if event is None or entry["event"] == event:
            yield entry


def numbered_events(path: Path) -> Iterator[tuple[int, dict[str, Any] | ValueError]]:
    """Each line's number, from 1, and its event, or what is wrong with it; 0 for the whole file."""
    try:
        lines = open_file(path)
    except FileNotFoundError:
        return
    except OSError as error:
        yield 0, ValueError(error.strerror)
        return
    with lines:
        number = 0
        while line := lines.readline(_LONGEST_LINE):
            number += 1
            if len(line) == _LONGEST_LINE:
                yield number, ValueError("it has no end")
                return
            if line.endswith(b"\n"):
                yield number, _parsed(line)


def _parsed(line: bytes) -> dict[str, Any] | ValueError:
    try:
        return check_object(parse_json(line.decode("utf-8")), {"event": TEXT}, required=["event"])
    except ValueError as error:
        return error


@final
class EventLog(Observer):
    """Appends events to a file; a resumed run cuts it back to where its checkpoint was made."""

    def __init__(self, path: Path, *, keep_bytes: int | None = None) -> None:
        """Open the log; with `keep_bytes`, what follows that many bytes is dropped."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            refuse_special(path)  # a pipe would block
        self._file = path.open("ab")
        if keep_bytes is not None:
            self.cut_back(keep_bytes)

    def cut_back(self, keep_bytes: int) -> None:
        if self._file.tell() > keep_bytes:
            self._file.truncate(keep_bytes)
            self._file.seek(keep_bytes)

    def on_event(self, event: Event) -> None:
        if isinstance(event, DataProgress | SampleProgress):
            return
        self._file.write(to_line(event).encode() + b"\n")
        self._file.flush()

    def position(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
