"""Every built-in optimizer continues exactly from a saved state, with and without a GradScaler."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from dddm.interfaces.plugin import Kind
from dddm.recipe.model import ComponentConfig
from dddm.registry.component import Component
from dddm.registry.loader import load_catalogue
from dddm.support.optimizer_state import load_optimizer_state, optimizer_state, set_learning_rate
from dddm.training.optimizer import build_optimizer

BUILT_IN = [
    pytest.param(component, options, id=f"{component.name}-{options or 'defaults'}")
    for component in load_catalogue().components(Kind.OPTIMIZER)
    if component.package == "dddm"
    for options in component.conformance.examples
]
every_one = pytest.mark.parametrize(("component", "options"), BUILT_IN)


def network() -> nn.Sequential:
    """Kernels that Muon takes and leaves, norms, a matrix, and one frozen parameter."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.Conv2d(8, 16, 3), nn.Flatten(), nn.Linear(64, 9)
    )
    for parameter in net.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    net[1].bias.requires_grad_(False)
    return net


def made(component: Component, options: Any, net: nn.Sequential) -> torch.optim.Optimizer:
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    use = ComponentConfig(component=component, options=component.options(**values))
    return build_optimizer(use, parameters=list(net.parameters()), learning_rate=1e-2)


def step(
    net: nn.Sequential,
    optimizer: torch.optim.Optimizer,
    *,
    number: int,
    scaler: torch.amp.GradScaler | None = None,
) -> float:
    image_BCHW = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(number))
    optimizer.zero_grad()
    loss = net(image_BCHW).square().mean()
    set_learning_rate(optimizer, 1e-2 / (number + 1))
    if scaler is None:
        loss.backward()
        optimizer.step()
    else:
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
    return float(loss.detach())


@every_one
@pytest.mark.parametrize("done", [1, 2, 5, 8])
def test_resumed_is_uninterrupted(
    component: Component, options: Any, done: int, tmp_path: Path
) -> None:
    """After any number of steps, through a file, bit for bit."""
    whole, cut = network(), network()
    first, second = made(component, options, whole), made(component, options, cut)
    for number in range(done):
        step(whole, first, number=number)
        step(cut, second, number=number)
    state = {name: t.contiguous() for name, t in optimizer_state(second).items()}
    save_file(state, tmp_path / "state")
    resumed = made(component, options, cut)
    load_optimizer_state(resumed, load_file(tmp_path / "state"))
    for number in range(done, done + 7):
        step(whole, first, number=number)
        step(cut, resumed, number=number)
    for one, other in zip(whole.parameters(), cut.parameters(), strict=True):
        assert torch.equal(one, other)


@every_one
def test_a_scaler_changes_nothing_but_rounding(component: Component, options: Any) -> None:
    """A scale that is a power of two divides out; a step with gradients that overflow is left."""
    plain, scaled = network(), network()
    first, second = made(component, options, plain), made(component, options, scaled)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for number in range(3):
        step(plain, first, number=number)
        step(scaled, second, number=number, scaler=scaler)
    for one, other in zip(plain.parameters(), scaled.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    before = [p.detach().clone() for p in scaled.parameters()]
    overflowing = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    with torch.no_grad():
        list(scaled.parameters())[-2].mul_(1e6)
        before[-2].mul_(1e6)
    step(scaled, second, number=3, scaler=overflowing)
    assert overflowing.get_scale() < 2.0**127
    assert all(torch.equal(p, b) for p, b in zip(scaled.parameters(), before, strict=True))


@every_one
def test_a_kernel_is_learned(component: Component, options: Any) -> None:
    """The loss falls."""
    net = network()
    optimizer = made(component, options, net)
    losses = [step(net, optimizer, number=0) for _ in range(20)]
    assert losses[-1] < losses[0]
