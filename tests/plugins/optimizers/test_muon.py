"""Muon against an independent implementation, and what its iteration comes to."""

import pytest
import torch
from torch import Tensor, nn

from dddm_optimizers.muon import Muon, is_matrix, orthogonalise
from dddm_optimizers.options import MuonOptions

RATE = 0.05


def by_singular_values(matrix: Tensor, steps: int) -> Tensor:
    """The iteration acts on singular values alone: σ ← 3.4445σ − 4.7750σ³ + 2.0315σ⁵."""
    u, sigma, v = torch.linalg.svd(matrix.double(), full_matrices=False)
    sigma = sigma / sigma.square().sum().sqrt()
    for _ in range(steps):
        sigma = 3.4445 * sigma - 4.7750 * sigma**3 + 2.0315 * sigma**5
    found: Tensor = u @ torch.diag(sigma) @ v
    return found


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(8, 8), (12, 5), (5, 12), (1, 7)])
def test_orthogonalise_acts_on_singular_values(shape: tuple[int, int]) -> None:
    """Tall, wide and square matrices keep their singular vectors."""
    matrix = random(*shape)
    found = orthogonalise(matrix, steps=5)
    expected = by_singular_values(matrix, steps=5).float()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    singular = torch.linalg.svdvals(found)
    assert 0.6 < float(singular.min()) <= float(singular.max()) < 1.3


def test_orthogonalise_nothing() -> None:
    """A gradient of 0 gives an update of 0, not a division by it."""
    assert not orthogonalise(torch.zeros(3, 4), steps=5).any()


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("channels_last", [True, False])
def test_a_kernel(*, nesterov: bool, channels_last: bool) -> None:
    """Momentum, the iteration and the size of the update, in float64 by singular values."""
    start = random(8, 10, 3, 3, seed=99)
    weight = nn.Parameter(start.clone())
    if channels_last:
        weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    options = MuonOptions(nesterov=nesterov, weight_decay=0.1)
    optimizer = Muon(options, parameters=[weight], learning_rate=RATE)
    expected, momentum = start.double(), torch.zeros(8, 10, 3, 3, dtype=torch.float64)
    for seed in range(4):
        gradient = random(8, 10, 3, 3, seed=seed)
        weight.grad = gradient.clone(memory_format=torch.preserve_format)
        optimizer.step()
        momentum = 0.95 * momentum + 0.05 * gradient.double()
        update = 0.05 * gradient.double() + 0.95 * momentum if nesterov else momentum
        direction = by_singular_values(update.flatten(1), steps=5).view(8, 10, 3, 3)
        expected = (1 - RATE * 0.1) * expected - RATE * 0.2 * 90**0.5 * direction
    torch.testing.assert_close(weight.detach(), expected.float(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shape", [(64, 64), (128, 32), (16, 16, 3, 3)])
def test_an_update_is_as_large_as_adams(shape: tuple[int, ...]) -> None:
    """Its root mean square is about 0.2 of the learning rate, whatever the shape."""
    weight = nn.Parameter(torch.zeros(shape))
    optimizer = Muon(MuonOptions(), parameters=[weight], learning_rate=1.0)
    weight.grad = random(*shape)
    optimizer.step()
    assert float(weight.detach().square().mean().sqrt()) == pytest.approx(0.2, rel=0.3)


def test_what_is_not_a_matrix_is_adams() -> None:
    """Bit for bit but for rounding what torch's Adam does, at a rate of its own."""
    shapes = [(), (7,), (3, 16, 3, 3), (16, 3, 3, 3), (16, 1, 3, 3)]
    mine, theirs = ([nn.Parameter(random(*shape)) for shape in shapes] for _ in range(2))
    muon = Muon(MuonOptions(adam_scale=0.5), parameters=mine, learning_rate=RATE)
    adam = torch.optim.Adam(theirs, lr=RATE / 2)
    assert muon.param_groups[0]["lr_scale"] == 0.5
    for seed in range(5):
        for one, other in zip(mine, theirs, strict=True):
            one.grad = random(*one.shape, seed=seed)
            other.grad = one.grad.clone()
        muon.step()
        adam.step()
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("shape", "least", "matrix"),
    [
        ((), 1, False), ((9,), 1, False), ((9, 8), 8, True), ((9, 7), 8, False),
        ((3, 64, 3, 3), 8, False), ((64, 3, 3, 3), 8, False), ((64, 3, 3, 3), 3, True),
    ],
)  # fmt: skip
def test_what_a_matrix_is(shape: tuple[int, ...], least: int, *, matrix: bool) -> None:
    """It has inputs and outputs, and enough of both."""
    assert is_matrix(torch.zeros(shape), least_channels=least) == matrix


def test_a_closure_is_called_with_gradients_on() -> None:
    """As torch's own optimizers do."""
    weight = nn.Parameter(random(8, 8))
    muon = Muon(MuonOptions(), parameters=[weight], learning_rate=RATE)

    def closure() -> float:
        loss = weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
        return float(loss.detach())

    before = float(weight.detach().square().sum())
    assert muon.step(closure) == pytest.approx(before)
    assert muon.step() is None
