"""Events as lines of JSON."""

import json
from pathlib import Path

import attrs
from run_events import EVENTS

from dddm.interfaces.event_lines import event_name, to_line
from dddm.interfaces.observer import Event, Notice, RunStarted, StepDone


def test_names_are_words_joined_by_hyphens() -> None:
    """`StepDone` becomes `step-done`."""
    assert event_name(Notice(seconds=0, text="")) == "notice"
    assert {event_name(event) for event in EVENTS} >= {"run-started", "step-done", "run-stopped"}


def test_a_line_holds_all_of_an_event() -> None:
    """Each event of a run is one line whose fields can be read again."""
    for event in EVENTS:
        line = to_line(event)
        assert "\n" not in line
        entry = json.loads(line)
        assert entry.pop("event") == event_name(event)
        assert entry == _plain(event)


def test_what_an_objective_does_not_have_is_left_out() -> None:
    """Numbers of a step and bytes of a store, where there are none; all else is there."""
    started = next(event for event in EVENTS if isinstance(event, RunStarted))
    bare = attrs.evolve(
        started, store_memory_bytes=None, store_disk_bytes=None, store_device_bytes=None
    )
    assert json.loads(to_line(started)).keys() - json.loads(to_line(bare)).keys() == {
        "store_memory_bytes",
        "store_disk_bytes",
        "store_device_bytes",
    }
    quiet = next(event for event in EVENTS if isinstance(event, StepDone))
    assert "numbers" not in json.loads(to_line(quiet))
    assert json.loads(to_line(attrs.evolve(quiet, numbers={"spread": 0.5})))["numbers"] == {
        "spread": 0.5
    }


def test_text_stays_readable() -> None:
    """x̂ is written as it is, a line break is not."""
    line = to_line(Notice(seconds=1.5, text="x̂\n"))
    assert line == '{"event": "notice", "seconds": 1.5, "text": "x̂\\n"}'


def _plain(event: Event) -> dict[str, object]:
    """The fields as JSON has them: paths as text, tuples as lists."""
    plain: dict[str, object] = {}
    for name, value in attrs.asdict(event).items():
        if name == "numbers" and not value:
            continue
        if isinstance(value, Path):
            plain[name] = str(value)
        else:
            plain[name] = list(value) if isinstance(value, tuple) else value
    return plain


def test_none_is_null() -> None:
    """A rate that is not known yet is written as such."""
    unknown = next(event for event in EVENTS if isinstance(event, StepDone))
    assert json.loads(to_line(unknown))["images_per_second"] is None
