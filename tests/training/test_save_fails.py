"""Every write, sync and rename of a save fails in turn: the last good checkpoint always loads."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
from training_by_hand import an_epoch, close, contents, is_same, training_in

from dddm.errors import DddmError
from dddm.training.checkpointing import save


@contextmanager
def failing_at(
    number: int, monkeypatch: pytest.MonkeyPatch, *, with_errno: int
) -> Iterator[list[str]]:
    """Let the `number`-th change of the disk fail; the list tells which came before it."""
    seen: list[str] = []

    def failing(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            seen.append(name)
            if len(seen) == number:
                raise OSError(with_errno, os.strerror(with_errno), str(args[0]))
            return real(*args, **more)

        return call

    with monkeypatch.context() as patched:
        for name in ("fsync", "fdatasync", "rename", "replace", "mkdir", "rmdir", "unlink"):
            patched.setattr(os, name, failing(name, getattr(os, name)))
        for name in ("write_text", "rename", "replace", "unlink", "mkdir"):
            patched.setattr(Path, name, failing(f"Path.{name}", getattr(Path, name)))
        patched.setattr(
            "dddm.training.checkpoint.save_file", failing("save_file", safetensors.torch.save_file)
        )
        yield seen


@pytest.mark.parametrize("with_errno", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("store", ["ram", "mmap"])
def test_the_last_good_checkpoint_always_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str, with_errno: int
) -> None:
    """Whatever fails, the state is the one before or, once that is whole, the new one."""
    training = training_in(tmp_path, store=store)
    (tmp_path / "run").mkdir(exist_ok=True)
    for _ in range(3):  # so that the save that fails has an old checkpoint to remove as well
        an_epoch(training)
        save(training)
        training.saver.wait()
    failed, number = 0, 0
    while True:
        number += 1
        before = contents(training)
        an_epoch(training)
        after = contents(training)
        try:
            with failing_at(number, monkeypatch, with_errno=with_errno) as seen:
                save(training)
                training.saver.wait()
        except (OSError, DddmError):
            failed += 1
            saved = False
        else:
            saved = True
        close(training)
        training = training_in(tmp_path, store=store)
        now = contents(training)
        assert is_same(now, after) or (not saved and is_same(now, before)), (number, seen)
        if len(seen) < number:
            assert saved
            break
    close(training)
    assert failed >= 12
