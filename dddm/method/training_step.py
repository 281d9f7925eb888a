"""Algorithm 1: what happens to one batch in epoch n, up to the gradient.

    x̂    = X̂[i]                                 read from the target store
    t    ~ U{1…T},  ε ~ N(0, I)                 from the batch's own generator
    x_t  = √ᾱ_t x_0 + √(1−ᾱ_t) ε                `Schedule.diffuse`
    x̂'   = f_θ(x̂, x_t, t)                       eq. 3, `ScheduledDenoiser`
    loss = mean d(x̂', x_0)                      eq. 5, `Metric.loss`

The caller steps the optimiser and writes x̂' back to X̂[i], from this same forward pass.

Legend: B images in the batch, C channels, H rows, W columns.
"""

from collections.abc import Callable, Iterator
from typing import final

import torch
from attrs import frozen
from torch import Tensor

from dddm.errors import TrainingFailed
from dddm.interfaces.facts import ImageShape
from dddm.interfaces.metric import Metric
from dddm.interfaces.sampler import Denoiser
from dddm.interfaces.schedule import Schedule, expand_B111
from dddm.interfaces.target_store import TargetStore
from dddm.method.promises import refuse_wrong_loss

_INDICES_NAMED = 8


@final
@frozen(kw_only=True)
class Batch:
    """Training images.

    Attributes:
        index: (B,), int64, CPU: each image's index in its data set, all different.
        x_0: (B, C, H, W), float32, in [-1, 1].
        label: (B,), int64, or None where the images have no classes.
    """

    index: Tensor
    x_0: Tensor
    label: Tensor | None

    def parts(self, count: int) -> Iterator["Batch"]:
        """The batch cut into `count` equal parts, for gradient accumulation."""
        for part in _parts(len(self.index), count):
            yield Batch(
                index=self.index[part],
                x_0=self.x_0[part],
                label=_some(self.label, part),
            )


def _some(tensor: Tensor | None, part: slice) -> Tensor | None:
    return None if tensor is None else tensor[part]


def _parts(length: int, count: int) -> Iterator[slice]:
    each = length // count
    return (slice(start, start + each) for start in range(0, length, each))


@final
@frozen(kw_only=True)
class Draws:
    """The random numbers of one batch.

    Attributes:
        t: (B,), times as the schedule draws them.
        noise: ε, (B, C, H, W), float32.
        dropout_noise: what replaces a dropped estimate, (B, C, H, W); None without dropout.
        dropped: (B,), bool: whose estimate is dropped; None without dropout.
        flipped: (B,), bool: which images are seen in a mirror; None without flips.
    """

    t: Tensor
    noise: Tensor
    dropout_noise: Tensor | None = None
    dropped: Tensor | None = None
    flipped: Tensor | None = None

    def parts(self, count: int) -> Iterator["Draws"]:
        """The same numbers for the parts of the batch: accumulation changes no draw."""
        return (self[part] for part in _parts(len(self.t), count))

    def __getitem__(self, part: slice) -> "Draws":
        """The numbers of some of the images."""
        return Draws(
            t=self.t[part],
            noise=self.noise[part],
            dropout_noise=_some(self.dropout_noise, part),
            dropped=_some(self.dropped, part),
            flipped=_some(self.flipped, part),
        )


@final
@frozen(kw_only=True)
class Outcome:
    """What one forward pass gave.

    Attributes:
        loss: mean over the batch, a scalar that carries the gradient.
        loss_B: each sample's own, (B,), float32, without gradient.
        estimate: x̂', (B, C, H, W), without gradient, for the store.
        t: (B,), the times that were drawn.
    """

    loss: Tensor
    loss_B: Tensor
    estimate: Tensor
    t: Tensor


