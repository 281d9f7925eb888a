"""The state of any optimizer goes round through named tensors; what cannot is refused."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dddm.errors import PluginError
from dddm.interfaces.plugin import Kind
from dddm.recipe.model import Use
from dddm.registry.catalogue import Catalogue
from dddm.registry.declaration import Declarations
from dddm.tasks.optimizer import (
    build_optimizer,
    load_optimizer_state,
    optimizer_state,
    refuse_unsaveable,
    set_learning_rate,
)

Make = Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer]


def network(*, channels_last: bool = False) -> nn.Module:
    """A kernel, a matrix, vectors and a single number, the same each time."""
    torch.manual_seed(0)
    kernel = nn.Conv2d(4, 6, kernel_size=3)
    net = nn.Sequential(kernel, nn.Flatten(), nn.Linear(54, 9))
    net.scale = nn.Parameter(torch.ones(()))
    if channels_last:
        kernel.weight.data = kernel.weight.data.contiguous(memory_format=torch.channels_last)
    return net


def step(net: nn.Module, optimizer: torch.optim.Optimizer, *, seed: int) -> None:
    image_BCHW = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    (net(image_BCHW) * net.scale).square().sum().backward()
    set_learning_rate(optimizer, 1e-3 / (seed + 1))
    optimizer.step()


def stored(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """As a file gives it back."""
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    loaded: dict[str, Tensor] = load_file(path)
    return loaded


class EveryValue(torch.optim.Optimizer):
    """Keeps each kind of value that a checkpoint can hold, and needs it."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        super().__init__(parameters, {"lr": 0.1})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                s = self.state[p]
                if not s:
                    s.update(count=0, decay=1.0, odd=False, most=None, row=torch.zeros(2))
                    s.update(exact=torch.zeros_like(p, dtype=torch.float64))
                    s.update(bits=torch.zeros(3, dtype=torch.int8))
                s["count"] += 1
                s["decay"] *= 1 / 3
                s["odd"] = not s["odd"]
                s["most"] = float(p.grad.abs().max()) if s["count"] % 2 else None
                s["row"] += p.grad.mean()
                s["bits"] += s["count"]
                s["exact"] += p.grad.double() / 3
                slope = s["exact"].float() * (s["decay"] + s["row"][0]) + (s["most"] or 0.5)
                p.sub_(group["lr"] * slope * (2 if s["odd"] else 1) * s["bits"][1])


KEPT: Final[dict[str, Make]] = {
    "adam-fused": partial(torch.optim.Adam, lr=0.1, fused=True),
    "adam-amsgrad": partial(torch.optim.Adam, lr=0.1, amsgrad=True),
    "sgd": partial(torch.optim.SGD, lr=0.1, momentum=0.9),
    "sgd-plain": partial(torch.optim.SGD, lr=0.1),
    "rmsprop": partial(torch.optim.RMSprop, lr=0.1, centered=True, momentum=0.5),
    "adagrad": partial(torch.optim.Adagrad, lr=0.1),
    "adafactor": partial(torch.optim.Adafactor, lr=0.1),
    "nadam": partial(torch.optim.NAdam, lr=0.1),
    "rprop": partial(torch.optim.Rprop, lr=0.1),
    "asgd": partial(torch.optim.ASGD, lr=0.1),
    "every-value": EveryValue,
}
every_kept = pytest.mark.parametrize("make", KEPT.values(), ids=KEPT)


@every_kept
@pytest.mark.parametrize("channels_last", [True, False])
def test_a_resumed_optimizer_continues_bit_for_bit(
    make: Make, tmp_path: Path, *, channels_last: bool
) -> None:
    """Steps, a round through a file and more steps are the same as all steps at once."""
    whole, cut = (network(channels_last=channels_last) for _ in range(2))
    first, second = (make(list(net.parameters())) for net in (whole, cut))
    for seed in range(3):
        step(whole, first, seed=seed)
        step(cut, second, seed=seed)
    resumed = make(list(cut.parameters()))
    load_optimizer_state(resumed, stored(optimizer_state(second), tmp_path / "state"))
    for seed in range(3, 7):
        step(whole, first, seed=seed)
        step(cut, resumed, seed=seed)
    for one, other in zip(whole.parameters(), cut.parameters(), strict=True):
        assert torch.equal(one, other)


