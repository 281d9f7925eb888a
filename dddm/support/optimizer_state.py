"""The state of any optimizer as named tensors, for checkpoints without pickle.

What can be saved is what `optimizer.state` holds for a parameter: dense tensors, numbers and None,
by name.  A tensor is named `parameter's number.name`, with a suffix for anything else:

    3.exp_avg         a tensor of the shape of parameter 3, or of one number
    3.row_var#shaped  a tensor of another shape
    3.steps#int       a Python number: int64, float64 or bool
    3.max_avg#none    None
"""

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

from dddm.errors import PluginError
from dddm.support.sharded_tensors import part_of, whole_in_first

_MARK: Final = "#"
_SHAPED: Final = "shaped"
_NONE: Final = "none"
_NUMBERS: Final[Mapping[str, tuple[type, torch.dtype]]] = {
    "bool": (bool, torch.bool),
    "int": (int, torch.int64),
    "float": (float, torch.float64),
}
_LARGEST_INT: Final = 2**63 - 1
_MISFIT: Final = object()


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set `lr` of every parameter group: the rate, times the group's `lr_scale` if it has one."""
    for group in optimizer.param_groups:
        scaled = rate * group.get("lr_scale", 1.0)
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(scaled)
        else:
            group["lr"] = scaled


def optimizer_state(
    optimizer: torch.optim.Optimizer, *, title: str | None = None
) -> dict[str, Tensor]:
    """All of the state by name; the tensors are the optimizer's, not copies, but for sharded ones.

    Args:
        title: the optimizer's name in errors; None for its class's name.

    Raises:
        PluginError: if the state holds anything but tensors, numbers and None per parameter.
    """
    title = type(optimizer).__name__ if title is None else title
    numbers = {id(p): number for number, p in enumerate(parameters_of(optimizer))}
    state: dict[str, Tensor] = {}
    for parameter, entries in optimizer.state.items():
        if id(parameter) not in numbers or not isinstance(entries, Mapping):
            name = parameter if isinstance(parameter, str) else "an entry"
            raise unsavable(title, f"{name!r} in its state, which is not of a parameter")
        for name, value in entries.items():
            if not isinstance(name, str) or _MARK in name:
                raise unsavable(title, f"{name!r}, which cannot be the name of a tensor")
            kept = whole_in_first(value) if isinstance(value, Tensor) else value
            mark, tensor = _as_tensor(kept, shape=parameter.shape, name=name, title=title)
            state[f"{numbers[id(parameter)]}.{name}{mark}"] = tensor
    return state


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """Restore what `optimizer_state` returned; settings such as betas stay the recipe's.

    Parameters without an entry, such as frozen ones, start without state.

    Raises:
        ValueError: if the state belongs to other parameters.
    """
    parameters = parameters_of(optimizer)
    by_number: dict[int, dict[str, Any]] = {}
    for key, tensor in state.items():
        digits, _, marked = key.partition(".")
        name, _, mark = marked.partition(_MARK)
        number = int(digits)
        if not 0 <= number < len(parameters):
            raise ValueError(f"there is no parameter {number} for the optimizer's state")
        value = _from_tensor(tensor, mark=mark, like=parameters[number])
        if value is _MISFIT:
            raise ValueError(
                f"the optimizer's state of parameter {number} is of another shape: {name}"
            )
        by_number.setdefault(number, {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": by_number})
    # torch casts floating-point state to the parameter's dtype; a resumed run keeps its own.
    for number, entries in by_number.items():
        loaded = optimizer.state[parameters[number]]
        for name, value in entries.items():
            if isinstance(value, Tensor) and loaded[name].dtype != value.dtype:
                loaded[name] = value.to(loaded[name].device)


def parameters_of(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """All parameters, in the order by which their state is numbered."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def unsavable(title: str, what: str) -> PluginError:
    """The error for an optimizer that keeps something a checkpoint cannot hold."""
    return PluginError(
        f"the optimizer {title} keeps {what}; a checkpoint cannot hold it",
        remedy="keep only tensors, numbers and None, by name, in `self.state[parameter]`",
    )


def _as_tensor(value: Any, *, shape: torch.Size, name: str, title: str) -> tuple[str, Tensor]:
    if value is None:
        return _MARK + _NONE, torch.empty(0, dtype=torch.uint8)
    if type(value) in {Tensor, nn.Parameter}:
        tensor: Tensor = value.detach()
        if tensor.layout is torch.strided and not tensor.is_quantized and not tensor.is_complex():
            # safetensors would save all of the storage behind a view.
            whole = tensor.untyped_storage().nbytes() == tensor.nbytes
            plain = tensor.shape in {shape, ()}
            return "" if plain else _MARK + _SHAPED, tensor if whole else tensor.clone()
    for mark, (kind, dtype) in _NUMBERS.items():
        if type(value) is kind and not (isinstance(value, int) and abs(value) > _LARGEST_INT):
            return _MARK + mark, torch.tensor(value, dtype=dtype)
    raise unsavable(title, f"{name!r}, {_described(value)}, in its state")


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a {value.layout} {type(value).__name__} of {value.dtype}"
    if type(value) is int:
        return f"an integer of {value.bit_length()} bits"
    return f"of type {type(value).__name__}"


def _from_tensor(tensor: Tensor, *, mark: str, like: Tensor) -> Any:
    if mark == _NONE:
        return None
    if mark in _NUMBERS:
        kind, _ = _NUMBERS[mark]
        return kind(tensor.item())
    if mark == _SHAPED:
        return tensor.clone()
    if tensor.shape not in {like.shape, ()}:
        return _MISFIT
    if tensor.shape != like.shape or not tensor.ndim:
        return tensor.clone()
    # In the parameter's memory format: fused Adam walks through memory, and moments in another
    # order would meet other weights.
    own = part_of(tensor, like=like)
    return torch.empty_like(like, dtype=tensor.dtype, requires_grad=False).copy_(own)