def draw(
    *,
    schedule: Schedule,
    images: int,
    shape: ImageShape,
    generator: torch.Generator,
    estimate_dropout: float = 0.0,
    flips: bool = False,
) -> Draws:
    """Draw t, ε and, where asked for, what is dropped and what is flipped, for so many images."""
    count, device = images, generator.device
    batch_shape = (count, *shape.as_tuple)
    t_B = schedule.draw_times(count=count, generator=generator)
    noise_BCHW = torch.randn(batch_shape, generator=generator, device=device)
    dropout_noise_BCHW = dropped_B = None
    if estimate_dropout > 0:
        dropped_B = torch.rand(count, generator=generator, device=device) < estimate_dropout
        dropout_noise_BCHW = torch.randn(batch_shape, generator=generator, device=device)
    flipped_B = torch.rand(count, generator=generator, device=device) < 1 / 2 if flips else None
    return Draws(
        t=t_B,
        noise=noise_BCHW,
        dropout_noise=dropout_noise_BCHW,
        dropped=dropped_B,
        flipped=flipped_B,
    )


def drop_estimates(*, estimate: Tensor, draws: Draws) -> Tensor:
    """Estimate dropout (ours, after self-conditioning, arXiv 2208.04202): x̂ or fresh noise."""
    if draws.dropped is None or draws.dropout_noise is None:
        return estimate
    return torch.where(expand_B111(draws.dropped), draws.dropout_noise, estimate)


def flip(image: Tensor, *, draws: Draws) -> Tensor:
    """Mirror left and right where the draws say so, (B, C, H, W); its own inverse."""
    if draws.flipped is None:
        return image
    return torch.where(expand_B111(draws.flipped), image.flip(-1), image)


def training_step(
    *,
    model: Denoiser,
    metric: Metric,
    store: TargetStore,
    batch: Batch,
    draws: Draws,
    epoch: int,
) -> Outcome:
    """One forward pass of algorithm 1.

    The store keeps every estimate in the orientation of the data set.  An image that is seen in a
    mirror is given its estimate in the same mirror, and the new estimate is turned back.

    Raises:
        ValueError: if the store refuses the batch's indices.
        PluginError: if F or the loss is not of the shape and dtype that was promised, or the loss
            carries no gradient.
    """
    x_0_BCHW = flip(batch.x_0, draws=draws)
    stored_BCHW = flip(store.read(batch.index), draws=draws)
    estimate_BCHW = drop_estimates(estimate=stored_BCHW, draws=draws)
    x_t_BCHW = model.schedule.diffuse(x_0=x_0_BCHW, t=draws.t, noise=draws.noise)
    new_estimate_BCHW = model.evaluate(
        x_t=x_t_BCHW, t=draws.t, label=batch.label, estimate=estimate_BCHW
    )
    loss_B = metric.loss(
        estimate=new_estimate_BCHW,
        target=x_0_BCHW,
        previous_estimate=stored_BCHW,
        epoch=epoch,
    )
    refuse_wrong_loss(loss_B, of=type(metric), estimate=new_estimate_BCHW)
    return Outcome(
        loss=loss_B.mean(),
        loss_B=loss_B.detach(),
        estimate=flip(new_estimate_BCHW.detach(), draws=draws),
        t=draws.t,
    )


def refuse_not_finite(
    outcome: Outcome, *, batch: Batch, step: int, remedy: Callable[[Outcome], str]
) -> None:
    """Stop before a number that is not finite reaches the store or the weights.

    Args:
        remedy: says what to do about it.

    Raises:
        TrainingFailed: with the step, the images and the terms.
    """
    finite_B = outcome.loss_B.isfinite() & outcome.estimate.flatten(1).isfinite().all(1)
    if bool(finite_B.all()):
        return
    bad = (~finite_B).nonzero().flatten().cpu()
    images = ", ".join(str(k) for k in batch.index[bad][:_INDICES_NAMED].tolist())
    more = f" and {len(bad) - _INDICES_NAMED} more" if len(bad) > _INDICES_NAMED else ""
    worst = int(bad[0])
    raise TrainingFailed(
        f"training met a number that is not finite in {len(bad)} of {len(batch.index)} images",
        where=f"step {step}, images {images}{more}; the first: loss {outcome.loss_B[worst]:.4g}, "
        f"largest estimate {outcome.estimate[worst].abs().max():.4g}, t = {outcome.t[worst]:g}",
        remedy=remedy(outcome),
    )
