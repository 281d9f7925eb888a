"""The state of any optimizer goes round through named tensors."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from toy_optimizers import KEPT, EveryValue, KeepsAList, Make, network, step

from dddm.errors import PluginError
from dddm.support.optimizer_state import load_optimizer_state, optimizer_state, set_learning_rate


def stored(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """As a file gives it back."""
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    loaded: dict[str, Tensor] = load_file(path)
    return loaded


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
