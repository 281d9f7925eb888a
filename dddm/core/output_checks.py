"""Checks of what networks, metrics and objectives return against their interfaces.

A loss of the wrong shape would train without an error, because torch takes its mean all the same.
Only attributes are compared, which does not synchronise with the device.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast, final

import torch
from torch import Tensor

from dddm.errors import PluginError
from dddm.interfaces.metric import Metric
from dddm.interfaces.objective import Outcome

_FLOATING: Final = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def check_output(
    given: object, *, of: type[Any], shape: torch.Size, dtypes: tuple[torch.dtype, ...]
) -> None:
    """Check that F is a tensor of this shape and of one of these dtypes.

    Raises:
        PluginError: if it is not.
    """
    wrong = _wrong_tensor(given, shape=shape, dtypes=dtypes)
    if wrong is not None:
        raise _broken(f"the backbone {of.__name__} gave F {wrong}", by=of)


@final
class CheckedMetric(Metric):
    """A metric whose distances are one float32 for each image, with the estimate's gradient.

    Args:
        compiled: whether to torch.compile it, at its first call.
    """

    def __init__(self, metric: Metric, *, compiled: bool = False) -> None:
        self._metric = metric
        if compiled:
            for method in (self.distance, self.distances):
                setattr(self, method.__name__, torch.compile(method))

    @property
    def trained_on(self) -> str | None:
        return self._metric.trained_on

    def to(self, device: torch.device) -> None:
        self._metric.to(device)

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        found = self._metric.distance(estimate=estimate, target=target)
        _check_distance(found, of=type(self._metric), estimate=estimate)
        return found

    def distances(self, *, estimate: Tensor, targets: Sequence[Tensor]) -> tuple[Tensor, ...]:
        every = self._metric.distances(estimate=estimate, targets=targets)
        for found in every:
            _check_distance(found, of=type(self._metric), estimate=estimate)
        return every


def _check_distance(given: object, *, of: type[Any], estimate: Tensor) -> None:
    wrong = _wrong_tensor(given, shape=estimate.shape[:1], dtypes=(torch.float32,))
    if wrong is None and estimate.requires_grad and not cast("Tensor", given).requires_grad:
        wrong = "without gradient, though the estimate has one"
    if wrong is not None:
        raise _broken(f"the metric {of.__name__} gave a distance {wrong}", by=of)


def check_outcome(given: object, *, of: type[Any], memory: Mapping[str, Tensor], rows: int) -> None:
    """Check what an objective's step returned.

    Args:
        memory: the fields that the objective has.
        rows: B, of the batch.

    Raises:
        PluginError: if it is another.
    """
    wrong = _wrong_outcome(given, memory=memory, rows=rows)
    if wrong is not None:
        raise _broken(f"the objective {of.__name__} gave {wrong}", by=of)


def _wrong_outcome(given: object, *, memory: Mapping[str, Tensor], rows: int) -> str | None:
    if not isinstance(given, Outcome):
        return f"{type(given).__name__}, not an Outcome"
    wrong = _wrong_tensor(given.loss, shape=torch.Size(), dtypes=(torch.float32,))
    if wrong is None and not given.loss.requires_grad:
        wrong = "without gradient"
    if wrong is not None:
        return f"a loss {wrong}"
    if given.loss_B is not None:
        wrong = _wrong_tensor(given.loss_B, shape=torch.Size([rows]), dtypes=(torch.float32,))
        if wrong is not None:
            return f"a loss for each row {wrong}"
    for name, tensor in given.memory.items():
        if name not in memory:
            return f"the field {name!r}, which its memory does not have"
        wrong = _wrong_tensor(tensor, shape=memory[name].shape, dtypes=_FLOATING)
        if wrong is None and tensor.requires_grad:
            wrong = "with a gradient, which would be kept"
        if wrong is not None:
            return f"{name} for its memory {wrong}"
    return None


def _wrong_tensor(
    given: object, *, shape: torch.Size, dtypes: tuple[torch.dtype, ...]
) -> str | None:
    if not isinstance(given, Tensor):
        return f"that is not a tensor but of type {type(given).__name__}"
    if given.shape != shape:
        return f"of shape {tuple(given.shape)}, not {tuple(shape)}"
    if given.dtype not in dtypes:
        return f"of dtype {given.dtype}, not {dtypes[0]}"
    return None


def _broken(what: str, *, by: type[Any]) -> PluginError:
    return PluginError(
        what,
        where=f"{by.__module__}:{by.__qualname__}",
        remedy="`dddm plugins` names its component, and `dddm plugin test NAME` tries it",
    )
