"""An optimizer is made once it is known that all it keeps can be saved."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from toy_optimizers import KEPT, Forgetful, KeepsAList, Make, network

from dddm.errors import PluginError
from dddm.interfaces.plugin import Kind
from dddm.recipe.model import ComponentConfig
from dddm.registry.catalogue import Catalogue
from dddm.registry.registrar import PluginRegistrar
from dddm.training.optimizer import build_optimizer, check_resumable


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


every_kept = pytest.mark.parametrize("make", KEPT.values(), ids=KEPT)


@every_kept
def test_what_can_be_kept_is_not_refused(make: Make) -> None:
    """The trial leaves torch's random state and the network as they were."""
    net = network()
    before, drawn = [p.clone() for p in net.parameters()], torch.get_rng_state()
    check_resumable(make, parameters=list(net.parameters()), title="toy:toy")
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), before, strict=True))
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (partial(KeepsAList, lr=0.1), "toy:toy keeps 'losses', of type list"),
        (partial(KeepsAnObject, lr=0.1), "keeps 'generator', of type Generator"),
        (partial(KeepsASparseTensor, lr=0.1), "keeps 'mask', a torch.sparse_coo Tensor"),
        (partial(KeepsALargeNumber, lr=0.1), "keeps 'seed', an integer of 71 bits"),
        (partial(KeepsUnderAWord, lr=0.1), "keeps 'steps' in its state, which is not of a param"),
        (partial(KeepsInAnAttribute, lr=0.1), "more than its state"),
        (partial(KeepsInItsGroup, lr=0.1), "more than its state"),
        (partial(LooksBackLate, lr=0.1), "more than its state"),
        (partial(NeedsALoss, lr=0.1), "cannot make step 1: RuntimeError"),
        (partial(torch.optim.LBFGS, lr=0.1), "needs a closure"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_training(make: Make, says: str) -> None:
    """By name, with what may be kept."""
    with pytest.raises(PluginError, match=says) as caught:
        check_resumable(make, parameters=list(network().parameters()), title="toy:toy")
    assert "toy:toy" in caught.value.what
    assert caught.value.remedy is not None


def made_by(target: object) -> Any:
    """Build what a plugin registers."""
    toys = PluginRegistrar(plugin="toy", package="toys", version="1")
    globals()["TARGET"] = target
    toys.add(Kind.OPTIMIZER, "toy", target=f"{__name__}:TARGET", summary="A toy.")
    component = Catalogue(toys.components).find(Kind.OPTIMIZER, "toy")
    use = ComponentConfig(component=component, options=component.options())
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
