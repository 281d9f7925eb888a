"""Training: algorithm 1 over all epochs, with diagnostics and pictures.

Read `train` first, then `_one_step`, which follows the paper line by line:
`dddm.method.training_step` holds the line that matters.
"""

import time
from contextlib import ExitStack
from functools import partial

import attrs
import torch
from torch import Tensor

from dddm.interfaces.observer import EpochDone, RunStarted, StepDone
from dddm.method.leak import Leak, measure_leak
from dddm.method.learning_rate import learning_rate_at
from dddm.method.training_step import Batch, Draws, draw, refuse_not_finite, training_step
from dddm.run.rate import Rate
from dddm.support.noise import generator_for, noise_by_index, seed_for
from dddm.tasks.keep import announce_saved, save
from dddm.tasks.progress import Progress
from dddm.tasks.remedies import remedy_for_not_finite
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
    stopping = training.stop.agree(training.processes)
    while position.epoch < training.recipe.train.epochs:
        index_NB = plan.epoch(position.epoch)
        if position.batch == 0:
            training.parts.store.begin_epoch(position.epoch)
        while position.batch < plan.batches_per_epoch:
            if stopping:
                save(training)
                announce_saved(training, training.saver.wait())
                training.stop.obey(where=f"step {position.step}", saved=True)
            stopping = _one_step(training, index_NB=index_NB, rate=rate)
            announce_saved(training, training.saver.finished())
        _finish_epoch(training, progress=progress)
    announce_saved(training, training.saver.wait())


def _one_step(training: Training, *, index_NB: Tensor, rate: Rate) -> bool:
    """One batch; whether all processes are to stop before the next."""
    began = time.perf_counter()
    parts, position, settings = training.parts, training.position, training.recipe.train
    seed, device = training.recipe.seed, training.device
    # Dropout inside a network is the one thing that draws from the global generator.
    torch.manual_seed(seed_for("dropout", seed, position.step, training.processes.rank))
    generator = generator_for("train", seed, position.epoch, position.batch, device=device)
    parts.backbone.train()

    own_NB = index_NB[:, training.own]
    upcoming = own_NB[position.batch + 1] if position.batch + 1 < len(own_NB) else None
    batch = training.reader.read(own_NB[position.batch], upcoming=upcoming)
    # Drawn for the whole batch, so that no number depends on how many processes share it.
    draws = draw(
        schedule=parts.schedule,
        images=settings.batch_images,
        shape=parts.split.shape,
        generator=generator,
        estimate_dropout=settings.estimate_dropout,
        flips=settings.flips,
    )[training.own]
    own_loss, estimate_BCHW = _forward_and_backward(
        training, batch=batch, draws=draws, upcoming=upcoming
    )
    loss, stopping = _share(training, own_loss)
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
    return stopping


def _share(training: Training, own_loss: float) -> tuple[float, bool]:
    """The loss of the whole batch, and whether any process was asked to stop."""
    processes, stop = training.processes, training.stop
    if processes.count == 1:
        return own_loss, stop.made
    loss_sum, asked = processes.sums([own_loss, float(stop.made)])
    if asked:
        stop.ask("a request to another process")
    return loss_sum / processes.count, asked > 0


def _forward_and_backward(
    training: Training, *, batch: Batch, draws: Draws, upcoming: Tensor | None
) -> tuple[float, Tensor]:
    """This process's loss and new estimates; the whole batch's gradient is in the weights.

    With accumulation the batch is worked off part by part; the gradient is that of the mean, and
    travels between processes with the last part only.
    """
    parts, position = training.parts, training.position
    count = training.recipe.train.accumulate
    training.optimiser.zero_grad()
    losses, estimates = [], []
    cut = list(batch.parts(count))
    first_of_next = None if upcoming is None else upcoming[: len(upcoming) // count]
    read_next = [*(part.index for part in cut[1:]), first_of_next]
    worked_off = zip(cut, draws.parts(count), read_next, strict=True)
    for number, (part, part_draws, following) in enumerate(worked_off, start=1):
        with ExitStack() as stack:
            if training.parallel is not None and number < count:
                stack.enter_context(training.parallel.alone())
            outcome = training_step(
                model=training.parallel or training.model,
                metric=parts.metric,
                store=parts.store,
                batch=part,
                draws=part_draws,
                epoch=position.epoch,
            )
            refuse_not_finite(
                outcome,
                batch=part,
                step=position.step + 1,
                remedy=partial(remedy_for_not_finite, training, batch=part),
            )
            if following is not None:
                parts.store.prefetch(following)
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
    if training.processes.main:
        progress.after_epoch(training)
    position.epoch, position.batch, position.loss_sum = epoch + 1, 0, 0.0
    if last or (epoch + 1) % settings.checkpoint_every_epochs == 0:
        save(training)


def _diagnose(training: Training) -> Leak | None:
    """The leak diagnostic; all processes give their estimates, and the first measures."""
    parts, seed = training.parts, training.recipe.seed
    index_B = torch.arange(min(_LEAK_IMAGES, len(parts.split)))
    stored_BCHW = _gather_estimates(training, index_B)
    if stored_BCHW is None:
        return None
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
        stored_estimate=stored_BCHW,
        noise=noise_BCHW,
        noise_estimate=noise_estimate_BCHW,
        label=batch.label,
    )


def _gather_estimates(training: Training, index_B: Tensor) -> Tensor | None:
    """Rows of the target store from the processes that own them; None but in the first."""
    parts, processes = training.parts, training.processes
    shards = parts.plan.shards_of(rank=processes.rank, processes=processes.count)
    own = index_B[torch.isin(index_B % shards.count, torch.tensor(shards.owned))]
    gathered = processes.gather((own, parts.store.peek(own).cpu()))
    if not processes.main:
        return None
    index, rows = (torch.cat(pieces) for pieces in zip(*gathered, strict=True))
    return rows[index.argsort()].to(training.device)


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
        store_memory_bytes=parts.footprint.memory,
        store_disk_bytes=parts.footprint.disk,
        store_device_bytes=parts.footprint.device,
        processes=training.processes.count,
    )
