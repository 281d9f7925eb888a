"""The state of a training run: everything that a checkpoint holds, and what surrounds it."""

from collections.abc import Mapping
from typing import Final, final

import torch
from attrs import define, field, frozen

from dddm.method.denoiser import ScheduledDenoiser
from dddm.method.ema import MovingAverage
from dddm.recipe.model import Recipe
from dddm.run.announce import Announcer
from dddm.run.event_log import EventLog
from dddm.run.folder import RunFolder
from dddm.run.processes import Processes
from dddm.run.stopping import StopRequest
from dddm.tasks.build import TrainingParts
from dddm.tasks.optimiser import make_optimiser
from dddm.tasks.parallel import ParallelDenoiser
from dddm.tasks.reader import Reader
from dddm.tasks.saver import Saver


@final
@define(kw_only=True)
class Position:
    """Where training stands: what to do next, and the epoch's mean so far.

    Attributes:
        overflows: steps in a row that were left out because float16 gradients overflowed.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    train_seconds: float = 0.0
    overflows: int = 0


PRECISIONS: Final = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
"""What `train.precision` may say, as torch calls it."""


@final
@frozen(kw_only=True)
class Best:
    """The best score so far: of which epoch, at which step."""

    value: float
    epoch: int
    step: int


def ema_group(decay: float) -> str:
    """What a further average is called in a checkpoint."""
    return f"ema-{decay:g}"


@final
@define(kw_only=True)
class Training:
    """A training run in this process: everything that a checkpoint holds, and what surrounds it.

    Attributes:
        log: the event log; None in all processes but the first.
        model: the network as this process evaluates it.
        parallel: the same with averaged gradients, where there are several processes.
    """

    recipe: Recipe
    folder: RunFolder
    device: torch.device
    parts: TrainingParts
    announcer: Announcer
    log: EventLog | None
    stop: StopRequest
    processes: Processes
    ema: MovingAverage = field(init=False)
    more_emas: Mapping[str, MovingAverage] = field(init=False)
    model: ScheduledDenoiser = field(init=False)
    parallel: ParallelDenoiser | None = field(default=None, init=False)
    optimiser: torch.optim.Adam = field(init=False)
    scaler: torch.amp.GradScaler = field(init=False)
    reader: Reader = field(init=False)
    saver: Saver = field(init=False)
    best: Best | None = field(default=None, init=False)
    position: Position = field(factory=Position, init=False)

    def __attrs_post_init__(self) -> None:
        train, backbone = self.recipe.train, self.parts.backbone
        self.ema = MovingAverage(backbone, decay=train.ema, warmup=train.ema_warmup)
        self.more_emas = {
            ema_group(decay): MovingAverage(backbone, decay=decay, warmup=train.ema_warmup)
            for decay in train.more_emas
        }
        self.model = ScheduledDenoiser(
            schedule=self.parts.schedule,
            backbone=backbone,
            precision=PRECISIONS[train.precision],
            compiled=train.compile,
        )
        if self.processes.joined:
            self.parallel = ParallelDenoiser(
                self.model, backbone=backbone, device=self.device, processes=self.processes
            )
        self.optimiser = make_optimiser(backbone, train)
        self.saver = Saver(self.processes)
        self.reader = Reader(self.parts.split, device=self.device, labels=backbone.uses_labels)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=train.precision == "float16")

    @property
    def own(self) -> slice:
        """Which images of each batch are this process's."""
        processes = self.processes
        return self.parts.plan.part_of(rank=processes.rank, processes=processes.count)

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.recipe.train.epochs * self.parts.plan.batches_per_epoch
