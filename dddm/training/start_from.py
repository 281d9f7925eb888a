"""Begin training with another run's weights, as far as they fit by name and shape.

Network and averages are taken from the newest checkpoint.  Optimizer, memory and position are not:
what follows is a run of its own.
"""

from collections.abc import Mapping
from typing import Final, final

import torch
from attrs import frozen
from torch import Tensor, nn

from dddm.errors import DataError
from dddm.training import checkpoint as checkpoints
from dddm.training.sharding import load_whole
from dddm.training.sources import find_source
from dddm.training.training import Training

_NAMED: Final = 3
_LEAST: Final = 0.01
"""Share of a network's numbers below which nothing worth the name was taken."""


@final
@frozen(kw_only=True)
class Started:
    """What was taken.

    Attributes:
        run: the other run's folder, as the recipe names it.
        step: of its checkpoint.
        sha256: of the checkpoint's manifest.
        tensors: of this run's network.
        numbers: in them.
        fitting_tensors: that were there with the same shape.
        fitting_numbers: in these.
        other_shape: names of those that were there with another shape, and both shapes.
        absent: names of those that were not there; like those above they keep first weights.
        unused: names of the other run's tensors that this network does not have.
    """

    run: str
    step: int
    sha256: str
    tensors: int
    numbers: int
    fitting_tensors: int
    fitting_numbers: int
    other_shape: tuple[str, ...]
    absent: tuple[str, ...]
    unused: tuple[str, ...]

    @property
    def in_words(self) -> str:
        taken = (
            f"started from {self.run} after step {self.step:,}: {self.fitting_tensors:,} of "
            f"{self.tensors:,} tensors fit, {self.fitting_numbers:,} of {self.numbers:,} numbers"
        )
        parts = [taken]
        for what, names in (
            ("of another shape, so first weights", self.other_shape),
            ("not there, so first weights", self.absent),
            ("not used", self.unused),
        ):
            if names:
                more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
                parts.append(f"{what}: {', '.join(names[:_NAMED])}{more}")
        return "; ".join(parts)


def start_from(training: Training, other: str) -> Started:
    """Load what fits into network and averages; an average that is not there begins as `ema`.

    Args:
        other: another run, as `dddm.training.sources` names it; one that holds one average gives
            it to all.

    Raises:
        UsageError: if there is no run.
        DataError: if it has no whole checkpoint, or nothing of it fits.
    """
    folder, where = find_source(other), other
    found = checkpoints.find_newest(
        folder.checkpoints, memory=False, processes=training.context.processes
    ).checkpoint
    if found is None:
        raise DataError(
            "the run to start from has no checkpoint yet",
            where=where,
            remedy="train it first, or name another run in train.start_from",
        )
    backbone = training.parts.backbone
    given = found.load("ema" if found.origin else "model")
    own = backbone.state_dict()
    fitting = _fitting(given, own)
    numbers, fitting_numbers = _numbers(own), _numbers(fitting)
    if fitting_numbers < _LEAST * numbers:  # the bias of the last layer nearly always fits
        raise DataError(
            "nothing of the run to start from fits this network: of "
            f"{numbers:,} numbers {fitting_numbers:,} have a place by name and shape",
            where=where,
            remedy="use the same backbone and sizes in both recipes, or remove train.start_from",
        )
    _load(backbone, given)
    for name, average in {"ema": training.ema, **training.extra_emas}.items():
        _load(average.backbone, found.load(name if name in found.files else "ema"))
    return Started(
        run=other,
        step=found.step,
        sha256=found.sha256,
        tensors=len(own),
        numbers=numbers,
        fitting_tensors=len(fitting),
        fitting_numbers=fitting_numbers,
        other_shape=tuple(
            f"{name} {tuple(given[name].shape)} → {tuple(tensor.shape)}"
            for name, tensor in own.items()
            if name in given and name not in fitting
        ),
        absent=tuple(name for name in own if name not in given),
        unused=tuple(name for name in given if name not in own),
    )


def _numbers(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors.values())


def _fitting(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: given[name]
        for name, tensor in own.items()
        if name in given and given[name].shape == tensor.shape
    }


def _load(module: nn.Module, given: Mapping[str, Tensor]) -> None:
    own = module.state_dict()
    fitting = _fitting(given, own)
    for name, tensor in fitting.items():
        if not bool(torch.isfinite(tensor).all()):
            raise DataError(
                f"numbers of {name} in the run to start from are infinite or not a number",
                where="train.start_from",
                remedy="name another run",
            )
    load_whole(module, {**own, **fitting})
