"""Drifting beside plain loops over its formula, and where its drift points."""

import math

import pytest
import torch
from torch import Tensor

from dddm_objectives.comparison import drift
from dddm_objectives.kernels import contrast, patches, pixels, random_network, statistics


def plain_drift(generated: Tensor, real: Tensor, temperatures: tuple[float, ...]) -> Tensor:
    """The formula of one set, number by number, in float64."""
    n, m = len(generated), len(real)
    total = torch.zeros_like(generated)
    for temperature in temperatures:
        logit = [
            [-float((g - r).norm()) / temperature for r in real]
            + [
                -math.inf if i == k else -float((g - other).norm()) / temperature
                for k, other in enumerate(generated)
            ]
            for i, g in enumerate(generated)
        ]
        rows = [sum(math.exp(x) for x in row) for row in logit]
        columns = [sum(math.exp(logit[i][j]) for i in range(n)) for j in range(m + n)]
        weight = [
            [math.sqrt(math.exp(2 * logit[i][j]) / (rows[i] * columns[j])) for j in range(m + n)]
            for i in range(n)
        ]
        force = torch.zeros_like(generated)
        for i in range(n):
            towards, away = sum(weight[i][:m]), sum(weight[i][m:])
            force[i] = sum(weight[i][j] * away * real[j] for j in range(m))
            force[i] -= sum(weight[i][m + k] * towards * generated[k] for k in range(n))
        total += force / force.square().mean().sqrt()
    return total


def test_the_drift_is_its_formula() -> None:
    torch.manual_seed(1)
    generated = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    real = torch.randn(2, 3, 6, 5, dtype=torch.float64) + 0.3
    found, _ = drift(generated, real, temperatures=(0.2, 1.0))
    for a in range(2):
        for b in range(3):
            expected = plain_drift(generated[a, b], real[a, b], (0.2, 1.0))
            torch.testing.assert_close(found[a, b], expected)


def test_it_points_at_the_data() -> None:
    """Generated images far from real ones are drawn to them, and lie still among them."""
    torch.manual_seed(0)
    real = torch.randn(1, 400, 2)
    far = torch.randn(1, 400, 2) + 3
    force, far_size = drift(far, real, temperatures=(1.0,))
    assert bool((force.mean(dim=1) < 0).all())
    _, near_size = drift(torch.randn(1, 400, 2), real, temperatures=(1.0,))
    assert near_size < far_size / 5


def test_moving_along_it_brings_sets_together() -> None:
    """Particles that follow the drift reach the mean and the spread of the data."""
    torch.manual_seed(0)
    real = torch.randn(1, 256, 2) * torch.tensor([1.0, 0.3]) + torch.tensor([2.0, -1.0])
    particles = torch.randn(1, 256, 2) * 0.1
    for step in range(300):
        force, _ = drift(particles, real, temperatures=(0.5,))
        particles = particles + 0.1 * (1 - step / 300) * force
    assert torch.allclose(particles.mean(1), real.mean(1), atol=0.1)
    assert torch.allclose(particles.std(1), real.std(1), rtol=0.3)


@pytest.mark.parametrize("channels", [1, 3])
def test_kernels_keep_images_apart(channels: int) -> None:
    """Each gives (B, P, D) of one image alone, with a gradient."""
    images = torch.rand(4, channels, 16, 16, requires_grad=True)
    for kind in (pixels((1, 4)), patches((5,)), contrast((3, 5)), random_network(), statistics):
        for found, alone in zip(kind(images), kind(images[1:2]), strict=True):
            torch.testing.assert_close(found[1:2], alone)
            (gradient,) = torch.autograd.grad(found[2].sum(), images, retain_graph=True)
            # The sum over places of the difference from local means is about zero.
            assert bool(gradient[2].any())
            assert not bool(gradient[[0, 1, 3]].any())
