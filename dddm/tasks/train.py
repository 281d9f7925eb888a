"""Training: algorithm 1 over all epochs, with diagnostics and pictures.

Read `train` first, then `_one_step`, which follows the paper line by line:
`dddm.method.training_step` holds the line that matters.
"""

import time

import attrs
import torch
from torch import Tensor

from dddm.interfaces.observer import EpochDone, RunStarted, StepDone
from dddm.method.leak import Leak, measure_leak
from dddm.method.learning_rate import learning_rate_at
from dddm.method.training_step import Batch, Draws, draw, refuse_not_finite, training_step
from dddm.run.rate import Rate
from dddm.support.noise import generator_for, noise_by_index, seed_for
from dddm.tasks.keep import save
from dddm.tasks.progress import Progress
from dddm.tasks.training import Training
from dddm.tasks.update import update_weights

_LEAK_IMAGES = 256


def train(training: Training, *, progress: Progress) -> None:
    """Train from where `training` stands to the end of the last epoch.

    Raises:
        TrainingFailed: at a number that is not finite; the last checkpoint stays.
        StoppedEarly: when asked to stop; everything is saved.
    """
    position, plan = training.position, training.parts.plan
    rate = Rate()
    _announce_start(training)
    while position.epoch < training.recipe.train.epochs:
        index_NB = plan.epoch(position.epoch)
        if position.batch == 0:
            training.parts.store.begin_epoch(position.epoch)
        while position.batch < plan.batches_per_epoch:
            if training.stop.made:
                save(training)
                training.stop.obey(where=f"step {position.step}", saved=True)
            index_B, following = index_NB[position.batch], position.batch + 1
            upcoming = index_NB[following] if following < plan.batches_per_epoch else None
            _one_step(training, index_B=index_B, upcoming=upcoming, rate=rate)
        _finish_epoch(training, progress=progress)


def _one_step(training: Training, *, index_B: Tensor, upcoming: Tensor | None, rate: Rate) -> None:
    began = time.perf_counter()
    parts, position, settings = training.parts, training.position, training.recipe.train
    seed, device = training.recipe.seed, training.device
    # Dropout inside a network is the one thing that draws from the global generator.
    torch.manual_seed(seed_for("dropout", seed, position.step))
    generator = generator_for("train", seed, position.epoch, position.batch, device=device)
    parts.backbone.train()

    batch = training.reader.read(index_B, upcoming=upcoming)
    draws = draw(
        schedule=parts.schedule,
        x_0=batch.x_0,
        generator=generator,
        estimate_dropout=settings.estimate_dropout,
        flips=settings.flips,
    )
    loss, estimate_BCHW = _forward_and_backward(training, batch=batch, draws=draws)
    learning_rate = _set_learning_rate(training)
    parts.store.write(batch.index, estimate=estimate_BCHW)
    norm = update_weights(training)

    position.step += 1
    position.batch += 1
    position.loss_sum += loss
    rate.step()
    position.train_seconds += time.perf_counter() - began
    if position.step % settings.log_every_steps == 0:
        per_second = rate.steps_per_second
        training.announcer.announce(
            StepDone,
            step=position.step,
            epoch=position.epoch,
            loss=loss,
            learning_rate=learning_rate,
            gradient_norm=norm,
            images_per_second=per_second and per_second * settings.batch_images,
            seconds_left=rate.seconds_left(training.total_steps - position.step),
        )


def _forward_and_backward(
    training: Training, *, batch: Batch, draws: Draws
) -> tuple[float, Tensor]:
    """The batch's loss and its new estimates; the gradient is in the weights.

    With accumulation the batch is worked off part by part; the gradient is that of the mean.
    """
    parts, position = training.parts, training.position
    count = training.recipe.train.accumulate
    training.optimiser.zero_grad()
    losses, estimates = [], []
    for part, part_draws in zip(batch.parts(count), draws.parts(count), strict=True):
        outcome = training_step(
            model=training.model,
            metric=parts.metric,
            store=parts.store,
            batch=part,
            draws=part_draws,
            epoch=position.epoch,
        )
        refuse_not_finite(outcome, batch=part, step=position.step + 1)
        scaled: Tensor = training.scaler.scale(outcome.loss / count)
        scaled.backward()  # type: ignore[no-untyped-call]  # torch does not type it
        losses.append(outcome.loss.detach())
        estimates.append(outcome.estimate)
    return torch.stack(losses).mean().item(), torch.cat(estimates)


def _set_learning_rate(training: Training) -> float:
    settings = training.recipe.train
    rate = learning_rate_at(
        warmup_steps=settings.learning_rate_warmup_steps,
        step=training.position.step,
        total_steps=training.total_steps,
        first=settings.learning_rate,
        drops=settings.learning_rate_drops,
        factor=settings.learning_rate_drop_factor,
    )
    for group in training.optimiser.param_groups:
        group["lr"] = rate
    return rate


def _finish_epoch(training: Training, *, progress: Progress) -> None:
    position, settings = training.position, training.recipe.train
    epoch, batches = position.epoch, training.parts.plan.batches_per_epoch
    last = epoch + 1 == settings.epochs
    leak = None
    if last or (epoch + 1) % settings.diagnose_every_epochs == 0:
        leak = _diagnose(training)
    training.announcer.announce(
        EpochDone,
        epoch=epoch,
        step=position.step,
        loss=position.loss_sum / batches,
        leak=None if leak is None else attrs.asdict(leak),
    )
    progress.after_epoch(training)
    position.epoch, position.batch, position.loss_sum = epoch + 1, 0, 0.0
    if last or (epoch + 1) % settings.checkpoint_every_epochs == 0:
        save(training)


def _diagnose(training: Training) -> Leak:
    parts, seed = training.parts, training.recipe.seed
    index_B = torch.arange(min(_LEAK_IMAGES, len(parts.split)))
    batch = training.reader.read(index_B)
    parts.backbone.eval()
    shape = parts.split.shape.as_tuple
    noise_BCHW, noise_estimate_BCHW = (
        noise_by_index(seed=seed, purpose=purpose, index=index_B, shape=shape).to(training.device)
        for purpose in ("leak x_T", "leak estimate")
    )
    return measure_leak(
        model=training.model,
        x_0=batch.x_0,
        stored_estimate=parts.store.peek(index_B),
        noise=noise_BCHW,
        noise_estimate=noise_estimate_BCHW,
        label=batch.label,
    )


def _announce_start(training: Training) -> None:
    parts, settings = training.parts, training.recipe.train
    training.announcer.announce(
        RunStarted,
        name=training.recipe.name,
        folder=training.folder.path,
        total_steps=training.total_steps,
        total_epochs=settings.epochs,
        batch_images=settings.batch_images,
        first_step=training.position.step,
        device=str(training.device),
        parameters=sum(p.numel() for p in parts.backbone.parameters()),
        train_images=len(parts.split),
        stale_images=parts.plan.stale_images,
        store_bytes=parts.store.size_bytes(),
    )
