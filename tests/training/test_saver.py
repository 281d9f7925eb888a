"""A checkpoint is written while training goes on, and holds the moment that it was asked for."""

import threading
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
from training_by_hand import an_epoch, close, contents, is_same, training_in

from dddm.errors import EnvironmentProblem
from dddm.training import checkpoint as checkpoints
from dddm.training import checkpointing
from dddm.training.checkpointing import save


@pytest.mark.parametrize("store", ["ram", "mmap"])
def test_it_holds_the_moment_that_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    """Weights and every estimate change before the first byte is written."""
    go_on = threading.Event()
    real = safetensors.torch.save_file

    def waiting(*args: Any, **more: Any) -> None:
        assert go_on.wait(60)
        real(*args, **more)

    monkeypatch.setattr("dddm.training.checkpoint.save_file", waiting)
    training = training_in(tmp_path, store=store)
    an_epoch(training)
    asked_for = contents(training)
    save(training)
    assert training.saver.finished() is None
    assert checkpoints.list_checkpoints(training.context.folder.checkpoints) == []
    an_epoch(training)
    assert not is_same(contents(training), asked_for)
    go_on.set()
    saved = training.saver.wait()
    assert saved is not None
    assert saved.step == asked_for[0]
    assert 0 < saved.stalled_seconds < saved.seconds
    close(training)
    again = training_in(tmp_path, store=store)
    assert is_same(contents(again), asked_for)
    close(again)


def test_the_next_save_waits_for_the_one_before(tmp_path: Path) -> None:
    """Checkpoints become complete in their order, and the last ones are kept."""
    training = training_in(tmp_path, store="mmap")
    for _ in range(4):
        an_epoch(training)
        save(training)
    close(training)
    kept = checkpoints.list_checkpoints(training.context.folder.checkpoints)
    assert [checkpoints.step_of(path) for path in kept] == [24, 18]
    assert all(checkpoints.read(path) for path in kept)


def test_without_room_for_copies_it_is_complete_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then training waits for the disk, which costs time and no memory."""
    monkeypatch.setattr(checkpointing, "free_memory", lambda: 1000)
    training = training_in(tmp_path, store="ram")
    an_epoch(training)
    monkeypatch.setattr(checkpointing, "_copied", None)
    save(training)
    assert training.saver.wait() is None
    (path,) = checkpoints.list_checkpoints(training.context.folder.checkpoints)
    assert checkpoints.read(path).step == 6
    close(training)


def test_what_goes_wrong_is_raised_in_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the next look, in the words of the full disk; and not again when the thread ends."""

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dddm.training.checkpoint.save_file", full)
    training = training_in(tmp_path, store="ram")
    save(training)
    with pytest.raises(EnvironmentProblem, match="no space left"):
        training.saver.wait()
    save(training)
    close(training)
    assert checkpoints.list_checkpoints(training.context.folder.checkpoints) == []
