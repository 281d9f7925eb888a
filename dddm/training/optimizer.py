"""Makes the recipe's optimizer, after a trial on small parameters that it resumes exactly."""

import inspect
from collections.abc import Callable, Sequence
from typing import Final

import torch
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
_TRIAL_SAVED_AT: Final = 7
_TRIAL_STEPS: Final = 20
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
    """Bytes of the optimizer's state for these parameters, measured in one step of small ones."""
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
    """Try, on small parameters like these, whether an optimizer resumes exactly from its state.

    20 steps in one go must give the numbers of 7 steps, a saved and loaded state and 13 steps.

    Args:
        make: makes it of any parameters.
        parameters: of the network; they stay as they are.
        title: what errors call the optimizer.

    Raises:
        PluginError: if it cannot make a step without a closure, keeps what a checkpoint cannot
            hold, or continues differently from what was saved.
    """
    devices = {p.device for p in parameters if p.device.type == "cuda"}
    with torch.random.fork_rng(devices=devices):
        uninterrupted, interrupted = _small_copies(parameters), _small_copies(parameters)
        _step(make(uninterrupted), uninterrupted, steps=range(_TRIAL_STEPS), title=title)
        before = make(interrupted)
        _step(before, interrupted, steps=range(_TRIAL_SAVED_AT), title=title)
        # New parameters: an optimizer may keep something under the identity of the old ones.
        resumed = [nn.Parameter(p.detach().clone()) for p in interrupted]
        after = make(resumed)
        # Copies, or the two would share their state.
        state = {k: v.clone() for k, v in optimizer_state(before, title=title).items()}
        load_optimizer_state(after, state)
        _step(after, resumed, steps=range(_TRIAL_SAVED_AT, _TRIAL_STEPS), title=title)
    pairs = zip(uninterrupted, resumed, strict=True)
    if not all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs):
        raise unsavable(title, "more than its state: something in an attribute or parameter group")


def _small_copies(parameters: Sequence[nn.Parameter]) -> list[nn.Parameter]:
    """One parameter, of at most 16 numbers a side, for each shape, dtype and device."""
    like = dict.fromkeys(
        (tuple(min(side, _TRIAL_SIDE) for side in p.shape), p.dtype, p.device)
        for p in parameters
        if p.is_floating_point()
    )
    return [
        nn.Parameter(_random(shape, "trial parameters", number).to(device=device, dtype=dtype))
        for number, (shape, dtype, device) in enumerate(like)
    ]


def _random(shape: Sequence[int], *purpose: str | int) -> Tensor:
    return torch.randn(shape, generator=generator_for(*purpose))


def _step(
    optimizer: torch.optim.Optimizer,
    parameters: Sequence[nn.Parameter],
    *,
    steps: range,
    title: str,
) -> None:
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is closure.empty:
        raise PluginError(
            f"the optimizer {title} needs a closure that computes the loss again, and training "
            "gives none",
            remedy="choose an optimizer whose step() needs nothing but gradients",
        )
    for step in steps:
        torch.manual_seed(step)
        for number, p in enumerate(parameters):
            gradient = _random(p.shape, "trial gradients", step, number)
            p.grad = gradient.to(device=p.device, dtype=p.dtype)
        set_learning_rate(optimizer, 1e-3 / (step + 1))
        try:
            optimizer.step()
        except Exception as error:
            raise PluginError(
                f"the optimizer {title} cannot make step {step + 1}: {error!r}",
                remedy=f"dddm plugin test {title}",
            ) from error
