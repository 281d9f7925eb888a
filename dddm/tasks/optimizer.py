"""Any optimizer: its learning rate, and its state as named tensors for a checkpoint without pickle.

State that can be kept is what stands in `optimizer.state` for a parameter: dense tensors, numbers
and None, by name.  A tensor is named `parameter's number.name`; what follows a # says what is not
plain about an entry:

    3.exp_avg         a tensor of the shape of parameter 3, or of one number
    3.row_var#shaped  a tensor of another shape
    3.steps#int       a Python number: int64, float64 or bool
    3.max_avg#none    None

Whether all that an optimizer keeps is there is tried before training, on small parameters, by
going on from a saved state: `refuse_unsaveable`.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, final

import torch
from attrs import frozen
from torch import Tensor, nn

from dddm.errors import PluginError
from dddm.recipe.model import Use
from dddm.support.noise import generator_for

_MARK: Final = "#"
_SHAPED: Final = "shaped"
_NONE: Final = "none"
_NUMBERS: Final[Mapping[str, tuple[type, torch.dtype]]] = {
    "bool": (bool, torch.bool),
    "int": (int, torch.int64),
    "float": (float, torch.float64),
}
_LARGEST_INT: Final = 2**63 - 1
_WHAT_IS_KEPT: Final = (
    "keep tensors, numbers and None by name in `self.state[parameter]`, and nothing anywhere else"
)

_TRIAL_SIDE: Final = 16
_TRIAL_STEPS: Final = 7
_TRIAL_MORE_STEPS: Final = 13
"""Enough to meet what is done every tenth step, on parameters that cost nothing."""


def build_optimizer(
    use: Use, *, parameters: Sequence[nn.Parameter], learning_rate: float
) -> torch.optim.Optimizer:
    """Make the recipe's optimizer of these parameters.

    Raises:
        PluginError: if it keeps what no checkpoint can hold, or is not over these parameters.
    """
    title = use.component.id

    def make(some: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        made = use.make(parameters=list(some), learning_rate=learning_rate)
        if not isinstance(made, torch.optim.Optimizer):
            raise PluginError(
                f"the optimizer {title} made a {type(made).__name__}, not a torch.optim.Optimizer",
                where=use.component.place,
            )
        return made

    refuse_unsaveable(make, parameters=parameters, title=title)
    optimizer = make(parameters)
    if {id(p) for p in _parameters(optimizer)} != {id(p) for p in parameters}:
        raise PluginError(
            f"the optimizer {title} is not over the parameters that it was given",
            where=use.component.place,
            remedy="put each of `parameters` into one parameter group, and nothing else",
        )
    return optimizer


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
    """All of the state, by name; tensors are the optimizer's own, not copies.

    Args:
        optimizer: whose per-parameter state is tensors, numbers and None.
        title: what errors call it; None for its class's name.

    Raises:
        PluginError: if it holds anything else.
    """
    title = type(optimizer).__name__ if title is None else title
    numbers = {id(p): number for number, p in enumerate(_parameters(optimizer))}
    state: dict[str, Tensor] = {}
    for parameter, entries in optimizer.state.items():
        if id(parameter) not in numbers or not isinstance(entries, Mapping):
            name = parameter if isinstance(parameter, str) else "an entry"
            raise _unsaveable(title, f"{name!r} in its state, which is not of a parameter")
        for name, value in entries.items():
            if not isinstance(name, str) or _MARK in name:
                raise _unsaveable(title, f"{name!r}, which cannot be the name of a tensor")
            mark, tensor = _as_tensor(value, shape=parameter.shape, name=name, title=title)
            state[f"{numbers[id(parameter)]}.{name}{mark}"] = tensor
    return state


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """Return to what `optimizer_state` gave; the settings stay those of the recipe.

    Parameters of which it has nothing, such as frozen ones, begin without state.

    Raises:
        ValueError: if the state is of other parameters.
    """
    parameters = _parameters(optimizer)
    by_number: dict[int, dict[str, Any]] = {}
    for key, tensor in state.items():
        digits, _, marked = key.partition(".")
        name, _, mark = marked.partition(_MARK)
        number = int(digits)
        if number >= len(parameters):
            raise ValueError(f"there is no parameter {number} for the optimizer's state")
        value = _from_tensor(tensor, mark=mark, like=parameters[number])
        if value is _MISFIT:
            raise ValueError(
                f"the optimizer's state of parameter {number} is of another shape: {name}"
            )
        by_number.setdefault(number, {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": by_number})
    # torch gives floating-point state the parameter's dtype; a run that goes on keeps its own.
    for number, entries in by_number.items():
        loaded = optimizer.state[parameters[number]]
        for name, value in entries.items():
            if isinstance(value, Tensor) and loaded[name].dtype != value.dtype:
                loaded[name] = value.to(loaded[name].device)


def state_bytes(use: Use, *, parameters: Sequence[nn.Parameter]) -> int:
    """What the recipe's optimizer keeps of these parameters; seen in one step of small ones."""
    small = [tuple(min(side, _TRIAL_SIDE) for side in p.shape) for p in parameters]
    made = {shape: nn.Parameter(torch.zeros(shape)) for shape in small}
    optimizer: torch.optim.Optimizer = use.make(parameters=list(made.values()), learning_rate=1e-3)
    for parameter in made.values():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    each = {
        shape: sum(
            value.element_size()
            for value in optimizer.state[parameter].values()
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.ndim
        )
        for shape, parameter in made.items()
    }
    return sum(p.numel() * each[shape] for p, shape in zip(parameters, small, strict=True))


