"""The event log: one JSON object a line, as `dddm.interfaces.event_lines` writes it, in order."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

from dddm.interfaces.event_lines import to_line
from dddm.interfaces.observer import DataProgress, Event, Observer, SampleProgress


def read_events(path: Path, *, event: str | None = None) -> Iterator[dict[str, Any]]:
    """The events of a log, or those of one name; a last line cut off by a crash is passed over."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.endswith("\n"):
                return
            entry = json.loads(line)
            if event is None or entry["event"] == event:
                yield entry


@final
class EventLog(Observer):
    """Appends events to a file; a resumed run cuts it back to where its checkpoint was made."""

    def __init__(self, path: Path, *, keep_bytes: int | None = None) -> None:
        """Open the log; with `keep_bytes`, what follows that many bytes is dropped."""
        path.parent.mkdir(parents=True, exist_ok=True)
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
