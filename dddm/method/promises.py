"""What networks and metrics give is what their interfaces promise, or training stops.

A loss of another shape would train: torch takes its mean all the same.  Attributes alone are
compared, so that the device is not waited for.
"""

from typing import Any, cast

import torch
from torch import Tensor

from dddm.errors import PluginError


def refuse_wrong_network(
    given: object, *, of: type[Any], shape: torch.Size, dtypes: tuple[torch.dtype, ...]
) -> None:
    """Refuse an F that is no tensor of this shape and of one of these dtypes.

    Raises:
        PluginError: if it is another.
    """
    wrong = _wrong_tensor(given, shape=shape, dtypes=dtypes)
    if wrong is not None:
        raise _broken(f"the backbone {of.__name__} gave F {wrong}", by=of)


def refuse_wrong_loss(given: object, *, of: type[Any], estimate: Tensor) -> None:
    """Refuse a loss that is not one float32 for each image, with the estimate's gradient.

    Raises:
        PluginError: if it is another.
    """
    wrong = _wrong_tensor(given, shape=estimate.shape[:1], dtypes=(torch.float32,))
    if wrong is None and estimate.requires_grad and not cast("Tensor", given).requires_grad:
        wrong = "without gradient, though the estimate has one"
    if wrong is not None:
        raise _broken(f"the metric {of.__name__} gave a loss {wrong}", by=of)


def _wrong_tensor(
    given: object, *, shape: torch.Size, dtypes: tuple[torch.dtype, ...]
) -> str | None:
    if not isinstance(given, Tensor):
        return f"that is no tensor, but of type {type(given).__name__}"
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
