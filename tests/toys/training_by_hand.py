"""A training run in this process whose epochs change everything without computing anything."""

from pathlib import Path
from typing import Final

import torch
from command_line import write_tiny
from torch import Tensor

from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.training import checkpoint as checkpoints
from dddm.training.build import build_for_training
from dddm.training.checkpointing import restore
from dddm.training.context import RunContext
from dddm.training.event_log import EventLog
from dddm.training.events import EventBus
from dddm.training.run_folder import RunFolder
from dddm.training.training import Training

CPU: Final = torch.device("cpu")
EVERY: Final = torch.arange(1500)


def training_in(folder: Path, *, store: str) -> Training:
    """A run in this process, resumed from its newest whole checkpoint if there is one."""
    recipe = read_recipe(
        write_tiny(folder, ('use = "ram"', f'use = "{store}"')), catalogue=load_catalogue()
    )
    place = RunFolder(folder / "run")
    found = checkpoints.find_newest(place.checkpoints)
    log = EventLog(place.events)
    context = RunContext(recipe=recipe, folder=place, device=CPU, events=EventBus(()))
    training = Training(context=context, parts=build_for_training(context), log=log)
    if found.checkpoint is not None:
        restore(training, found.checkpoint)
    return training


def close(training: Training) -> None:
    """Let go of files and threads, as the end of a process does."""
    training.saver.close()
    training.reader.close()
    training.parts.memory.close()
    assert training.log is not None
    training.log.close()


def an_epoch(training: Training) -> None:
    """Change weights and every estimate, as an epoch does."""
    position, memory = training.position, training.parts.memory
    generator = torch.Generator().manual_seed(position.epoch)
    memory.begin_epoch(position.epoch)
    rows = torch.randn(len(EVERY), 1, 8, 8, generator=generator)
    memory.write(EVERY, values={"estimate": rows}, written=None)
    with torch.no_grad():
        for parameter in training.parts.backbone.parameters():
            parameter.add_(1)
    position.epoch += 1
    position.step += 6


def contents(training: Training) -> tuple[int, Tensor, Tensor]:
    """What a checkpoint is to bring back: step, X̂, a weight."""
    first = next(iter(training.parts.backbone.parameters()))
    return (
        training.position.step,
        training.parts.memory.peek(EVERY)["estimate"],
        first.detach().clone(),
    )


def is_same(one: tuple[int, Tensor, Tensor], other: tuple[int, Tensor, Tensor]) -> bool:
    """Whether two states are equal bit for bit."""
    return one[0] == other[0] and torch.equal(one[1], other[1]) and torch.equal(one[2], other[2])
