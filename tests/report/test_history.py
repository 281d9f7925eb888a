"""What event log and run.json say of a run, whole, cut or broken, and how far it is."""

import math
from pathlib import Path
from typing import Any

import pytest
from report_runs import SETS, STEPS, log_events, make_recipe, stopped, training_events

from dddm.interfaces.observer import EpochDone, ScoreMeasured
from dddm.report.history import History, RunState, read_history, read_run_info, run_state
from dddm.training.run_folder import RunFolder


def test_a_whole_run_is_read(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    log_events(folder, training_events(folder))
    history = read_history(folder.events)
    assert history.losses == {step: 2.0 / step for step in range(1, STEPS + 1)}
    assert history.learning_rates[STEPS] == 5e-4
    assert list(history.diagnoses) == [1, 2, 3, 4]
    assert history.diagnoses[2]["given_noise"] == pytest.approx(0.4)
    assert (history.epochs_done, history.steps_done) == (4, STEPS)
    names = ("total_epochs", "total_steps", "parameters", "train_images", "device")
    assert [history.whole(name) for name in names] == [4, STEPS, 361_234, 1500, None]
    assert history.images_per_second == 1007.0
    assert history.trained
    assert history.damage is None


def test_no_log_is_an_empty_history(tmp_path: Path) -> None:
    history = read_history(RunFolder(tmp_path).events)
    assert history == History()
    assert not history.trained


def test_a_step_that_was_done_again_counts_once(tmp_path: Path) -> None:
    """A log in which a resumed run repeats steps gives each of them once, in order."""
    folder = RunFolder(tmp_path)
    log_events(folder, training_events(folder, steps=6))
    log_events(folder, training_events(folder, steps=9))
    assert list(read_history(folder.events).losses) == list(range(1, 10))


def test_epochs_without_the_diagnostic_have_no_point(tmp_path: Path) -> None:
    """Neither a missing diagnostic nor one that is not finite is drawn."""
    folder = RunFolder(tmp_path)
    broken = {"given_store": math.nan, "given_noise": 1.0, "data_variance": 1.0}
    said: list[dict[str, float] | None] = [None, {}, broken]
    events = [
        EpochDone(seconds=1.0, epoch=k, step=k, loss=1.0, diagnosis=one)
        for k, one in enumerate(said)
    ]
    log_events(folder, events)
    history = read_history(folder.events)
    assert history.diagnoses == {}
    assert history.epochs_done == 3


@pytest.mark.parametrize(
    "line",
    [
        *("{", "[1]", "17", '{"no": "event"}', '{"event": "step-done"}', "\x00", "[" * 100_000),
        '{"event": "step-done", "step": 1e400, "loss": 1.0, "learning_rate": 1.0}',
        '{"event": "step-done", "step": 4, "loss": NaN, "learning_rate": 1.0}',
        f'{{"event": "step-done", "step": {10**30}, "loss": 1.0, "learning_rate": 1.0}}',
        '{"event": "run-started", "total_steps": "many"}',
        '{"event": "notice", "text": "\\ud800"}',
    ],
    ids=range(12),
)
def test_a_broken_line_is_named_and_costs_nothing_else(tmp_path: Path, line: str) -> None:
    """What stands around a broken line is kept, and the history says which line it is."""
    folder = RunFolder(tmp_path)
    log_events(folder, training_events(folder, steps=3))
    lines = folder.events.read_text(encoding="utf-8").splitlines()
    folder.events.write_text("\n".join([*lines[:2], line, *lines[2:], line]) + "\n", "utf-8")
    history = read_history(folder.events)
    assert list(history.losses) == [1, 2, 3]
    assert history.damage is not None
    assert history.damage.startswith("line 3 of events.jsonl is damaged, and 1 more line: ")


def test_a_line_cut_off_by_a_crash_is_no_damage(tmp_path: Path) -> None:
    """A half-written last line is what a running or killed process leaves."""
    folder = RunFolder(tmp_path)
    log_events(folder, training_events(folder, steps=3))
    with folder.events.open("a", encoding="utf-8") as log:
        log.write('{"event": "step-do')
    assert read_history(folder.events).damage is None


def test_scores_during_training_are_gathered_by_steps(tmp_path: Path) -> None:
    """Those with an epoch are of training, by epochs done; those without are of the end."""
    folder = RunFolder(tmp_path)
    log_events(
        folder,
        [
            ScoreMeasured(
                seconds=1.0,
                score="fd",
                sampler="f",
                steps=steps,
                evaluations=steps,
                value=value,
                epoch=epoch,
            )
            for epoch, steps, value in ((1, 2, 4.0), (1, 1, 5.0), (3, 1, 3.0), (None, 1, 9.0))
        ],
    )
    assert read_history(folder.events).scores == {1: {2: 5.0, 4: 3.0}, 2: {2: 4.0}}


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", "17", "\xff", '{"seconds": {"train": 1e400}}', '{"versions": [1]}'),
        *('{"seconds": {"train": "long"}}', '{"image_shape": {"channels": 1, "height": "8"}}'),
        *('{"created": 17}', '{"classes": [1]}', '{"x": ' + "[" * 99 + "]" * 99 + "}"),
    ],
)
def test_a_damaged_run_json_is_said_and_costs_nothing_else(tmp_path: Path, text: str) -> None:
    folder = RunFolder(tmp_path)
    folder.about.write_text(text, encoding="latin-1")
    info = read_run_info(folder)
    assert info.damage is not None
    assert "run.json is damaged" in info.damage
    assert (info.seconds, info.versions, info.image_shape) == ({}, {}, None)


