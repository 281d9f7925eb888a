"""What an optimizer promises; see `dddm.interfaces.optimizer`."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dddm.errors import PluginError
from dddm.support.noise import generator_for
from dddm.support.optimizer_state import load_optimizer_state, optimizer_state, set_learning_rate
from dddm.testing.check import ConformanceFailure, Suite, expect
from dddm.testing.material import expect_close, expect_equal, gpus
from dddm.testing.parameters import parameters_of_every_kind
from dddm.testing.subject import Subject

OPTIMIZER: Final = Suite(
    "optimizer", capabilities={"devices": "it does on a GPU what it does on the CPU"}
)

_RATE: Final = 1e-2
_FEW_STEPS: Final = 4
_MANY_STEPS: Final = 40
_LATER: Final = 12
"""Steps after a state was restored: enough to meet what is done every tenth step."""


def _over(
    subject: Subject, parameters: Sequence[nn.Parameter], *, rate: float = _RATE
) -> torch.optim.Optimizer:
    with subject.needing_what_may_be_absent():
        made: torch.optim.Optimizer = subject.use.instantiate(
            parameters=list(parameters), learning_rate=rate
        )
    return made


def _give_gradients(parameters: Sequence[nn.Parameter], *, step: int) -> None:
    for number, p in enumerate(parameters):
        gradient = torch.randn(p.shape, generator=generator_for("gradients", step, number))
        p.grad = torch.empty_like(p, requires_grad=False).copy_(gradient)


def _walk(
    optimizer: torch.optim.Optimizer,
    parameters: Sequence[nn.Parameter],
    *,
    first: int = 0,
    last: int = _FEW_STEPS,
) -> None:
    """Steps with gradients and rates that depend on the step's number alone."""
    for step in range(first, last):
        _give_gradients(parameters, step=step)
        set_learning_rate(optimizer, _RATE / (step + 1))
        optimizer.step()


def _copies(parameters: Sequence[nn.Parameter]) -> list[nn.Parameter]:
    return [nn.Parameter(p.detach().clone()) for p in parameters]


def _expect_same(
    found: Sequence[nn.Parameter],
    wanted: Sequence[nn.Parameter],
    seen: str,
    *,
    remedy: str | None = None,
) -> None:
    for one, other in zip(found, wanted, strict=True):
        shape = tuple(one.shape)
        expect_equal(one.detach(), other.detach(), f"{seen}, at a parameter {shape}", remedy=remedy)


@OPTIMIZER.check(basis=True)
def over_its_parameters(subject: Subject) -> None:
    """Each parameter that it is given is in one of its groups, and nothing else is."""
    given = parameters_of_every_kind()
    held = [p for group in _over(subject, given).param_groups for p in group["params"]]
    expect(
        sorted(map(id, held)) == sorted(map(id, given)),
        f"it holds {len(held)} parameters, of the {len(given)} given "
        f"{len({id(p) for p in held} & {id(p) for p in given})}",
        remedy="put each of `parameters` into one parameter group",
    )


@OPTIMIZER.check(basis=True)
def steps_on_gradients(subject: Subject) -> None:
    """`step()` needs gradients alone, and takes numbers, vectors, matrices and kernels."""
    parameters = parameters_of_every_kind()
    optimizer = _over(subject, parameters)
    before = _copies(parameters)
    _walk(optimizer, parameters)
    for p, old in zip(parameters, before, strict=True):
        what = f"a parameter of shape {tuple(p.shape)}"
        expect(bool(p.isfinite().all()), f"{what} is not finite after {_FEW_STEPS} steps")
        expect(not torch.equal(p, old), f"{what} has not changed after {_FEW_STEPS} steps")


@OPTIMIZER.check()
def lowers_a_quadratic(subject: Subject) -> None:
    """40 steps at a rate of 0.01 bring every parameter nearer to the least of ½‖θ − θ*‖²."""
    parameters = parameters_of_every_kind()
    optimizer = _over(subject, parameters)
    aims = [p.detach() + 1 for p in parameters]
    for _ in range(_MANY_STEPS):
        for p, aim in zip(parameters, aims, strict=True):
            p.grad = p.detach() - aim
        set_learning_rate(optimizer, _RATE)
        optimizer.step()
    for p, aim in zip(parameters, aims, strict=True):
        left = float((p.detach() - aim).square().mean().sqrt())
        expect(left < 1, f"a parameter of shape {tuple(p.shape)} went from 1 away to {left:.3g}")


@OPTIMIZER.check()
def follows_the_rate(subject: Subject) -> None:
    """A step uses the learning rate that was set before it, whatever it was made with."""
    here, there = parameters_of_every_kind(), parameters_of_every_kind()
    _walk(_over(subject, here, rate=_RATE), here)
    _walk(_over(subject, there, rate=10 * _RATE), there)
    _expect_same(
        there,
        here,
        "made with another rate, it makes other steps at the same ones",
        remedy='use `group["lr"]` at each step',
    )


@OPTIMIZER.check()
def no_rate_no_change(subject: Subject) -> None:
    """At a learning rate of 0 a step changes no weight, by weight decay neither."""
    parameters = parameters_of_every_kind()
    optimizer = _over(subject, parameters)
    _walk(optimizer, parameters)
    before = _copies(parameters)
    _give_gradients(parameters, step=_FEW_STEPS)
    set_learning_rate(optimizer, 0.0)
    optimizer.step()
    _expect_same(
        parameters,
        before,
        "a step at a rate of 0 changes a weight",
        remedy="multiply weight decay by the learning rate",
    )


