"""What every part of a run needs, made once and passed as one object."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

import torch
from attrs import Factory, field, frozen

from dddm.recipe.model import Recipe
from dddm.registry.catalogue import Catalogue
from dddm.training.device import choose_device
from dddm.training.events import EventBus, subscribers_for
from dddm.training.launch import local_rank
from dddm.training.needed_weights import verify_weights
from dddm.training.processes import ALONE, Processes, join
from dddm.training.run_folder import RunFolder, locked, prepare_folder
from dddm.training.stopping import StopRequest


@final
@frozen(kw_only=True)
class RunContext:
    """A run as one of its processes sees it.

    Attributes:
        recipe: what the run does.
        folder: where it is kept.
        device: where networks compute.
        events: passes events on to observers; in a process that is not the first, to none.
        stop: whether the run was asked to stop.
        processes: that share the work.
    """

    recipe: Recipe
    folder: RunFolder
    device: torch.device
    stop: StopRequest = field(factory=StopRequest)
    events: EventBus = Factory(lambda self: EventBus(stop=self.stop), takes_self=True)
    processes: Processes = ALONE


@contextmanager
def open_run(recipe: Recipe, path: Path, *, device: str, stop: StopRequest) -> Iterator[RunContext]:
    """Join the other processes, make or find the run folder `path`, and keep other runs out of it.

    Raises:
        DddmError: if the device, a file of weights or the folder cannot be used.
    """
    chosen = choose_device(device, local_rank=local_rank())
    with join(chosen) as processes:
        context = RunContext(
            recipe=recipe,
            folder=RunFolder(path),
            device=chosen,
            stop=stop,
            processes=processes,
        )
        if processes.main:
            verify_weights(recipe.components)
            prepare_folder(recipe, path)
            with locked(path):
                processes.barrier()
                yield context
        else:
            processes.barrier()
            yield context


@contextmanager
def open_trained(
    recipe: Recipe, folder: RunFolder, *, catalogue: Catalogue, device: str, stop: StopRequest
) -> Iterator[RunContext]:
    """Join the other processes on an existing run, whose observers hear the first process.

    Raises:
        DddmError: if the device cannot be used, or an observer refuses to be made.
    """
    chosen = choose_device(device, local_rank=local_rank())
    with join(chosen) as processes:
        observers = (
            subscribers_for(recipe, catalogue=catalogue, folder=folder) if processes.main else ()
        )
        yield RunContext(
            recipe=recipe,
            folder=folder,
            device=chosen,
            stop=stop,
            events=EventBus(observers, stop=stop),
            processes=processes,
        )
