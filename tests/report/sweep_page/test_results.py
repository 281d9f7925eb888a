"""What is known of entries, whatever their folders hold."""

import json
from pathlib import Path

import pytest
from report_runs import log_events, stopped, training_events
from sweep_folders import begin, finish, make_sweep

from dddm.report.sweep_page.results import EntryResult, gather_results
from dddm.support.files import sha256_of
from dddm.train.run_folder import RunFolder


def results(folder: Path, **failures: str) -> dict[str, EntryResult]:
    found = gather_results(make_sweep(folder), folder=folder / "run", failures=failures)
    return {result.name: result for result in found}


def test_a_finished_entry_has_all_that_is_known_of_a_run(tmp_path: Path) -> None:
    """Scores, seconds, parameters, the checkpoint's hash and what it changes, as JSON too."""
    run = finish(make_sweep(tmp_path).entries[0], tmp_path / "run", fd={1: 9.0, 2: 5.0})
    found = results(tmp_path)["far"]
    assert (found.state, found.sentence, found.has_report) == ("finished", "", True)
    assert found.parameters == 361_234
    manifest = run.checkpoints / "step-00000012/manifest.json"
    assert found.checkpoint_sha256 == sha256_of(manifest)
    values = json.loads(json.dumps(found.to_json()))
    assert values["changes"] == {"metric": {"use": "far"}}
    assert values["seconds"]["train"] == 61.5
    assert [score["value"] for score in values["scores"]] == [9.0, 2.5, 5.0, 2.5]


def test_entries_that_were_not_begun_have_no_row_of_another(tmp_path: Path) -> None:
    """They are there, in the recipe's order, with nothing known of them."""
    found = results(tmp_path)
    assert list(found) == ["far", "slow_1", "last"]
    assert {one.state for one in found.values()} == {"not begun"}
    assert results(tmp_path, far="it broke")["far"].state == "failed"


def test_states_follow_the_log(tmp_path: Path) -> None:
    """Interrupted, failed and unfinished are told apart; a failure just now comes first."""
    far, slow, last = make_sweep(tmp_path).entries
    for entry, reason in ((far, "interrupted"), (slow, "failed"), (last, None)):
        run = begin(entry, tmp_path / "run")
        log_events(run, training_events(run, steps=4))
        if reason is not None:
            log_events(run, [stopped(reason, step=4, message="a loss is not finite")])
    found = results(tmp_path, last="memory ran out")
    assert [one.state for one in found.values()] == ["interrupted", "failed", "failed"]
    assert "a loss is not finite" in found["slow_1"].sentence
    assert found["last"].sentence == "memory ran out"
    assert results(tmp_path)["last"].state == "unfinished"


def test_missing_samples_or_scores_are_not_finished(tmp_path: Path) -> None:
    """A run whose samples were removed is not done, nor one that was scored otherwise."""
    run = finish(make_sweep(tmp_path).entries[0], tmp_path / "run", fd={1: 9.0})
    (run.samples / "steps-2/manifest.json").unlink()
    assert results(tmp_path)["far"].state == "unfinished"
    (run.samples / "steps-2/manifest.json").write_text("{}")
    run.note_about(scored={"features": "others"})
    found = results(tmp_path)["far"]
    assert (found.state, found.scores) == ("unfinished", ())


def test_scores_of_another_version_are_left_out(tmp_path: Path) -> None:
    """A folder that another recipe made is outdated, and lends its numbers to no table."""
    run = finish(make_sweep(tmp_path).entries[0], tmp_path / "run", fd={1: 9.0})
    run.note_about(recipe_sha256="0" * 64)
    found = results(tmp_path)["far"]
    assert (found.state, found.scores) == ("outdated", ())


@pytest.mark.parametrize("name", ["run.json", "scores.json", "events.jsonl"])
@pytest.mark.parametrize("contents", [b"", b"[", b"[1]", b"\xff\xfe", b'{"a": 1}\n'])
def test_damaged_files_cost_only_themselves(tmp_path: Path, name: str, contents: bytes) -> None:
    """Whatever a file holds, the table is made, and the other entries are whole."""
    far, slow, _ = make_sweep(tmp_path).entries
    run = finish(far, tmp_path / "run", fd={1: 9.0})
    finish(slow, tmp_path / "run", fd={1: 8.0})
    (RunFolder(run.path).path / name).write_bytes(contents)
    found = results(tmp_path)
    assert found["slow_1"].state == "finished"
    assert found["far"].state != "finished" or name == "scores.json"
    assert found["far"].sentence
