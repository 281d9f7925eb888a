"""The random numbers of a step: drawn for the whole batch, sliced by process and micro-batch.

Legend: B rows.
"""

from collections.abc import Iterator, Mapping
from typing import final

import torch
from attrs import frozen
from torch import Tensor

from dddm.errors import PluginError
from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import Objective, TrainingProgress
from dddm.interfaces.schedule import Schedule, expand_B111


@final
@frozen(kw_only=True, eq=False)
class Draws:
    """Random numbers of some rows.

    Attributes:
        values: what the objective drew, by name, each (B, …).
        flipped: (B,), bool: which images are seen in a mirror; None without flips.
        unlabelled: (B,), bool: which labels are dropped; None without label dropout.
    """

    values: Mapping[str, Tensor]
    flipped: Tensor | None
    unlabelled: Tensor | None = None

    def __getitem__(self, part: slice) -> "Draws":
        """The numbers of some of the rows."""
        return Draws(
            values={name: tensor[part] for name, tensor in self.values.items()},
            flipped=None if self.flipped is None else self.flipped[part],
            unlabelled=None if self.unlabelled is None else self.unlabelled[part],
        )

    def flip(self, image: Tensor) -> Tensor:
        """Mirror left and right where the draws say so, (B, C, H, W); its own inverse."""
        if self.flipped is None:
            return image
        return torch.where(expand_B111(self.flipped), image.flip(-1), image)

    def drop(self, label: Tensor | None, *, no_class: int) -> Tensor | None:
        """Labels (B,), with `no_class` in place of those that are dropped."""
        if self.unlabelled is None or label is None:
            return label
        return label.masked_fill(self.unlabelled, no_class)


def draw(
    objective: Objective,
    *,
    count: int,
    shape: ImageShape,
    schedule: Schedule,
    progress: TrainingProgress,
    generator: torch.Generator,
    flips: bool,
    label_dropout: float = 0.0,
) -> Draws:
    """Draw everything for `count` rows.

    Args:
        label_dropout: probability with which each label is dropped.

    Raises:
        PluginError: if the objective's draws cannot be sliced by rows.
    """
    own = objective.draw(
        count=count, shape=shape, schedule=schedule, progress=progress, generator=generator
    )
    for name, tensor in own.items():
        if tensor.shape[:1] != (count,):
            raise PluginError(
                f"the objective {type(objective).__name__} drew {name!r} of shape "
                f"{tuple(tensor.shape)} for {count} rows",
                where=f"{type(objective).__module__}:{type(objective).__qualname__}",
                remedy="draw one entry for each row, so that processes can share them",
            )

    def chosen(probability: float) -> Tensor:
        return torch.rand(count, generator=generator, device=generator.device) < probability

    flipped_B = chosen(1 / 2) if flips else None
    # Last, so that all other numbers are those of a run without label dropout.
    unlabelled_B = chosen(label_dropout) if label_dropout else None
    return Draws(values=own, flipped=flipped_B, unlabelled=unlabelled_B)


def equal_slices(length: int, count: int) -> Iterator[slice]:
    """`count` slices of equal length; `count` divides `length`."""
    each = length // count
    return (slice(start, start + each) for start in range(0, length, each))
