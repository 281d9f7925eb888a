"""Which of several failures is the one to show."""

import signal
import time
from pathlib import Path

import pytest
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from dddm.training.launch import LaunchResult, _first_failure, record_error


def failed(folder: Path, rank: int, code: int) -> ProcessFailure:
    return ProcessFailure(
        local_rank=rank, pid=10_000 + rank, exitcode=code, error_file=str(folder / f"{rank}.json")
    )


def test_one_that_the_agent_ended_is_not_the_first(tmp_path: Path) -> None:
    """Both times are of the same second: the agent sent SIGTERM to the one that was left."""
    failures = {
        0: failed(tmp_path, 0, -signal.SIGTERM),
        1: failed(tmp_path, 1, 9),
        2: failed(tmp_path, 2, -signal.SIGTERM),
    }
    assert _first_failure(failures) == LaunchResult(exit_code=9, rank=1)


def test_one_that_a_signal_killed(tmp_path: Path) -> None:
    failures = {
        0: failed(tmp_path, 0, -signal.SIGTERM),
        1: failed(tmp_path, 1, -signal.SIGKILL),
    }
    assert _first_failure(failures) == LaunchResult(exit_code=137, rank=1)


def test_the_error_that_was_left_first_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that went without a word is what the others' errors are about, or was ended."""
    for rank, message, code in ((1, "not finite", 5), (0, "cannot reach process 1", 6)):
        monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / f"{rank}.json"))
        record_error(message, code=code)
        time.sleep(0.01)
    failures = {rank: failed(tmp_path, rank, code) for rank, code in ((0, 6), (1, 5), (2, -15))}
    assert _first_failure(failures) == LaunchResult(exit_code=5, rank=1, message="not finite")


def test_one_that_was_ended_before_it_could_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two fail at once: the code of the first to say so is what it left, though it was ended."""
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "1.json"))
    record_error("no space left", code=6)
    failures = {0: failed(tmp_path, 0, 6), 1: failed(tmp_path, 1, -signal.SIGTERM)}
    assert _first_failure(failures) == LaunchResult(exit_code=6, rank=1, message="no space left")
