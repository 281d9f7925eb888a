"""The training loop: batches, draws, memory, diagnostics and checkpoints of any objective.

Read `train` first, then `_one_step`.  The loss itself is the objective's `step`.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import final

import torch
from torch import Tensor

from dddm.core.draws import Draws, draw, equal_slices
from dddm.core.step import make_step, micro_batches, refuse_not_finite
from dddm.interfaces.objective import Batch, Diagnosis, Outcome, TrainingProgress
from dddm.interfaces.observer import EpochDone, RunStarted, StepDone
from dddm.support.noise import generator_for, noise_by_index, seed_for
from dddm.support.optimizer_state import set_learning_rate
from dddm.train.batches import EpochRows, StepRows
from dddm.train.checkpointing import announce_saved, save
from dddm.train.device import float32_products
from dddm.train.memory import gather_rows
from dddm.train.training import Training
from dddm.train.update import remedy_for_not_finite, update_weights

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


def train(training: Training, *, after_epoch: Callable[[Training], None]) -> None:
    """Train from where `training` stands to the last step.

    Raises:
        TrainingFailed: at a number that is not finite; the last checkpoint stays.
        StoppedEarly: when asked to stop; everything is saved.
    """
    position, plan, context = training.position, training.parts.plan, training.context
    rate = _Rate()
    _announce_start(training)
    stopping = context.stop.synchronize(context.processes)
    while position.step < training.total_steps:
        rows = plan.rows_of_epoch(position.epoch, part=training.process_slice)
        while position.batch < plan.batches_per_epoch and position.step < training.total_steps:
            if stopping:
                save(training)
                announce_saved(training, training.saver.wait())
                context.stop.raise_if_requested(where=f"step {position.step}")
            with float32_products(tf32=context.recipe.train.tf32):
                stopping = _one_step(training, rows=rows, rate=rate)
            announce_saved(training, training.saver.finished())
        _finish_epoch(training, after_epoch=after_epoch)
    announce_saved(training, training.saver.wait())


def _one_step(training: Training, *, rows: EpochRows, rate: _Rate) -> bool:
    """One batch; whether all processes are to stop before the next."""
    began = time.perf_counter()
    parts, position, context = training.parts, training.position, training.context
    recipe = context.recipe
    settings = recipe.train
    # Dropout inside a network is the one thing that draws from the global generator.
    torch.manual_seed(seed_for("dropout", recipe.seed, position.step, context.processes.rank))
    generator = generator_for(
        "train", recipe.seed, position.epoch, position.batch, device=context.device
    )
    parts.backbone.train()
    parts.memory.begin_epoch(parts.plan.memory_epoch(epoch=position.epoch, step=position.step))
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
    outcome = _forward_and_backward(
        training, batch=batch, draws=draws, progress=progress, upcoming=upcoming
    )
    loss, numbers, stopping = _share(training, outcome)
    learning_rate = parts.learning_rate.at(step=position.step, total_steps=training.total_steps)
    set_learning_rate(parts.optimizer, learning_rate)
    parts.memory.write(batch.rows, values=outcome.memory, written=outcome.written)
    norm = update_weights(training)
    parts.objective.after_step(backbone=parts.backbone, progress=progress)

    position.step += 1
    position.batch += 1
    position.loss_sum += loss
    per_second = rate.step()
    position.train_seconds += time.perf_counter() - began
    if position.step % settings.log_every_steps == 0:
        context.events.emit(
            StepDone,
            step=position.step,
            epoch=position.epoch,
            loss=loss,
            learning_rate=learning_rate,
            gradient_norm=norm,
            images_per_second=per_second and per_second * settings.batch_images,
            seconds_left=per_second and (training.total_steps - position.step) / per_second,
            numbers=numbers,
        )
    return stopping


def _progress(training: Training) -> TrainingProgress:
    position = training.position
    return TrainingProgress(
        step=position.step, total_steps=training.total_steps, epoch=position.epoch
    )


def _share(training: Training, outcome: Outcome) -> tuple[float, dict[str, float], bool]:
    """Loss and numbers of the whole batch, and whether any process was asked to stop."""
    processes, stop = training.context.processes, training.context.stop
    own = [float(value) for value in (outcome.loss, *outcome.numbers.values())]
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
) -> Outcome:
    """Outcome of this process's rows; leaves the whole batch's gradient in `.grad`.

    With accumulation, one micro-batch follows another; gradients add up, and
    are averaged over processes at the last one only.
    """
    parts, recipe = training.parts, training.context.recipe
    count = recipe.train.accumulation_steps
    parts.optimizer.zero_grad()
    outcomes = []
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
            refuse_not_finite(
                outcome,
                batch=part,
                draws=draws[place],
                step=training.position.step + 1,
                remedy=partial(remedy_for_not_finite, training, batch=part),
            )
            if following is not None:
                parts.memory.prefetch(following)
            scaled: Tensor = training.scaler.scale(outcome.loss / count)
            scaled.backward()  # type: ignore[no-untyped-call]  # torch does not type it
        outcomes.append(outcome)
    return _joined(outcomes)


def _joined(outcomes: list[Outcome]) -> Outcome:
    """Of all micro-batches together, without gradient."""
    loss = torch.stack([outcome.loss.detach() for outcome in outcomes]).mean()
    written = [outcome.written for outcome in outcomes if outcome.written is not None]
    return Outcome(
        loss=loss,
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
        diagnosis = _diagnose(training)
    training.context.events.emit(
        EpochDone,
        epoch=epoch,
        step=position.step,
        loss=position.loss_sum / batches,
        diagnosis=diagnosis,
    )
    if training.context.processes.main:
        after_epoch(training)
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
