"""Every write, sync and rename of a save fails in turn: the last good checkpoint always loads."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import safetensors.torch
import torch
from command_line import write_tiny
from torch import Tensor

from dddm.errors import DddmError
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.run import checkpoint as checkpoints
from dddm.run.announce import Announcer
from dddm.run.event_log import EventLog
from dddm.run.folder import RunFolder
from dddm.run.processes import ALONE
from dddm.run.stopping import StopRequest
from dddm.tasks.build import build_for_training
from dddm.tasks.keep import restore, save
from dddm.tasks.training import Training

CPU: Final = torch.device("cpu")
EVERY: Final = torch.arange(1500)


def training_in(folder: Path, *, store: str) -> Training:
    """A run in this process, taken up from its newest whole checkpoint if there is one."""
    recipe = read_recipe(
        write_tiny(folder, ('use = "ram"', f'use = "{store}"')), catalogue=load_catalogue()
    )
    place = RunFolder(folder / "run")
    found = checkpoints.newest_whole(place.checkpoints)
    log = EventLog(place.events)
    training = Training(
        recipe=recipe,
        folder=place,
        device=CPU,
        parts=build_for_training(recipe, folder=place, device=CPU, processes=ALONE),
        announcer=Announcer(()),
        log=log,
        stop=StopRequest(),
        processes=ALONE,
    )
    if found.checkpoint is not None:
        restore(training, found.checkpoint)
    return training


def close(training: Training) -> None:
    """Let go of files and threads, as the end of a process does."""
    training.reader.close()
    training.parts.store.close()
    assert training.log is not None
    training.log.close()


def an_epoch(training: Training) -> None:
    """Change weights and every estimate, as an epoch does."""
    position, store = training.position, training.parts.store
    generator = torch.Generator().manual_seed(position.epoch)
    store.begin_epoch(position.epoch)
    rows = torch.randn(len(EVERY), 1, 8, 8, generator=generator)
    store.write(EVERY, estimate=rows)
    with torch.no_grad():
        for parameter in training.parts.backbone.parameters():
            parameter.add_(1)
    position.epoch += 1
    position.step += 6


def contents(training: Training) -> tuple[int, Tensor, Tensor]:
    """What a checkpoint is to bring back: step, X̂, a weight."""
    first = next(iter(training.parts.backbone.parameters()))
    return training.position.step, training.parts.store.peek(EVERY), first.detach().clone()


def is_same(one: tuple[int, Tensor, Tensor], other: tuple[int, Tensor, Tensor]) -> bool:
    """Whether two states are equal bit for bit."""
    return one[0] == other[0] and torch.equal(one[1], other[1]) and torch.equal(one[2], other[2])


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
            "dddm.run.checkpoint.save_file", failing("save_file", safetensors.torch.save_file)
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
    failed, number = 0, 0
    while True:
        number += 1
        before = contents(training)
        an_epoch(training)
        after = contents(training)
        try:
            with failing_at(number, monkeypatch, with_errno=with_errno) as seen:
                save(training)
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
