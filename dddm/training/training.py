"""The state of a training run: everything that a checkpoint holds, and what surrounds it."""

from collections.abc import Mapping
from typing import Final, final

import torch
from attrs import Factory, define, field, frozen

from dddm.core.denoiser import ScheduledDenoiser
from dddm.core.ema import MovingAverage
from dddm.core.step import StepParts
from dddm.training.build import TrainingParts
from dddm.training.checkpoint import Saver
from dddm.training.context import RunContext
from dddm.training.event_log import EventLog
from dddm.training.processes import ParallelStep
from dddm.training.reader import Reader
from dddm.training.sharding import shard


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
    """A training run in this process.

    Attributes:
        log: the event log; None in all processes but the first.
        steps: what steps of this run have in common.
        parallel: makes steps with averaged gradients; None for a run of one process.
        accumulation_steps: how many micro-batches a batch is cut into in each process.
    """

    context: RunContext
    parts: TrainingParts
    log: EventLog | None
    accumulation_steps: int = field(
        default=Factory(lambda self: self.context.recipe.train.micro_batches or 1, takes_self=True)
    )
    ema: MovingAverage = field(init=False)
    extra_emas: Mapping[str, MovingAverage] = field(init=False)
    steps: StepParts = field(init=False)
    parallel: ParallelStep | None = field(default=None, init=False)
    scaler: torch.amp.GradScaler = field(init=False)
    reader: Reader = field(init=False)
    saver: Saver = field(init=False)
    best: Best | None = field(default=None, init=False)
    position: Position = field(factory=Position, init=False)

    def __attrs_post_init__(self) -> None:
        context, parts = self.context, self.parts
        train, backbone = context.recipe.train, parts.backbone
        self.ema = MovingAverage(backbone, decay=train.ema, warmup=train.ema_warmup)
        self.extra_emas = {
            ema_group(decay): MovingAverage(backbone, decay=decay, warmup=train.ema_warmup)
            for decay in train.extra_ema_decays
        }
        needs = context.recipe.needs
        self.steps = StepParts(
            objective=parts.objective,
            denoiser=ScheduledDenoiser(
                schedule=parts.schedule,
                backbone=backbone,
                parametrization=parts.parametrization,
                precision=PRECISIONS[train.precision],
                compiled=train.compile,
                takes_latent=needs.estimate == "latent",
            ),
            average=self.averaged_denoiser(compiled=train.compile) if needs.average else None,
            metric=parts.metric,
            mirrored=frozenset(
                one.name for one in needs.memory if one.shape is None and needs.memory_rows is None
            ),
            classes=len(parts.split.classes),
            compiled=train.compile and needs.traceable,
        )
        if self.sharded:
            averages = (self.ema, *self.extra_emas.values())
            shard(
                backbone,
                *(average.backbone for average in averages),
                optimizer=parts.optimizer,
                device=context.device,
            )
        elif context.processes.joined:
            self.parallel = ParallelStep(
                backbone,
                device=context.device,
                processes=context.processes,
                precision=PRECISIONS[train.gradient_precision],
            )
        self.saver = Saver(context.processes)
        self.reader = Reader(parts.split, device=context.device, labels=backbone.uses_labels)
        self.scaler = torch.amp.GradScaler(
            context.device.type, enabled=train.precision == "float16"
        )

    def averaged_denoiser(self, *, compiled: bool = False) -> ScheduledDenoiser:
        """The averaged network, from which samples are drawn."""
        return ScheduledDenoiser(
            schedule=self.parts.schedule,
            backbone=self.ema.backbone,
            parametrization=self.parts.parametrization,
            compiled=compiled,
            takes_latent=self.context.recipe.needs.estimate == "latent",
        )

    @property
    def sharded(self) -> bool:
        """Whether processes share the weights; their losses are averaged without a `parallel`."""
        return self.context.processes.joined and self.context.recipe.train.sharding == "full"

    @property
    def reads_late(self) -> bool:
        """Whether the host reads the numbers of a step when the device has been given the next.

        Not under float16, whose loss scale depends on them.
        """
        return self.context.device.type == "cuda" and not self.scaler.is_enabled()

    @property
    def process_slice(self) -> slice:
        """Which rows of each batch are this process's."""
        processes = self.context.processes
        return self.parts.plan.process_slice(rank=processes.rank, processes=processes.count)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.parts.total_steps