def state_after(folder: RunFolder, *, missing_sets: int = 0, has_scores: bool = True) -> RunState:
    """The state of a run of twelve steps with three sets of samples."""
    recipe = make_recipe()
    for sampler, steps in SETS[missing_sets:]:
        path = folder.samples / f"{sampler}-{steps}"
        path.mkdir(parents=True, exist_ok=True)
        (path / "manifest.json").write_text("{}")
    return run_state(
        recipe, folder=folder, history=read_history(folder.events), has_scores=has_scores
    )


def test_a_finished_run_needs_no_sentence(tmp_path: Path) -> None:
    """Also where its last event is an earlier interruption: what was asked for is there."""
    folder = RunFolder(tmp_path)
    assert state_after(folder).sentence.startswith("Training has not started.")
    log_events(folder, training_events(folder))
    assert state_after(folder) == RunState(word="finished")
    log_events(folder, [stopped("interrupted", step=6, message="asked to stop")])
    assert state_after(folder) == RunState(word="finished")


@pytest.mark.parametrize(
    ("steps", "missing", "sentence"),
    [
        (6, {}, "Training is at step 6 of 12."),
        (12, {"missing_sets": 1}, "1 set of samples is missing."),
        (12, {"missing_sets": 3}, "3 sets of samples are missing."),
        (12, {"has_scores": False}, "the samples have no scores yet."),
    ],
)
def test_what_is_missing_is_said(
    tmp_path: Path, steps: int, missing: dict[str, Any], sentence: str
) -> None:
    """Steps, then samples, then scores; unfinished, interrupted or failed."""
    folder = RunFolder(tmp_path)
    log_events(folder, training_events(folder, steps=steps))
    found = state_after(folder, **missing)
    assert found.word == "unfinished"
    assert sentence in found.sentence
    log_events(folder, [stopped("interrupted", step=steps, message="asked to stop")])
    found = state_after(folder, **missing)
    assert found.word == "interrupted"
    assert sentence in found.sentence
    log_events(folder, [stopped("failed", step=steps, message="the loss is nan")])
    found = state_after(folder, **missing)
    assert found.word == "failed"
    assert found.sentence.startswith("This run failed: the loss is nan.  ")
    assert sentence in found.sentence