def _parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _unsaveable(title: str, what: str) -> PluginError:
    return PluginError(
        f"the optimizer {title} keeps {what}; a checkpoint cannot hold it", remedy=_WHAT_IS_KEPT
    )


def _as_tensor(value: Any, *, shape: torch.Size, name: str, title: str) -> tuple[str, Tensor]:
    """A mark for the name, and the tensor to save."""
    if value is None:
        return _MARK + _NONE, torch.empty(0, dtype=torch.uint8)
    if type(value) in {Tensor, nn.Parameter}:
        tensor: Tensor = value.detach()
        if tensor.layout is torch.strided and not tensor.is_quantized and not tensor.is_complex():
            # A view would bring all of its storage along.
            whole = tensor.untyped_storage().nbytes() == tensor.nbytes
            plain = tensor.shape in {shape, ()}
            return "" if plain else _MARK + _SHAPED, tensor if whole else tensor.clone()
    for mark, (kind, dtype) in _NUMBERS.items():
        if type(value) is kind and not (isinstance(value, int) and abs(value) > _LARGEST_INT):
            return _MARK + mark, torch.tensor(value, dtype=dtype)
    raise _unsaveable(title, f"{name!r}, {_described(value)}, in its state")


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a {value.layout} {type(value).__name__} of {value.dtype}"
    if type(value) is int:
        return f"an integer of {value.bit_length()} bits"
    return f"of type {type(value).__name__}"


_MISFIT: Final = object()


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
    return _laid_out_like(like, tensor)


def _laid_out_like(parameter: Tensor, tensor: Tensor) -> Tensor:
    """A copy, in the memory order of the parameter if it holds one number for each of its own.

    Fused Adam walks through memory: moments in another order would meet other weights.
    """
    if tensor.shape != parameter.shape or not tensor.ndim:
        return tensor.clone()
    return torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False).copy_(tensor)


Make = Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer]


