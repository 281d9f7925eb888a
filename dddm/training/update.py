"""From the gradient to new weights and new averages."""

from typing import Final

import torch
from torch import Tensor

from dddm.errors import TrainingFailed
from dddm.interfaces.objective import Batch, Outcome
from dddm.recipe.model import ComponentConfig
from dddm.support.sharded_tensors import whole
from dddm.training.checkpoint import list_checkpoints
from dddm.training.training import Training

_MOST_OVERFLOWS: Final = 20


def update_weights(training: Training) -> float:
    """Clip, step the optimizer and the averages; returns the gradient's norm before clipping.

    Under float16, a step whose gradients overflow is skipped and halves the loss scale.

    Raises:
        TrainingFailed: if the norm is not finite, before the optimizer sees it; under float16,
            only if that happens many times in a row.
    """
    training.scaler.unscale_(training.parts.optimizer)
    norm = float(_clip(training))
    overflowed = not norm < float("inf")
    if overflowed:
        _count_overflow(training, norm)
    training.scaler.step(training.parts.optimizer)
    training.scaler.update()
    if not overflowed:
        training.position.overflows = 0
        _update_averages(training)
    return norm


def update_weights_unread(training: Training) -> Tensor:
    """The same without float16, and without waiting for the device, where the norm stays."""
    norm = _clip(training)
    training.parts.optimizer.step()
    _update_averages(training)
    return norm


def refuse_norm(training: Training, norm: float, *, where: str) -> None:
    """Refuse a gradient whose norm is not finite.

    Raises:
        TrainingFailed: if it is not.
    """
    if not norm < float("inf"):
        raise TrainingFailed(
            f"the gradient's norm is {norm}", where=where, remedy=remedy_for_gradient(training)
        )


def _clip(training: Training) -> Tensor:
    limit = training.context.recipe.train.gradient_clip
    norm = torch.nn.utils.clip_grad_norm_(
        training.parts.backbone.parameters(), float("inf") if limit is None else limit
    )
    return whole(norm)


def _update_averages(training: Training) -> None:
    for average in (training.ema, *training.extra_emas.values()):
        average.update(training.parts.backbone, update=training.position.step)


def _count_overflow(training: Training, norm: float) -> None:
    position = training.position
    where = f"step {position.step + 1}, epoch {position.epoch}"
    if not training.scaler.is_enabled():
        refuse_norm(training, norm, where=where)
    position.overflows += 1
    if position.overflows >= _MOST_OVERFLOWS:
        raise TrainingFailed(
            f"float16 gradients overflowed at {position.overflows} steps in a row, the last at a "
            f"scale of {training.scaler.get_scale():g}",
            where=where,
            remedy=f'{what_is_kept(training)}use train.precision = "bfloat16"',
        )
    training.context.events.notice(
        f"{where}: float16 gradients overflowed at a scale of {training.scaler.get_scale():g}; "
        f"this step changes no weight, {position.overflows} in a row"
    )


def remedy_for_not_finite(training: Training, outcome: Outcome, *, batch: Batch) -> str:
    """Of a loss or an estimate of this batch."""
    recipe = training.context.recipe
    if not bool(batch.x_0.isfinite().all()):
        return f"the images themselves are not finite: {_look_at(recipe.data)}"
    if training.position.step > 0:
        return f"{remedy_for_gradient(training)} or set train.gradient_clip = 1.0"
    finite = all(bool(rows.isfinite().all()) for rows in outcome.memory.values())
    use = recipe.metric if outcome.memory and finite else recipe.backbone
    if use is None or not outcome.memory:
        use = recipe.objective
    return (
        f"no step has changed a weight yet, so the {use.component.kind.value} {use.component.id} "
        f"computed it from finite inputs: {_look_at(use)}"
    )


def remedy_for_gradient(training: Training) -> str:
    """Of a gradient."""
    if training.position.step > 0:
        return f"{what_is_kept(training)}use a smaller learning_rate.rate"
    recipe = training.context.recipe
    used = [use for use in (recipe.objective, recipe.metric, recipe.backbone) if use is not None]
    kinds = " or ".join(f"the {use.component.kind.value}" for use in used)
    return f"no step has changed a weight yet, so it comes from {kinds}: " + ", and ".join(
        _look_at(use) for use in used
    )


def what_is_kept(training: Training) -> str:
    """Says that the last checkpoint is usable, if there is one."""
    there = list_checkpoints(training.context.folder.checkpoints)
    return "the last checkpoint is complete; " if there else ""


def _look_at(use: ComponentConfig) -> str:
    if use.component.is_builtin:
        return f"look at the options of {use.component.id}"
    return f"dddm plugin test {use.component.id}"
