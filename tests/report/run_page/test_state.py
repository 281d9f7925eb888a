"""How far a run is, in words."""

from typing import Any

import pytest

from dddm.report.run_page.history import History
from dddm.report.run_page.state import State, state_of

STOPPED = {"reason": "interrupted", "step": 6, "message": "asked to stop"}


def state(
    *, done: int, missing_samples: int = 0, missing_scores: bool = False, **history: Any
) -> State:
    """The state of a run of twelve steps."""
    known = History(total_steps=12, steps_done=done, **history)
    return state_of(known, missing_samples=missing_samples, missing_scores=missing_scores)


def test_a_finished_run_needs_no_sentence() -> None:
    """Also where its last word is an older interruption: what was asked for is there."""
    assert state(done=12) == State(word="finished")
    assert state(done=12, stopped=STOPPED) == State(word="finished")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"done": 6}, "Training is at step 6 of 12."),
        ({"done": 12, "missing_samples": 1}, "1 set of samples is missing."),
        ({"done": 12, "missing_samples": 3}, "3 sets of samples are missing."),
        ({"done": 12, "missing_scores": True}, "the samples have no scores yet."),
    ],
)
def test_what_is_missing_is_said(asked: dict[str, Any], sentence: str) -> None:
    """Steps, then samples, then scores; with and without an interruption."""
    found = state(**asked)
    assert found.word == "unfinished"
    assert sentence in found.sentence
    found = state(**asked, stopped=STOPPED)
    assert found.word == "interrupted"
    assert sentence in found.sentence


def test_a_failure_gives_its_message() -> None:
    """A failed run says why, as one sentence."""
    found = state(done=6, stopped={"reason": "failed", "message": "the loss is nan"})
    assert found.word == "failed"
    assert found.sentence.startswith("This run failed: the loss is nan.  Training")


def test_a_run_that_has_not_begun_says_so() -> None:
    """Without a log there is nothing to count."""
    found = state_of(History(), missing_samples=5, missing_scores=True)
    assert found.sentence.startswith("Training has not begun.")
