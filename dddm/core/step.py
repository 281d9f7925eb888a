"""One training step: the inputs of the objective, and checks of its outcome.

The memory keeps rows that belong to images in the orientation of the data set: a row of an image
that is seen in a mirror is mirrored on its way to the objective and on its way back.

Legend: B rows, C channels, H rows of pixels, W columns.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, final

import torch
from attrs import evolve, field, frozen
from torch import Tensor

from dddm.core.draws import Draws, equal_slices
from dddm.core.forward_mode import jvp
from dddm.core.output_checks import check_outcome
from dddm.errors import TrainingFailed
from dddm.interfaces.metric import Metric
from dddm.interfaces.objective import (
    Batch,
    Objective,
    Outcome,
    RealSets,
    TrainingProgress,
    TrainingStep,
)
from dddm.interfaces.sampler import Denoiser

_INDICES_NAMED: Final = 8


@final
@frozen(kw_only=True, eq=False)
class StepParts:
    """What steps of a run have in common.

    Attributes:
        average: the averaged network; None for an objective that does not evaluate it.
        metric: None for an objective that uses none.
        mirrored: fields of the memory that are mirrored with their images.
        classes: of the training images; a dropped label becomes this number.
        compiled: whether to torch.compile the objective's step as a whole, at its first call.
    """

    objective: Objective
    denoiser: Denoiser
    average: Denoiser | None
    metric: Metric | None
    mirrored: frozenset[str] = frozenset()
    classes: int = 0
    compiled: bool = False
    step: Callable[[TrainingStep], Outcome] = field(init=False)

    @step.default
    def _step(self) -> Callable[[TrainingStep], Outcome]:
        own = self.objective.step
        return torch.compile(own) if self.compiled else own


def make_step(
    parts: StepParts,
    *,
    batch: Batch,
    draws: Draws,
    memory: Mapping[str, Tensor],
    progress: TrainingProgress,
) -> Outcome:
    """Run the objective's step on these rows.

    Args:
        memory: the fields of these rows, as they are kept.

    Raises:
        PluginError: if the objective returns something else than its interface says.
    """
    state = _random_state(batch.x_0.device)

    def flip_fields(fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {
            name: draws.flip(tensor) if name in parts.mirrored else tensor
            for name, tensor in fields.items()
        }

    outcome = parts.step(
        TrainingStep(
            batch=evolve(
                batch,
                x_0=draws.flip(batch.x_0),
                label=draws.drop(batch.label, no_class=parts.classes),
            ),
            draws=draws.values,
            denoiser=parts.denoiser,
            average=parts.average,
            metric=parts.metric,
            memory=flip_fields(memory),
            progress=progress,
            frozen_pass=lambda: _frozen_pass(state, device=batch.x_0.device),
            jvp=jvp,
        )
    )
    check_outcome(outcome, of=type(parts.objective), memory=memory, rows=len(batch.rows))
    return replace(outcome, memory=flip_fields(outcome.memory))


def micro_batches(batch: Batch, count: int) -> Iterator[Batch]:
    """The batch cut into `count` equal parts, for gradient accumulation; sets stay whole."""
    sets = batch.sets
    set_parts = [None] * count if sets is None else list(equal_slices(len(sets.index), count))
    for part, of_sets in zip(equal_slices(len(batch.rows), count), set_parts, strict=True):
        yield Batch(
            index=batch.index[part],
            x_0=batch.x_0[part],
            label=None if batch.label is None else batch.label[part],
            rows=batch.rows[part],
            sets=None
            if sets is None or of_sets is None
            else RealSets(
                index=sets.index[of_sets],
                x_0=sets.x_0[of_sets],
                label=None if sets.label is None else sets.label[of_sets],
            ),
        )


def _random_state(device: torch.device) -> Tensor:
    """Of the generator that dropout draws from."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


@contextmanager
def _frozen_pass(state: Tensor, *, device: torch.device) -> Iterator[None]:
    """No gradient, and the random state that the step began with; afterwards that of before."""
    cuda = device.type == "cuda"
    with torch.no_grad(), torch.random.fork_rng(devices=[device] if cuda else []):
        if cuda:
            torch.cuda.set_rng_state(state, device)
        else:
            torch.set_rng_state(state)
        yield


def finite_rows(outcome: Outcome, *, rows: int) -> Tensor:
    """Whose loss and new memory are finite, (B,), bool, on the device."""
    finite_B = outcome.loss.detach().isfinite().expand(rows)
    for values in (outcome.loss_B, *outcome.memory.values()):
        if values is not None:
            finite_B = finite_B & values.detach().reshape(rows, -1).isfinite().all(1)
    return finite_B


def refuse_not_finite(
    outcome: Outcome,
    *,
    batch: Batch,
    draws: Draws,
    step: int,
    remedy: Callable[[Outcome], str],
) -> None:
    """Stop before a number that is not finite reaches the memory or the weights.

    Args:
        draws: of these rows; a number that was drawn for each of them, such as t, is named.
        remedy: says what to do about it.

    Raises:
        TrainingFailed: with the step, the images and the terms.
    """
    finite_B = finite_rows(outcome, rows=len(batch.index))
    if bool(finite_B.all()):
        return
    bad = (~finite_B).nonzero().flatten().cpu()
    images = ", ".join(str(k) for k in batch.index[bad][:_INDICES_NAMED].tolist())
    more = f" and {len(bad) - _INDICES_NAMED} more" if len(bad) > _INDICES_NAMED else ""
    worst = int(bad[0])
    loss = outcome.loss if outcome.loss_B is None else outcome.loss_B[worst]
    terms = [f"loss {float(loss.detach()):.4g}"]
    terms += [
        f"largest {name} {float(rows[worst].abs().max()):.4g}"
        for name, rows in outcome.memory.items()
    ]
    terms += [
        f"{name} = {float(drawn_B[worst]):g}"
        for name, drawn_B in draws.values.items()
        if drawn_B.ndim == 1 and drawn_B.dtype != torch.bool
    ]
    raise TrainingFailed(
        f"the loss or a stored value is not finite in {len(bad)} of {len(batch.index)} images",
        where=f"step {step}, images {images}{more}; the first: {', '.join(terms)}",
        remedy=remedy(outcome),
    )
