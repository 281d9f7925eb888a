"""The energy score beside plain loops, and that it is least at the posterior."""

import math
from typing import Any

import pytest
import torch
from objective_steps import draws_of, smooth, step_of
from torch import Tensor

from dddm.interfaces.info import ImageShape
from dddm.testing.toys import cosine_schedule
from dddm_objectives.energy_score import EnergyScore
from dddm_objectives.options import EnergyScoreOptions

SCHEDULE = cosine_schedule()
SHAPE = ImageShape(channels=1, height=2, width=3)


@pytest.mark.parametrize(
    ("latents", "beta", "spread"), [(2, 1.0, 1.0), (3, 0.5, 0.7), (4, 1.5, 0.0)]
)
def test_the_loss_of_each_row(latents: int, beta: float, spread: float) -> None:
    objective = EnergyScore(EnergyScoreOptions(latents=latents, beta=beta, spread=spread))
    draws = draws_of(objective, SCHEDULE, count=5, shape=SHAPE)
    x_0 = torch.randn(5, 1, 2, 3)
    outcome, _ = step_of(objective, SCHEDULE, x_0=x_0, draws=draws, function=smooth)
    assert outcome.loss_B is not None
    loss_B = outcome.loss_B.detach()
    x_t = SCHEDULE.diffuse(x_0=x_0, t=draws["t"], noise=draws["noise"])
    f = [smooth(x_t=x_t, t=draws["t"], estimate=draws[f"latent_{j}"]) for j in range(latents)]
    for b in range(5):

        def apart(one: Tensor, other: Tensor, b: int = b) -> float:
            distance = float((one[b] - other[b]).square().mean().sqrt())
            return math.pow(distance, beta)

        expected = sum(apart(g, x_0) for g in f) / latents
        pairs = [apart(f[j], f[k]) for j in range(latents) for k in range(latents) if j != k]
        expected -= spread / (2 * latents * (latents - 1)) * sum(pairs)
        assert float(loss_B[b]) == pytest.approx(expected, rel=1e-4)


def test_it_is_least_at_the_posterior() -> None:
    """Samples that vary less or more than x_0 given x_t have a higher score."""
    v, t = 0.25, 600
    objective = EnergyScore(EnergyScoreOptions())
    best = objective.optimum(variance=v, schedule=SCHEDULE)
    assert best is not None
    draws = draws_of(objective, SCHEDULE, count=400_000)
    draws["t"] = torch.full_like(draws["t"], t)
    x_0 = math.sqrt(v) * torch.randn(400_000, 1, 1, 1, generator=torch.Generator().manual_seed(3))

    def score(width: float) -> float:
        def sample(*, estimate: Tensor, **given: Any) -> Tensor:
            return best(estimate=width * estimate, **given)

        outcome, _ = step_of(objective, SCHEDULE, x_0=x_0, draws=draws, function=sample)
        return float(outcome.loss.detach())

    assert score(1.0) < min(score(0.7), score(1.4)) - 1e-3


def test_less_spread_has_no_known_optimum() -> None:
    assert (
        EnergyScore(EnergyScoreOptions(spread=0.5)).optimum(variance=1, schedule=SCHEDULE) is None
    )
