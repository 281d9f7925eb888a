"""From the gradient to new weights and new averages."""

from typing import Final

import torch

from dddm.errors import TrainingFailed
from dddm.train.remedies import remedy_for_gradient, what_is_kept
from dddm.train.training import Training

_MOST_OVERFLOWS: Final = 20


def update_weights(training: Training) -> float:
    """Clip, step the optimizer and the averages; the gradient's norm before clipping.

    Under float16, gradients that overflow leave the step out and halve the scale, as usual.

    Raises:
        TrainingFailed: if the norm is not finite, before the optimizer sees it; under float16,
            only if that happens many times in a row.
    """
    limit = training.context.recipe.train.gradient_clip
    training.scaler.unscale_(training.parts.optimizer)
    norm = float(
        torch.nn.utils.clip_grad_norm_(
            training.parts.backbone.parameters(), float("inf") if limit is None else limit
        )
    )
    overflowed = not norm < float("inf")
    if overflowed:
        _count_overflow(training, norm)
    training.scaler.step(training.parts.optimizer)
    training.scaler.update()
    if not overflowed:
        training.position.overflows = 0
        for average in (training.ema, *training.extra_emas.values()):
            average.update(training.parts.backbone, update=training.position.step)
    return norm


def _count_overflow(training: Training, norm: float) -> None:
    position = training.position
    where = f"step {position.step + 1}, epoch {position.epoch}"
    if not training.scaler.is_enabled():
        raise TrainingFailed(
            f"the gradient's norm is {norm}",
            where=where,
            remedy=remedy_for_gradient(training),
        )
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
