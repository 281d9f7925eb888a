"""What every part of a run needs, made once and passed as one object."""

from typing import final

import torch
from attrs import field, frozen

from dddm.recipe.model import Recipe
from dddm.train.events import EventBus
from dddm.train.processes import ALONE, Processes
from dddm.train.run_folder import RunFolder
from dddm.train.stopping import StopRequest


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
    events: EventBus
    stop: StopRequest = field(factory=StopRequest)
    processes: Processes = ALONE