@every_kept
def test_what_can_be_kept_is_not_refused(make: Make) -> None:
    """The trial leaves torch's random state and the network as they were."""
    net = network()
    before, drawn = [p.clone() for p in net.parameters()], torch.get_rng_state()
    refuse_unsaveable(make, parameters=list(net.parameters()), title="toy:toy")
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), before, strict=True))
    assert all(p.grad is None for p in net.parameters())


def test_names_in_a_checkpoint_of_fused_adam() -> None:
    """The same as in checkpoints of version 0.1."""
    net = nn.Linear(2, 3)
    adam = torch.optim.Adam(net.parameters(), fused=True)
    net(torch.ones(1, 2)).sum().backward()
    adam.step()
    assert set(optimizer_state(adam)) == {
        f"{number}.{name}" for number in (0, 1) for name in ("exp_avg", "exp_avg_sq", "step")
    }


def test_numbers_come_back_exactly() -> None:
    """As Python's own, of the same type, with all their digits; a tensor keeps its dtype."""
    net = network()
    optimizer = EveryValue(list(net.parameters()))
    for seed in range(5):
        step(net, optimizer, seed=seed)
    resumed = EveryValue(list(net.parameters()))
    load_optimizer_state(resumed, optimizer_state(optimizer))
    for parameter in net.parameters():
        for name, value in optimizer.state[parameter].items():
            back = resumed.state[parameter][name]
            assert type(back) is type(value)
            if isinstance(value, Tensor):
                assert back.dtype == value.dtype
                assert torch.equal(back, value)
            else:
                assert back == value


def test_parameters_without_state_begin_without() -> None:
    """A frozen parameter, and one that no gradient has reached."""
    net = network()
    frozen, *_ = net.parameters()
    frozen.requires_grad_(False)
    adam = torch.optim.Adam(net.parameters(), fused=True)
    step(net, adam, seed=0)
    state = optimizer_state(adam)
    assert not [name for name in state if name.startswith("0.")]
    resumed = torch.optim.Adam(net.parameters(), fused=True)
    load_optimizer_state(resumed, state)
    step(net, resumed, seed=1)
    assert frozen not in resumed.state


@pytest.mark.parametrize(
    ("name", "tensor", "says"),
    [
        ("0.exp_avg", torch.zeros(1), "parameter 0 is of another shape: exp_avg"),
        ("99.exp_avg", torch.zeros(1), "no parameter 99"),
    ],
)
def test_a_state_of_other_parameters_is_refused(name: str, tensor: Tensor, says: str) -> None:
    """A moment of another shape than its parameter belongs to another network."""
    net = network()
    adam = torch.optim.Adam(net.parameters(), fused=True)
    step(net, adam, seed=0)
    state = optimizer_state(adam)
    state[name] = tensor
    with pytest.raises(ValueError, match=says):
        load_optimizer_state(adam, state)


class Forgetful(torch.optim.SGD):
    """A right optimizer, into which the mistakes below are planted."""

    def keep(self, parameter: nn.Parameter) -> float:
        return 1.0

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(group["lr"] * self.keep(p) * p.grad)


class KeepsAList(Forgetful):
    def keep(self, parameter: nn.Parameter) -> float:
        losses = self.state[parameter].setdefault("losses", [])
        losses.append(float(len(losses)))
        return 1.0


class KeepsAnObject(Forgetful):
    def keep(self, parameter: nn.Parameter) -> float:
        self.state[parameter]["generator"] = torch.Generator()
        return 1.0


class KeepsASparseTensor(Forgetful):
    def keep(self, parameter: nn.Parameter) -> float:
        self.state[parameter]["mask"] = torch.eye(2).to_sparse()
        return 1.0


class KeepsALargeNumber(Forgetful):
    def keep(self, parameter: nn.Parameter) -> float:
        self.state[parameter]["seed"] = 2**70
        return 1.0


class KeepsUnderAWord(Forgetful):
    def keep(self, parameter: nn.Parameter) -> float:
        self.state["steps"] = {"count": 1}  # type: ignore[index]
        return 1.0


class KeepsInAnAttribute(Forgetful):
    steps = 0

    def keep(self, parameter: nn.Parameter) -> float:
        self.steps += 1
        return 1.0 / self.steps


class KeepsInItsGroup(Forgetful):
    def keep(self, parameter: nn.Parameter) -> float:
        (group,) = self.param_groups
        group["k"] = group.get("k", 0) + 1
        return float(group["k"])