def refuse_unsaveable(make: Make, *, parameters: Sequence[nn.Parameter], title: str) -> None:
    """Try, on small parameters like these, whether an optimizer goes on exactly from a saved state.

    Args:
        make: makes it of any parameters.
        parameters: of the network; they stay as they are.
        title: what errors call the optimizer.

    Raises:
        PluginError: if it cannot make a step without a closure, keeps what a checkpoint cannot
            hold, or goes on in another way from what was saved.
    """
    devices = {p.device for p in parameters if p.device.type == "cuda"}
    with torch.random.fork_rng(devices=devices):
        whole, cut = (_Trial.of(make, _stand_ins(parameters), title=title) for _ in range(2))
        whole.walk(0, _TRIAL_STEPS + _TRIAL_MORE_STEPS)
        cut.walk(0, _TRIAL_STEPS)
        resumed = _Trial.of(make, cut.copies(), title=title)
        # Copies: a state that is only referred to would go on changing with `cut`.
        saved = {k: v.clone() for k, v in optimizer_state(cut.optimizer, title=title).items()}
        load_optimizer_state(resumed.optimizer, saved)
        resumed.walk(_TRIAL_STEPS, _TRIAL_STEPS + _TRIAL_MORE_STEPS)
    pairs = zip(whole.parameters, resumed.parameters, strict=True)
    if not all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs):
        outside = ", ".join(_changed_outside(make, whole))
        raise _unsaveable(title, f"more than its state{outside and f': {outside}'}")


def _stand_ins(parameters: Sequence[nn.Parameter]) -> list[nn.Parameter]:
    """One small parameter for each shape, cut to a few numbers a side, dtype and device."""
    like = dict.fromkeys(
        (tuple(min(side, _TRIAL_SIDE) for side in p.shape), p.dtype, p.device)
        for p in parameters
        if p.is_floating_point()
    )
    return [
        nn.Parameter(
            torch.randn(shape, generator=generator_for("trial parameters", number)).to(
                device=device, dtype=dtype
            )
        )
        for number, (shape, dtype, device) in enumerate(like)
    ]


@final
@frozen(kw_only=True)
class _Trial:
    """An optimizer of small parameters."""

    optimizer: torch.optim.Optimizer
    parameters: Sequence[nn.Parameter]
    title: str

    @classmethod
    def of(cls, make: Make, parameters: Sequence[nn.Parameter], *, title: str) -> "_Trial":
        return cls(optimizer=make(parameters), parameters=parameters, title=title)

    def copies(self) -> list[nn.Parameter]:
        return [nn.Parameter(p.detach().clone()) for p in self.parameters]

    def walk(self, first: int, last: int) -> None:
        closure = inspect.signature(self.optimizer.step).parameters.get("closure")
        if closure is not None and closure.default is closure.empty:
            raise PluginError(
                f"the optimizer {self.title} needs a closure that computes the loss again, and "
                "training gives none",
                remedy="choose an optimizer whose step() needs nothing but gradients",
            )
        for step in range(first, last):
            torch.manual_seed(step)
            for number, parameter in enumerate(self.parameters):
                generator = generator_for("trial gradients", step, number)
                gradient = torch.randn(parameter.shape, generator=generator)
                parameter.grad = gradient.to(device=parameter.device, dtype=parameter.dtype)
            set_learning_rate(self.optimizer, 1e-3 / (step + 1))
            try:
                self.optimizer.step()
            except Exception as error:
                raise PluginError(
                    f"the optimizer {self.title} cannot make step {step + 1}: {error!r}",
                    remedy=f"dddm plugin test {self.title}",
                ) from error


def _changed_outside(make: Make, trial: _Trial) -> Iterator[str]:
    """What a stepped optimizer has in its groups and attributes that a new one has otherwise."""
    new = make(trial.copies())
    for before, after in zip(new.param_groups, trial.optimizer.param_groups, strict=False):
        for name in after:
            if name not in {"params", "lr"} and not _same(before.get(name), after[name]):
                yield f"{name!r} in a parameter group"
    for name, value in vars(trial.optimizer).items():
        if name not in {"state", "param_groups"} and not name.startswith("_opt"):
            of_new = vars(new).get(name)
            if isinstance(value, bool | int | float | Tensor | list) and not _same(of_new, value):
                yield f"the attribute {name!r}"


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - a plugin's values may compare in any way
        return False
