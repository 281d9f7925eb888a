"""The training loop: batches, draws, memory, diagnostics and checkpoints of any objective.

Read `train` first, then `_Steps.make`.  The loss itself is the objective's `step`.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.core.draws import Draws, draw, equal_slices
from dddm.core.step import finite_rows, make_step, micro_batches, refuse_not_finite
from dddm.interfaces.objective import Batch, Diagnosis, Outcome, TrainingProgress
from dddm.interfaces.observer import EpochDone, RunStarted, StepDone
from dddm.support.noise import generator_for, noise_by_index, seed_for
from dddm.support.optimizer_state import set_learning_rate
from dddm.training.accumulation import find_accumulation_steps
from dddm.training.batches import EpochRows, StepRows
from dddm.training.checkpointing import announce_saved, save
from dddm.training.device import float32_products
from dddm.training.memory import gather_rows
from dddm.training.sharding import gathered
from dddm.training.training import Training
from dddm.training.update import (
    refuse_norm,
    remedy_for_not_finite,
    update_weights,
    update_weights_unread,
)

_DIAGNOSED_ROWS = 256
_STEPS_REMEMBERED = 50


@final
class _Rate:
    """Steps per second over the last steps; pauses between steps count."""

    def __init__(self) -> None:
        self._times: deque[float] = deque([time.perf_counter()], maxlen=_STEPS_REMEMBERED + 1)

    def step(self) -> float | None:
        """Count one more step; None before there is a rate."""
        self._times.append(time.perf_counter())
        seconds = self._times[-1] - self._times[0]
        return (len(self._times) - 1) / seconds if seconds > 0 else None


@final
@frozen(kw_only=True, eq=False)
class _Made:
    """A step whose numbers the host has not read.

    Attributes:
        step: its number, from 1.
        memory_epoch: the period in which a row of the memory is written once.
        checks: of its micro-batches; they raise for what is not finite.
        values: loss, the objective's numbers, the norm of the gradient, and 1 if all is finite.
        done: on a GPU, comes when the device has made the step.
    """

    step: int
    epoch: int
    memory_epoch: int
    batch: Batch
    outcome: Outcome
    checks: list[Callable[[], None]]
    values: Tensor
    learning_rate: float
    per_second: float | None
    done: torch.cuda.Event | None


def train(training: Training, *, after_epoch: Callable[[Training], None]) -> None:
    """Train from where `training` stands to the last step.

    Raises:
        TrainingFailed: at a number that is not finite; the last checkpoint stays.
        StoppedEarly: when asked to stop; everything is saved.
    """
    position, plan, context = training.position, training.parts.plan, training.context
    steps = _Steps(training)
    _announce_start(training)
    steps.stopping = context.stop.synchronize(context.processes)
    while position.step < training.total_steps:
        rows = plan.rows_of_epoch(position.epoch, part=training.process_slice)
        while position.batch < plan.batches_per_epoch and position.step < training.total_steps:
            if steps.stopping:
                steps.read_last()
                save(training)
                announce_saved(training, training.saver.wait())
                context.stop.raise_if_requested(where=f"step {position.step}")
            with float32_products(tf32=context.recipe.train.tf32):
                steps.make(rows)
            announce_saved(training, training.saver.finished())
        steps.read_last()
        _finish_epoch(training, after_epoch=after_epoch)
    announce_saved(training, training.saver.wait())


@final
class _Steps:
    """Makes one step after the other.

    A GPU is given a step before the host reads what came of the one before, so that it never waits
    for the host.  What is read goes by a stream of its own: the default one would bring it only
    after the step that was given.  Until it is read, a step's rows are not in the memory: a number
    that is not finite still stops the run before it reaches the store.  It has reached the weights
    by then, but these are never saved, since every checkpoint is preceded by `read_last`.

    Attributes:
        stopping: whether all processes are to stop before the next step.
    """

    def __init__(self, training: Training) -> None:
        self._training = training
        self._rate = _Rate()
        self._unread: _Made | None = None
        # A process that fails alone would leave the others waiting for its part of the weights.
        self._untried = training.context.recipe.train.micro_batches is None and not training.sharded
        stream: Any = torch.cuda.Stream  # torch does not type it
        self._reading = stream() if training.context.device.type == "cuda" else None
        self.stopping = False

    def make(self, rows: EpochRows) -> None:
        """One batch, from its images to new weights."""
        began = time.perf_counter()
        training = self._training
        parts, position, context = training.parts, training.position, training.context
        recipe = context.recipe
        settings = recipe.train
        # Dropout inside a network is the one thing that draws from the global generator.
        torch.manual_seed(seed_for("dropout", recipe.seed, position.step, context.processes.rank))
        generator = generator_for(
            "train", recipe.seed, position.epoch, position.batch, device=context.device
        )
        parts.backbone.train()
        memory_epoch = parts.plan.memory_epoch(epoch=position.epoch, step=position.step)
        if self._unread is not None and self._unread.memory_epoch != memory_epoch:
            self.read_last()  # this step may read what that one writes
        parts.memory.begin_epoch(memory_epoch)
        last = position.batch + 1 == parts.plan.batches_per_epoch
        upcoming = None if last else rows(position.batch + 1)
        batch = training.reader.read(rows(position.batch), upcoming=upcoming)
        progress = _progress(training)
        # Drawn for the whole batch, so that no number depends on how many processes share it.
        draws = draw(
            parts.objective,
            count=settings.batch_images,
            shape=parts.split.shape,
            schedule=parts.schedule,
            progress=progress,
            generator=generator,
            flips=settings.flips,
            label_dropout=settings.label_dropout or 0.0,
        )[training.process_slice]
        if self._untried:
            find_accumulation_steps(training, batch=batch, draws=draws, progress=progress)
            self._untried = False
        outcome, checks = _forward_and_backward(
            training, batch=batch, draws=draws, progress=progress, upcoming=upcoming
        )
        rate = parts.learning_rate.at(step=position.step, total_steps=training.total_steps)
        set_learning_rate(parts.optimizer, rate)
        values = [outcome.loss, *outcome.numbers.values()]
        if training.reads_late:
            finite = finite_rows(outcome, rows=len(batch.rows)).all()
            values += [update_weights_unread(training), finite]
        else:
            loss, numbers, self.stopping = _share(training, outcome, own=list(map(float, values)))
            parts.memory.write(batch.rows, values=outcome.memory, written=outcome.written)
            norm = update_weights(training)
        parts.objective.after_step(backbone=parts.backbone, progress=progress)

        position.step += 1
        position.batch += 1
        made = _Made(
            step=position.step,
            epoch=position.epoch,
            memory_epoch=memory_epoch,
            batch=batch,
            outcome=outcome,
            checks=checks,
            values=torch.stack([value.float() for value in values]),
            learning_rate=rate,
            per_second=self._rate.step(),
            done=None if self._reading is None else torch.cuda.current_stream().record_event(),
        )
        if training.reads_late:
            self.read_last()
            self._unread = made
        position.train_seconds += time.perf_counter() - began
        if not training.reads_late:
            self._report(made, loss=loss, norm=norm, numbers=numbers)

    def read_last(self) -> None:
        """Read what came of the last step, if nobody has, and write its rows of the memory.

        Raises:
            TrainingFailed: if a number of it is not finite.
        """
        made, self._unread = self._unread, None
        if made is None:
            return
        with self._beside_the_next_step(made):
            *own, norm, finite = made.values.tolist()  # here the host waits for the device
            if not finite:
                for check in made.checks:
                    check()
            loss, numbers, self.stopping = _share(self._training, made.outcome, own=own)
            refuse_norm(self._training, norm, where=f"step {made.step}, epoch {made.epoch}")
            self._training.parts.memory.write(
                made.batch.rows, values=made.outcome.memory, written=made.outcome.written
            )
        self._report(made, loss=loss, norm=norm, numbers=numbers)

    @contextmanager
    def _beside_the_next_step(self, made: _Made) -> Iterator[None]:
        if self._reading is None or made.done is None:
            yield
            return
        self._reading.wait_event(made.done)
        with torch.cuda.stream(self._reading):
            yield
        # Rows written so, and memory freed, come before what is given to the device from here on.
        torch.cuda.current_stream().wait_stream(self._reading)

    def _report(self, made: _Made, *, loss: float, norm: float, numbers: dict[str, float]) -> None:
        training, per_second = self._training, made.per_second
        settings = training.context.recipe.train
        training.position.loss_sum += loss
        if made.step % settings.log_every_steps:
            return
        training.context.events.emit(
            StepDone,
            step=made.step,
            epoch=made.epoch,
            loss=loss,
            learning_rate=made.learning_rate,
            gradient_norm=norm,
            images_per_second=per_second and per_second * settings.batch_images,
            seconds_left=per_second and (training.total_steps - made.step) / per_second,
            numbers=numbers,
        )


def _progress(training: Training) -> TrainingProgress:
    position = training.position
    return TrainingProgress(
        step=position.step, total_steps=training.total_steps, epoch=position.epoch
    )


def _share(
    training: Training, outcome: Outcome, *, own: list[float]
) -> tuple[float, dict[str, float], bool]:
    """Loss and numbers of the whole batch, and whether any process was asked to stop.

    Args:
        own: this process's loss and numbers.
    """
    processes, stop = training.context.processes, training.context.stop
    stopping = stop.requested
    if processes.count > 1:
        *sums, asked = processes.sums([*own, float(stopping)])
        # Not `stop.requested`: a request may have come in the meantime, unknown to the others.
        stopping = asked > 0
        if stopping:
            stop.request("a request to another process")
        own = [value / processes.count for value in sums]
    return own[0], dict(zip(outcome.numbers, own[1:], strict=True)), stopping


def _forward_and_backward(
    training: Training,
    *,
    batch: Batch,
    draws: Draws,
    progress: TrainingProgress,
    upcoming: StepRows | None,
) -> tuple[Outcome, list[Callable[[], None]]]:
    """Outcome of this process's rows; leaves the whole batch's gradient in `.grad`.

    Returns:
        also the checks of the micro-batches where these are to be made later.

    With accumulation, one micro-batch follows another; gradients add up, and
    are averaged over processes at the last one only.
    """
    parts, count = training.parts, training.accumulation_steps
    parts.optimizer.zero_grad()
    outcomes: list[Outcome] = []
    checks: list[Callable[[], None]] = []
    cut = list(micro_batches(batch, count))
    first_of_next = None if upcoming is None else upcoming.first_rows(count)
    read_next = [*(part.rows for part in cut[1:]), first_of_next]
    slices = equal_slices(len(batch.rows), count)
    for number, (part, place, following) in enumerate(
        zip(cut, slices, read_next, strict=True), start=1
    ):
        make = partial(
            make_step,
            training.steps,
            batch=part,
            draws=draws[place],
            memory=parts.memory.read(part.rows),
            progress=progress,
        )
        with ExitStack() as stack:
            if training.parallel is not None and number < count:
                stack.enter_context(training.parallel.alone())
            outcome = make() if training.parallel is None else training.parallel(make)
            check = partial(
                refuse_not_finite,
                _detached(outcome),
                batch=part,
                draws=draws[place],
                step=training.position.step + 1,
                remedy=partial(remedy_for_not_finite, training, batch=part),
            )
            if training.reads_late:
                checks.append(check)
            else:
                check()
            if following is not None:
                parts.memory.prefetch(following)
            scaled: Tensor = training.scaler.scale(outcome.loss / count)
            scaled.backward()  # type: ignore[no-untyped-call]  # torch does not type it
        outcomes.append(outcome)
    return _joined(outcomes), checks


def _detached(outcome: Outcome) -> Outcome:
    """Without what the backward pass needs, which would take up memory for another step."""
    loss_B = outcome.loss_B
    return replace(
        outcome,
        loss=outcome.loss.detach(),
        loss_B=None if loss_B is None else loss_B.detach(),
    )


def _joined(outcomes: list[Outcome]) -> Outcome:
    """Of all micro-batches together, without gradient."""
    loss = torch.stack([outcome.loss.detach() for outcome in outcomes]).mean()
    loss_B = [outcome.loss_B for outcome in outcomes if outcome.loss_B is not None]
    written = [outcome.written for outcome in outcomes if outcome.written is not None]
    return Outcome(
        loss=loss,
        loss_B=torch.cat(loss_B).detach() if loss_B else None,
        memory={
            name: torch.cat([outcome.memory[name] for outcome in outcomes])
            for name in outcomes[0].memory
        },
        written=torch.cat(written) if written else None,
        numbers={
            name: torch.stack([outcome.numbers[name].detach() for outcome in outcomes]).mean()
            for name in outcomes[0].numbers
        },
    )


def _finish_epoch(training: Training, *, after_epoch: Callable[[Training], None]) -> None:
    """After the last batch of an epoch, or of the run, which may end within one."""
    position, settings = training.position, training.context.recipe.train
    epoch, batches = position.epoch, position.batch
    last = position.step == training.total_steps
    diagnosis = None
    if last or (epoch + 1) % settings.diagnose_every_epochs == 0:
        with gathered(training.parts.backbone):
            diagnosis = _diagnose(training)
    training.context.events.emit(
        EpochDone,
        epoch=epoch,
        step=position.step,
        loss=position.loss_sum / batches,
        diagnosis=diagnosis,
    )
    with gathered(training.ema.backbone):
        after_epoch(training)
    training.context.processes.barrier()  # which may wait for long, as a step may not
    position.epoch, position.batch, position.loss_sum = epoch + 1, 0, 0.0
    if last or (epoch + 1) % settings.checkpoint_every_epochs == 0:
        save(training)


def _diagnose(training: Training) -> Mapping[str, float] | None:
    """The objective's diagnosis; all processes give their rows, and the first makes it."""
    parts, context = training.parts, training.context
    seed, shape = context.recipe.seed, parts.split.shape.as_tuple
    rows_B = torch.arange(min(_DIAGNOSED_ROWS, parts.plan.memory_rows))
    memory = gather_rows(parts.memory, context, rows_B)
    if memory is None:
        return None
    index_B = torch.arange(min(_DIAGNOSED_ROWS, len(parts.split)))
    batch = training.reader.read(StepRows(index=index_B, rows=rows_B))
    parts.backbone.eval()

    def noise(purpose: str) -> Tensor:
        drawn = noise_by_index(seed=seed, purpose=purpose, index=index_B, shape=shape)
        return drawn.to(context.device)

    found = parts.objective.diagnose(
        Diagnosis(
            denoiser=training.steps.denoiser,
            batch=batch,
            memory=memory,
            progress=_progress(training),
            noise=noise,
        )
    )
    return dict(found) or None


def _announce_start(training: Training) -> None:
    parts, context = training.parts, training.context
    settings, store = context.recipe.train, parts.memory_usage
    context.events.emit(
        RunStarted,
        name=context.recipe.name,
        folder=context.folder.path,
        total_steps=training.total_steps,
        total_epochs=-(-training.total_steps // parts.plan.batches_per_epoch),
        batch_images=settings.batch_images,
        first_step=training.position.step,
        device=str(context.device),
        parameters=sum(p.numel() for p in parts.backbone.parameters()),
        train_images=len(parts.split),
        stale_images=parts.plan.stale_images,
        store_memory_bytes=None if store is None else store.memory,
        store_disk_bytes=None if store is None else store.disk,
        store_device_bytes=None if store is None else store.device,
        processes=context.processes.count,
    )
