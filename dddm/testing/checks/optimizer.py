"""What an optimizer promises; see `dddm.interfaces.optimizer`."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dddm.errors import PluginError
from dddm.support.noise import generator_for
from dddm.support.optimizer_state import load_optimizer_state, optimizer_state, set_learning_rate
from dddm.testing.check import Suite
from dddm.testing.subject import Subject
from dddm.testing.tensors import assert_close, assert_equal, gpus
from dddm.testing.toys import parameters_of_every_shape

_RATE: Final = 1e-2
_FEW_STEPS: Final = 4
_MANY_STEPS: Final = 40
_LATER: Final = 12
"""Steps after a state was restored: enough to meet what is done every tenth step."""

Parameters = Sequence[nn.Parameter]
Make = Callable[..., torch.optim.Optimizer]


def _makers(subject: Subject) -> Iterator[tuple[Make]]:
    def make(parameters: Parameters, *, rate: float = _RATE) -> torch.optim.Optimizer:
        with subject.absent_files_skip():
            made: torch.optim.Optimizer = subject.use.instantiate(
                parameters=list(parameters), learning_rate=rate
            )
        return made

    yield (make,)


OPTIMIZER: Final = Suite(
    "optimizer",
    interface=torch.optim.Optimizer,
    cases=_makers,
    capabilities={"devices": "it does on a GPU what it does on the CPU"},
)


def _set_gradients(parameters: Parameters, *, step: int) -> None:
    for number, p in enumerate(parameters):
        gradient = torch.randn(p.shape, generator=generator_for("gradients", step, number))
        p.grad = torch.empty_like(p, requires_grad=False).copy_(gradient)


def _train(
    optimizer: torch.optim.Optimizer,
    parameters: Parameters,
    *,
    first: int = 0,
    last: int = _FEW_STEPS,
) -> None:
    """Steps with gradients and rates that depend on the step's number alone."""
    for step in range(first, last):
        _set_gradients(parameters, step=step)
        set_learning_rate(optimizer, _RATE / (step + 1))
        optimizer.step()


def _trained(make: Make, **more: float) -> Parameters:
    parameters = parameters_of_every_shape()
    _train(make(parameters, **more), parameters)
    return parameters


def _copies(parameters: Parameters) -> Parameters:
    return [nn.Parameter(p.detach().clone()) for p in parameters]


def _assert_same(found: Parameters, expected: Parameters, message: str) -> None:
    for one, other in zip(found, expected, strict=True):
        shape = tuple(one.shape)
        assert_equal(one.detach(), other.detach(), f"{message}, at a parameter {shape}")


@OPTIMIZER.check(basis=True)
def over_its_parameters(make: Make) -> None:
    """Its groups hold exactly the given parameters, each once."""
    given = parameters_of_every_shape()
    held = [p for group in make(given).param_groups for p in group["params"]]
    assert sorted(map(id, held)) == sorted(map(id, given)), (
        f"it holds {len(held)} parameters, of the {len(given)} given "
        f"{len({id(p) for p in held} & {id(p) for p in given})}: put each into one group"
    )


@OPTIMIZER.check(basis=True)
def steps_on_gradients(make: Make) -> None:
    """`step()` needs no closure, and updates scalars, vectors, matrices and kernels."""
    for p, before in zip(_trained(make), parameters_of_every_shape(), strict=True):
        what = f"a parameter of shape {tuple(p.shape)}"
        assert p.isfinite().all(), f"{what} is not finite after {_FEW_STEPS} steps"
        assert not torch.equal(p, before), f"{what} has not changed after {_FEW_STEPS} steps"


@OPTIMIZER.check()
def lowers_a_quadratic(make: Make) -> None:
    """40 steps at a rate of 0.01 bring every parameter closer to the minimum of ½‖θ − θ*‖²."""
    parameters = parameters_of_every_shape()
    optimizer = make(parameters)
    aims = [p.detach() + 1 for p in parameters]
    for _ in range(_MANY_STEPS):
        for p, aim in zip(parameters, aims, strict=True):
            p.grad = p.detach() - aim
        set_learning_rate(optimizer, _RATE)
        optimizer.step()
    for p, aim in zip(parameters, aims, strict=True):
        left = float((p.detach() - aim).square().mean().sqrt())
        assert left < 1, f"a parameter of shape {tuple(p.shape)} went from 1 away to {left:.3g}"


@OPTIMIZER.check()
def follows_the_rate(make: Make) -> None:
    """A step uses the learning rate that is set before it, not the initial one."""
    message = 'made with another rate, its steps differ: use `group["lr"]` at each step'
    _assert_same(_trained(make, rate=10 * _RATE), _trained(make), message)


