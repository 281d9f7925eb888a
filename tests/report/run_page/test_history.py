"""What a log says of a run, whole, cut or broken."""

import math
from pathlib import Path

import pytest
from report_runs import STEPS, log_events, stopped, training_events

from dddm.interfaces.observer import EpochDone, Notice, ScoreMeasured
from dddm.report.run_page.history import History, read_history
from dddm.train.run_folder import RunFolder


def history_of(folder: RunFolder) -> History:
    """The history of a folder's log."""
    return read_history(folder.events)


def test_a_whole_run_is_read(tmp_path: Path) -> None:
    """Steps, losses, rates, epochs and the facts of the start are those of the events."""
    folder = RunFolder(tmp_path)
    log_events(folder, training_events(folder))
    history = history_of(folder)
    assert history.step == tuple(range(1, STEPS + 1))
    assert history.loss == tuple(2.0 / step for step in range(1, STEPS + 1))
    assert history.learning_rate[-1] == 5e-4
    assert [point.epochs for point in history.diagnosis] == [1, 2, 3, 4]
    assert history.diagnosis[1].numbers["given_noise"] == pytest.approx(0.4)
    assert history.total_epochs == 4
    assert (history.epochs_done, history.steps_done, history.total_steps) == (4, STEPS, STEPS)
    assert (history.parameters, history.train_images, history.device) == (361_234, 1500, "cpu")
    assert history.images_per_second == 1007.0
    assert history.trained
    assert history.damage is None


def test_no_log_is_an_empty_history(tmp_path: Path) -> None:
    """A run that has not begun is no error."""
    history = history_of(RunFolder(tmp_path))
    assert history == History()
    assert not history.begun
    assert not history.trained


def test_only_a_last_word_counts_as_stopped(tmp_path: Path) -> None:
    """A run that was interrupted and went on is not interrupted any more."""
    folder = RunFolder(tmp_path)
    log_events(folder, training_events(folder, steps=6))
    log_events(folder, [stopped("interrupted", step=6, message="asked to")])
    found = history_of(folder).stopped
    assert found is not None
    assert found["reason"] == "interrupted"
    log_events(folder, [Notice(seconds=0.0, text="going on")])
    assert history_of(folder).stopped is None


def test_a_step_that_was_done_again_counts_once(tmp_path: Path) -> None:
    """A log in which a resumed run repeats steps gives each of them once, in order."""
    folder = RunFolder(tmp_path)
    log_events(folder, training_events(folder, steps=6))
    log_events(folder, training_events(folder, steps=9))
    assert history_of(folder).step == tuple(range(1, 10))


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
    history = history_of(folder)
    assert history.diagnosis == ()
    assert history.epochs_done == 3


@pytest.mark.parametrize(
    "line", ["{", "[1]", "17", '{"no": "event"}', '{"event": "step-done"}', "\x00"]
)
def test_a_broken_line_ends_the_history_and_is_named(tmp_path: Path, line: str) -> None:
    """What stands before a broken line is kept, and the history says where it broke."""
    folder = RunFolder(tmp_path)
    log_events(folder, training_events(folder, steps=3))
    with folder.events.open("a", encoding="utf-8") as log:
        log.write(f"{line}\n")
    history = history_of(folder)
    assert history.step == (1, 2, 3)
    assert history.damage is not None
    assert "events.jsonl cannot be read to its end" in history.damage


def test_a_line_cut_off_by_a_crash_is_no_damage(tmp_path: Path) -> None:
    """A half-written last line is what a running or killed process leaves."""
    folder = RunFolder(tmp_path)
    log_events(folder, training_events(folder, steps=3))
    with folder.events.open("a", encoding="utf-8") as log:
        log.write('{"event": "step-do')
    assert history_of(folder).damage is None


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
    assert history_of(folder).scores == {1: {2: 5.0, 4: 3.0}, 2: {2: 4.0}}
