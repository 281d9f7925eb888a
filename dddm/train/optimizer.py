"""Makes the recipe's optimizer, once it is known that a checkpoint can hold all that it keeps.

Whether it can is tried before training, on small parameters, by going on from a saved state.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, final

import torch
from attrs import frozen
from torch import Tensor, nn

from dddm.errors import PluginError
from dddm.recipe.model import ComponentConfig
from dddm.support.noise import generator_for
from dddm.support.optimizer_state import (
    load_optimizer_state,
    optimizer_state,
    parameters_of,
    set_learning_rate,
    unsavable,
)

_TRIAL_SIDE: Final = 16
_TRIAL_STEPS: Final = 7
_TRIAL_MORE_STEPS: Final = 13
"""Enough to meet what is done every tenth step, on parameters that cost nothing."""

Make = Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer]


def build_optimizer(
    use: ComponentConfig, *, parameters: Sequence[nn.Parameter], learning_rate: float
) -> torch.optim.Optimizer:
    """Make the recipe's optimizer of these parameters.

    Raises:
        PluginError: if it keeps what no checkpoint can hold, or is not over these parameters.
    """
    title = use.component.id

    def make(some: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        made = use.instantiate(parameters=list(some), learning_rate=learning_rate)
        if not isinstance(made, torch.optim.Optimizer):
            raise PluginError(
                f"the optimizer {title} made a {type(made).__name__}, not a torch.optim.Optimizer",
                where=use.component.place,
            )
        return made

    check_resumable(make, parameters=parameters, title=title)
    optimizer = make(parameters)
    if {id(p) for p in parameters_of(optimizer)} != {id(p) for p in parameters}:
        raise PluginError(
            f"the optimizer {title} is not over the parameters that it was given",
            where=use.component.place,
            remedy="put each of `parameters` into one parameter group, and nothing else",
        )
    return optimizer


def state_bytes(use: ComponentConfig, *, parameters: Sequence[nn.Parameter]) -> int:
    """What the recipe's optimizer keeps of these parameters; seen in one step of small ones."""
    small = [tuple(min(side, _TRIAL_SIDE) for side in p.shape) for p in parameters]
    made = {shape: nn.Parameter(torch.zeros(shape)) for shape in small}
    optimizer: torch.optim.Optimizer = use.instantiate(
        parameters=list(made.values()), learning_rate=1e-3
    )
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


def check_resumable(make: Make, *, parameters: Sequence[nn.Parameter], title: str) -> None:
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
        raise unsavable(title, f"more than its state{outside and f': {outside}'}")


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