@OPTIMIZER.check()
def no_rate_no_change(make: Make) -> None:
    """At a learning rate of 0 a step changes no weight, not even by weight decay."""
    parameters = parameters_of_every_shape()
    optimizer = make(parameters)
    _train(optimizer, parameters)
    before = _copies(parameters)
    _set_gradients(parameters, step=_FEW_STEPS)
    set_learning_rate(optimizer, 0.0)
    optimizer.step()
    message = "a step at a rate of 0 changes a weight: multiply weight decay by the learning rate"
    _assert_same(parameters, before, message)


@OPTIMIZER.check()
def leaves_what_has_no_gradient(make: Make) -> None:
    """A parameter whose gradient is None is unchanged, before and after its first gradient."""
    for done in (0, _FEW_STEPS):
        parameters = parameters_of_every_shape()
        optimizer = make(parameters)
        _train(optimizer, parameters, last=done)
        before = _copies(parameters)
        _set_gradients(parameters, step=done)
        for p in parameters[::2]:
            p.grad = None
        optimizer.step()
        message = f"after {done} steps a step changes a weight without a gradient"
        _assert_same(parameters[::2], before[::2], message)
        moved = all(map(_differ, parameters[1::2], before[1::2]))
        assert moved, "with some gradients None, a step leaves a weight that has one"


def _differ(one: Tensor, other: Tensor) -> bool:
    return not torch.equal(one, other)


@OPTIMIZER.check()
def always_the_same(make: Make) -> None:
    """Steps are deterministic, for any random state of torch."""
    first = _trained(make)
    torch.manual_seed(1)
    message = "steps differ the second time: draw nothing, as all processes must make the same"
    _assert_same(_trained(make), first, message)


@OPTIMIZER.check()
def state_can_be_saved(make: Make) -> None:
    """Its state holds, for each parameter, dense tensors, numbers and None by name."""
    parameters = parameters_of_every_shape()
    optimizer = make(parameters)
    for step in range(_FEW_STEPS):
        _saved(optimizer)
        _train(optimizer, parameters, first=step, last=step + 1)
    _saved(optimizer)


def _saved(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state, written to a file and read again."""
    try:
        state = optimizer_state(optimizer)
    except PluginError as error:
        raise AssertionError(f"{error.what}: {error.remedy}") from error
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        save_file({name: t.cpu().contiguous() for name, t in state.items()}, path)
        loaded: dict[str, Tensor] = load_file(path)
    return loaded


@OPTIMIZER.check()
def goes_on_exactly(make: Make) -> None:
    """Saved and restored, it makes the same steps as an uninterrupted one, bit for bit."""
    for done in (1, 2, 7):
        whole, cut = parameters_of_every_shape(), parameters_of_every_shape()
        _train(make(whole), whole, last=done + _LATER)
        before = make(cut)
        _train(before, cut, last=done)
        resumed = make(cut)
        load_optimizer_state(resumed, _saved(before))
        _train(resumed, cut, first=done, last=done + _LATER)
        message = (
            f"saved and restored after {done} steps, it steps differently: keep all that a step "
            "changes in `self.state[parameter]`"
        )
        _assert_same(cut, whole, message)


@OPTIMIZER.check()
def any_memory_order(make: Make) -> None:
    """A kernel in channels-last order is updated as one in contiguous order, up to rounding."""
    other = parameters_of_every_shape()
    for p in other:
        if p.ndim == 4:  # noqa: PLR2004 - a kernel
            p.data = p.data.contiguous(memory_format=torch.channels_last)
    _train(make(other), other)
    for one, p in zip(other, _trained(make), strict=True):
        assert_close(one.detach(), p.detach(), "in another memory order a step differs")


@OPTIMIZER.check()
def leaves_out_overflows(make: Make) -> None:
    """With a GradScaler, a step whose gradients overflow is skipped, and the next one is not."""
    parameters = parameters_of_every_shape()
    optimizer = make(parameters)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for overflows in (False, True, False):
        before = _copies(parameters)
        _set_gradients(parameters, step=0)
        for p in parameters:
            assert p.grad is not None
            p.grad *= float("inf") if overflows else scaler.get_scale()
        scaler.scale(torch.zeros(()))  # it begins with the first loss that it scales
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        unchanged = not any(map(_differ, parameters, before))
        message = "a step with gradients that overflow changes a weight"
        assert unchanged == overflows, (
            message if overflows else "with a GradScaler it makes no step"
        )


@OPTIMIZER.check(capability="devices")
def devices(make: Make) -> None:
    """On a GPU, weights change as on the CPU, to 10% of the largest change."""
    for device in gpus():
        start = parameters_of_every_shape()
        there = [nn.Parameter(p.detach().to(device)) for p in start]
        _train(make(there), there)
        for first, one, p in zip(start, there, _trained(make), strict=True):
            assert_close(
                one.detach().cpu() - first.detach(),
                p.detach() - first.detach(),
                f"on {device} the change of a parameter {tuple(p.shape)} differs",
                relative=0.1,
            )
