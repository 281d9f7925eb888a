"""The state of a training run: everything that a checkpoint holds, and what surrounds it."""

from typing import final

import torch
from attrs import define, field

from dddm.method.denoiser import ScheduledDenoiser
from dddm.method.ema import MovingAverage
from dddm.recipe.model import Recipe
from dddm.run.announce import Announcer
from dddm.run.event_log import EventLog
from dddm.run.folder import RunFolder
from dddm.run.stopping import StopRequest
from dddm.tasks.build import TrainingParts
from dddm.tasks.optimiser import make_optimiser


@final
@define(kw_only=True)
class Position:
    """Where training stands: what to do next, and the epoch's mean so far."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    train_seconds: float = 0.0


@final
@define(kw_only=True)
class Training:
    """A training run in this process: everything that a checkpoint holds, and what surrounds it."""

    recipe: Recipe
    folder: RunFolder
    device: torch.device
    parts: TrainingParts
    announcer: Announcer
    log: EventLog
    stop: StopRequest
    ema: MovingAverage = field(init=False)
    model: ScheduledDenoiser = field(init=False)
    optimiser: torch.optim.Adam = field(init=False)
    position: Position = field(factory=Position, init=False)

    def __attrs_post_init__(self) -> None:
        train = self.recipe.train
        self.ema = MovingAverage(self.parts.backbone, decay=train.ema, warmup=train.ema_warmup)
        self.model = ScheduledDenoiser(schedule=self.parts.schedule, backbone=self.parts.backbone)
        self.optimiser = make_optimiser(self.parts.backbone, train)

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.recipe.train.epochs * self.parts.plan.batches_per_epoch
