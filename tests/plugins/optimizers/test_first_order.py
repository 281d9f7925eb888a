"""Adam and its relatives against their papers' updates in plain float64 numbers."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dddm.interfaces.plugin import RecipeContext
from dddm_optimizers.first_order import adam, adamw, radam, sgd
from dddm_optimizers.options import (
    AdamOptions,
    AdamWOptions,
    MuonOptions,
    RAdamOptions,
    SGDOptions,
    check_betas,
    check_muon,
    check_sgd,
)

STEPS = 12
RATE = 0.02
AROUND = RecipeContext(data=None, tables={})


def gradients() -> list[Tensor]:
    return [torch.randn(4, 3, generator=torch.Generator().manual_seed(k)) for k in range(STEPS)]


def stepped(make: Callable[..., torch.optim.Optimizer], options: Any) -> Tensor:
    """The weights, which begin at 1, after all gradients."""
    weight = nn.Parameter(torch.ones(4, 3))
    optimizer = make(options, parameters=[weight], learning_rate=RATE)
    for gradient in gradients():
        weight.grad = gradient
        optimizer.step()
    return weight.detach()


def moments(beta_1: float, beta_2: float) -> Any:
    """Step number and both averages, not corrected, of all gradients."""
    mean = square = torch.zeros(4, 3, dtype=torch.float64)
    for t, gradient in enumerate(gradients(), start=1):
        g = gradient.double()
        mean = beta_1 * mean + (1 - beta_1) * g
        square = beta_2 * square + (1 - beta_2) * g * g
        yield t, mean, square


def adam_by_hand(beta_1: float, beta_2: float, *, eps: float, decay: float) -> Tensor:
    weight = torch.ones(4, 3, dtype=torch.float64)
    for t, mean, square in moments(beta_1, beta_2):
        weight = weight - RATE * decay * weight
        root = (square / (1 - beta_2**t)).sqrt() + eps
        weight = weight - RATE * mean / (1 - beta_1**t) / root
    return weight.float()


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.99)])
def test_adam(betas: tuple[float, float]) -> None:
    """Kingma & Ba 2015, algorithm 1."""
    found = stepped(adam, AdamOptions(betas=betas, eps=1e-3))
    torch.testing.assert_close(found, adam_by_hand(*betas, eps=1e-3, decay=0.0))


def test_adam_is_built_as_in_version_0_1() -> None:
    """The paper's settings, in torch's fused kernel."""
    weight = nn.Parameter(torch.ones(4, 3))
    made = adam(AdamOptions(), parameters=[weight], learning_rate=2e-4)
    before = torch.optim.Adam([weight], lr=2e-4, betas=(0.9, 0.999), eps=1e-8, fused=True)
    assert type(made) is torch.optim.Adam
    assert made.defaults == before.defaults


def test_adamw() -> None:
    """Loshchilov & Hutter 2019, algorithm 2: decay beside the step, not within the gradient."""
    found = stepped(adamw, AdamWOptions(weight_decay=0.3))
    torch.testing.assert_close(found, adam_by_hand(0.9, 0.999, eps=1e-8, decay=0.3))


def test_radam() -> None:
    """Liu et al. 2020, algorithm 2: momentum alone until ρ_t exceeds 5, rectified afterwards."""
    beta_1, beta_2 = 0.9, 0.9
    weight = torch.ones(4, 3, dtype=torch.float64)
    limit, rectified = 2 / (1 - beta_2) - 1, 0
    for t, mean, square in moments(beta_1, beta_2):
        weight = weight - RATE * 0.1 * weight
        rho = limit - 2 * t * beta_2**t / (1 - beta_2**t)
        step = mean / (1 - beta_1**t)
        if rho > 5:
            rectified += 1
            share = (rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)
            step = step * share**0.5 / ((square / (1 - beta_2**t)).sqrt() + 1e-8)
        weight = weight - RATE * step
    found = stepped(radam, RAdamOptions(betas=(beta_1, beta_2), weight_decay=0.1))
    assert 0 < rectified < STEPS
    torch.testing.assert_close(found, weight.float())


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_sgd(*, nesterov: bool, decay: float) -> None:
    """A running sum of gradients, weight decay within them."""
    weight = torch.ones(4, 3, dtype=torch.float64)
    total = torch.zeros(4, 3, dtype=torch.float64)
    for gradient in gradients():
        g = gradient.double() + decay * weight
        total = 0.8 * total + g
        weight = weight - RATE * (g + 0.8 * total if nesterov else total)
    found = stepped(sgd, SGDOptions(momentum=0.8, nesterov=nesterov, weight_decay=decay))
    torch.testing.assert_close(found, weight.float())


@pytest.mark.parametrize("betas", [(), (0.9,), (0.9, 0.99, 0.999)])
def test_two_betas(betas: tuple[float, ...]) -> None:
    """Another count of averaging factors is told with what to write."""
    for issues, name in (
        (check_betas(AdamOptions(betas=betas), AROUND), "betas"),
        (check_muon(MuonOptions(adam_betas=betas), AROUND), "adam_betas"),
    ):
        (issue,) = issues
        assert issue.option == name
        assert f"not {len(betas)}" in issue.what
        assert issue.remedy == f"write {name} = [0.9, 0.999]"
    assert not [*check_betas(AdamWOptions(), AROUND), *check_muon(MuonOptions(), AROUND)]


def test_nesterov_needs_momentum() -> None:
    """It is refused before torch does so, when the optimizer is made."""
    (issue,) = check_sgd(SGDOptions(momentum=0.0, nesterov=True), AROUND)
    assert issue.option == "nesterov"
    assert not list(check_sgd(SGDOptions(nesterov=True), AROUND))
