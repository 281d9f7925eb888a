"""The observer that writes every event as a line of JSON."""

import json
import sys
from pathlib import Path

import pytest
from run_events import EVENTS, STARTED

from dddm.errors import EnvironmentProblem
from dddm.interfaces.event_lines import event_name
from dddm_observers.json_lines import JsonLines
from dddm_observers.options import JsonLinesOptions


def observe(path: str, tmp_path: Path) -> None:
    """Send all events of a run to `path`."""
    observer = JsonLines(JsonLinesOptions(path=path), folder=tmp_path)
    for event in EVENTS:
        observer.on_event(event)
    observer.close()


def test_a_file_gets_each_event_in_order(tmp_path: Path) -> None:
    """One JSON object a line; folders above the file are made."""
    path = tmp_path / "new" / "events.jsonl"
    observe(str(path), tmp_path)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event"] for line in lines] == [event_name(e) for e in EVENTS]


def test_a_file_is_added_to(tmp_path: Path) -> None:
    """A resumed run does not destroy what the first one wrote."""
    path = tmp_path / "events.jsonl"
    observe(str(path), tmp_path)
    observe(str(path), tmp_path)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2 * len(EVENTS)


def test_a_line_can_be_read_at_once(tmp_path: Path) -> None:
    """A reader need not wait for the run to end."""
    path = tmp_path / "events.jsonl"
    observer = JsonLines(JsonLinesOptions(path=str(path)), folder=tmp_path)
    observer.on_event(STARTED)
    assert json.loads(path.read_text(encoding="utf-8"))["name"] == "digits"
    observer.close()


def test_without_a_path_lines_go_to_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stdout is left to results, and stderr stays open for others."""
    observe(JsonLinesOptions().path, tmp_path)
    sys.stderr.write("still open\n")
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == len(EVENTS) + 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", [".", "a file/events.jsonl"])
def test_a_place_where_no_file_can_be_is_an_error_with_a_remedy(tmp_path: Path, place: str) -> None:
    """A folder, or a path through a file, is found before the run starts, as the user's to mend."""
    (tmp_path / "a file").touch()
    with pytest.raises(EnvironmentProblem, match=r"cannot be written|no such place") as caught:
        JsonLines(JsonLinesOptions(path=str(tmp_path / place)), folder=tmp_path)
    assert str(tmp_path) in str(caught.value.where)
    assert caught.value.remedy is not None
