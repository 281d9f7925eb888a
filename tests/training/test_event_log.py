"""The event log."""

from pathlib import Path

from run_events import drawn

from dddm.interfaces.observer import EpochDone, Notice
from dddm.training.event_log import EventLog, read_events


def test_events_are_read_back_in_order(tmp_path: Path) -> None:
    """What was noticed comes back by name with its fields; waiting progress is not kept."""
    log = EventLog(tmp_path / "events.jsonl")
    log.on_event(Notice(seconds=0.5, text="ü"))
    log.on_event(drawn(64, seconds=1.0))
    log.on_event(EpochDone(seconds=2, epoch=0, step=3, loss=0.5, diagnosis={"given_noise": 1.0}))
    log.close()
    first, second = read_events(tmp_path / "events.jsonl")
    assert (first["event"], first["text"]) == ("notice", "ü")
    assert second["diagnosis"] == {"given_noise": 1.0}
    assert [e["epoch"] for e in read_events(tmp_path / "events.jsonl", event="epoch-done")] == [0]


def test_a_resumed_log_is_cut_back_to_its_checkpoint(tmp_path: Path) -> None:
    """What followed the checkpoint is written again by the resumed run, so it is dropped first."""
    log = EventLog(tmp_path / "events.jsonl")
    log.on_event(Notice(seconds=0, text="kept"))
    position = log.position()
    log.on_event(Notice(seconds=1, text="dropped"))
    log.close()
    resumed = EventLog(tmp_path / "events.jsonl", keep_bytes=position)
    resumed.on_event(Notice(seconds=2, text="new"))
    resumed.close()
    texts = [entry["text"] for entry in read_events(tmp_path / "events.jsonl")]
    assert texts == ["kept", "new"]


def test_a_line_cut_off_by_a_crash_is_passed_over(tmp_path: Path) -> None:
    """A log that ends within a line is read up to there."""
    path = tmp_path / "events.jsonl"
    path.write_text('{"event": "notice", "text": "whole"}\n{"event": "not')
    assert [entry["text"] for entry in read_events(path)] == ["whole"]