@OPTIMIZER.check()
def leaves_what_has_no_gradient(subject: Subject) -> None:
    """A parameter whose gradient is None stays as it is, before its first gradient and after."""
    for done in (0, _FEW_STEPS):
        parameters = parameters_of_every_kind()
        optimizer = _over(subject, parameters)
        _walk(optimizer, parameters, last=done)
        before = _copies(parameters)
        _give_gradients(parameters, step=done)
        for p in parameters[::2]:
            p.grad = None
        optimizer.step()
        seen = f"after {done} steps a step changes a weight without a gradient"
        _expect_same(parameters[::2], before[::2], seen)
        moved = all(map(_differ, parameters[1::2], before[1::2]))
        expect(moved, "beside parameters without a gradient, one with a gradient stays as it is")


def _differ(one: Tensor, other: Tensor) -> bool:
    return not torch.equal(one, other)


@OPTIMIZER.check()
def always_the_same(subject: Subject) -> None:
    """The same gradients make the same steps, whatever torch's random state is."""
    here, there = parameters_of_every_kind(), parameters_of_every_kind()
    _walk(_over(subject, here), here)
    torch.manual_seed(1)
    _walk(_over(subject, there), there)
    _expect_same(
        there,
        here,
        "a second time the steps are others",
        remedy="draw nothing: processes that train together must come to the same weights",
    )


@OPTIMIZER.check()
def state_can_be_saved(subject: Subject) -> None:
    """Its state is dense tensors, numbers and None, by name, for each parameter."""
    parameters = parameters_of_every_kind()
    optimizer = _over(subject, parameters)
    for step in range(_FEW_STEPS):
        _saved(optimizer)
        _walk(optimizer, parameters, first=step, last=step + 1)
    _saved(optimizer)


def _saved(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state, round through a file.

    Raises:
        ConformanceFailure: if it cannot be saved.
    """
    try:
        state = optimizer_state(optimizer)
    except PluginError as error:
        raise ConformanceFailure(error.what, remedy=error.remedy) from error
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        save_file({name: t.cpu().contiguous() for name, t in state.items()}, path)
        loaded: dict[str, Tensor] = load_file(path)
    return loaded


@OPTIMIZER.check()
def goes_on_exactly(subject: Subject) -> None:
    """Saved and restored after any number of steps it goes on as if never stopped, bit for bit."""
    for done in (1, 2, 7):
        whole, cut = parameters_of_every_kind(), parameters_of_every_kind()
        _walk(_over(subject, whole), whole, last=done + _LATER)
        before = _over(subject, cut)
        _walk(before, cut, last=done)
        resumed = _over(subject, cut)
        load_optimizer_state(resumed, _saved(before))
        _walk(resumed, cut, first=done, last=done + _LATER)
        _expect_same(
            cut,
            whole,
            f"saved and restored after {done} steps, it goes on in another way",
            remedy="keep all that a step changes in `self.state[parameter]`",
        )


@OPTIMIZER.check()
def any_memory_order(subject: Subject) -> None:
    """A kernel in channels-last order is changed as one in plain order, up to rounding."""
    plain, other = parameters_of_every_kind(), parameters_of_every_kind()
    for p in other:
        if p.ndim == 4:  # noqa: PLR2004 - a kernel
            p.data = p.data.contiguous(memory_format=torch.channels_last)
    _walk(_over(subject, plain), plain)
    _walk(_over(subject, other), other)
    for one, p in zip(other, plain, strict=True):
        expect_close(one.detach(), p.detach(), "in another memory order a step is another")


@OPTIMIZER.check()
def leaves_out_overflows(subject: Subject) -> None:
    """With a GradScaler a step whose gradients overflow changes nothing, and the next one does."""
    parameters = parameters_of_every_kind()
    optimizer = _over(subject, parameters)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for overflows in (False, True, False):
        before = _copies(parameters)
        _give_gradients(parameters, step=0)
        for p in parameters:
            assert p.grad is not None
            p.grad *= float("inf") if overflows else scaler.get_scale()
        scaler.scale(torch.zeros(()))  # it begins with the first loss that it scales
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        same = not any(map(_differ, parameters, before))
        seen = "a step with gradients that overflow changes a weight"
        expect(same == overflows, seen if overflows else "with a GradScaler it makes no step")


@OPTIMIZER.check(capability="devices")
def devices(subject: Subject) -> None:
    """On a GPU it changes weights as on the CPU, to a tenth of the largest change."""
    devices = list(gpus())
    start, here = parameters_of_every_kind(), parameters_of_every_kind()
    _walk(_over(subject, here), here)
    for device in devices:
        there = [nn.Parameter(p.detach().to(device)) for p in parameters_of_every_kind()]
        _walk(_over(subject, there), there)
        for first, one, p in zip(start, there, here, strict=True):
            expect_close(
                one.detach().cpu() - first.detach(),
                p.detach() - first.detach(),
                f"on {device} the change of a parameter {tuple(p.shape)} differs",
                relative=0.1,
            )