class LooksBackLate(Forgetful):
    """Every tenth step is another one, by a count that is nowhere in the state."""

    def __init__(self, parameters: Sequence[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, lr=lr)
        self.count = {id(p): 0 for p in parameters}

    def keep(self, parameter: nn.Parameter) -> float:
        self.count[id(parameter)] += 1
        return 5.0 if self.count[id(parameter)] % 10 == 0 else 1.0


class NeedsALoss(Forgetful):
    def keep(self, parameter: nn.Parameter) -> float:
        raise RuntimeError("step needs a closure")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (partial(KeepsAList, lr=0.1), "toy:toy keeps 'losses', of type list"),
        (partial(KeepsAnObject, lr=0.1), "keeps 'generator', of type Generator"),
        (partial(KeepsASparseTensor, lr=0.1), "keeps 'mask', a torch.sparse_coo Tensor"),
        (partial(KeepsALargeNumber, lr=0.1), "keeps 'seed', an integer of 71 bits"),
        (partial(KeepsUnderAWord, lr=0.1), "keeps 'steps' in its state, which is not of a param"),
        (partial(KeepsInAnAttribute, lr=0.1), "more than its state: the attribute 'steps'"),
        (partial(KeepsInItsGroup, lr=0.1), "more than its state: 'k' in a parameter group"),
        (partial(LooksBackLate, lr=0.1), "more than its state"),
        (partial(NeedsALoss, lr=0.1), "cannot make step 1: RuntimeError"),
        (partial(torch.optim.LBFGS, lr=0.1), "needs a closure"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_training(make: Make, says: str) -> None:
    """By name, with what may be kept."""
    with pytest.raises(PluginError, match=says) as caught:
        refuse_unsaveable(make, parameters=list(network().parameters()), title="toy:toy")
    assert "toy:toy" in caught.value.what
    assert caught.value.remedy is not None


def test_what_cannot_be_kept_is_refused_when_it_is_saved_too() -> None:
    """By the optimizer's class."""
    net = network()
    optimizer = KeepsAList(net.parameters(), lr=0.1)
    step(net, optimizer, seed=0)
    with pytest.raises(PluginError, match="the optimizer KeepsAList keeps 'losses', of type list"):
        optimizer_state(optimizer)


def test_the_rate_of_a_group_is_scaled() -> None:
    """By its `lr_scale` where it has one, at every step; a rate that is a tensor stays one."""
    first, second, third = (nn.Parameter(torch.zeros(1)) for _ in range(3))
    groups: list[dict[str, Any]] = [
        {"params": [first]},
        {"params": [second], "lr_scale": 0.5},
        {"params": [third], "lr": torch.tensor(1.0)},
    ]
    optimizer = torch.optim.Adam(groups, lr=1.0)
    for rate in (0.5, 0.25):
        set_learning_rate(optimizer, rate)
        assert [float(g["lr"]) for g in optimizer.param_groups] == [rate, rate / 2, rate]
    assert isinstance(optimizer.param_groups[2]["lr"], Tensor)


def made_by(target: object) -> Any:
    """Build what a plugin registers."""
    toys = Declarations(plugin="toy", package="toys", version="1")
    globals()["TARGET"] = target
    toys.add(Kind.OPTIMIZER, "toy", target=f"{__name__}:TARGET", summary="A toy.")
    component = Catalogue(toys.components).find(Kind.OPTIMIZER, "toy")
    use = Use(component=component, options=component.options())
    return use, list(network().parameters())


def build(monkeypatch: pytest.MonkeyPatch, target: object) -> torch.optim.Optimizer:
    use, parameters = made_by(target)
    monkeypatch.setattr(type(use.component), "load", lambda self: target)
    return build_optimizer(use, parameters=parameters, learning_rate=0.5)


def test_building(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the parameters, at the rate that is given."""

    def right(options: object, **given: Any) -> torch.optim.Optimizer:
        return torch.optim.Adam(given["parameters"], lr=given["learning_rate"])

    assert build(monkeypatch, right).param_groups[0]["lr"] == 0.5


def test_what_is_not_an_optimizer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before training, by its class."""
    with pytest.raises(PluginError, match="toy:toy made a dict"):
        build(monkeypatch, lambda options, **given: {})


def test_an_optimizer_of_other_parameters_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that leaves some out would leave them untrained without a word."""

    def some(options: object, **given: Any) -> torch.optim.Optimizer:
        return torch.optim.Adam(given["parameters"][1:], lr=given["learning_rate"])

    with pytest.raises(PluginError, match="not over the parameters"):
        build(monkeypatch, some)
