"""Consistency training: grids and ratios, the loss beside plain loops, and where it leads."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from objective_steps import draws_of, progress_at, smooth, step_of
from torch import Tensor

from dddm.interfaces.plugin import RecipeContext
from dddm_objectives.consistency import Consistency, grid_size, stage_of
from dddm_objectives.options import ConsistencyOptions, check_consistency
from dddm_schedules.continuous import Karras
from dddm_schedules.options import KarrasOptions

SCHEDULE = Karras(KarrasOptions())


def test_the_grid_of_ict() -> None:
    """N(k) of 400,000 steps from 10 to 1280: eight stages of 50,000 (arXiv 2310.14189, table 1)."""
    options = ConsistencyOptions()
    at = [grid_size(options, step=k, total_steps=400_000) for k in range(0, 400_000, 50_000)]
    assert at == [11, 21, 41, 81, 161, 321, 641, 1281]
    assert grid_size(options, step=49_999, total_steps=400_000) == 11
    assert grid_size(options, step=399_999, total_steps=400_000) == 1281


@pytest.mark.parametrize("total", [1, 3, 7, 1000])
def test_a_short_run_ends_within_its_grid(total: int) -> None:
    options = ConsistencyOptions(first_steps=3, last_steps=20)
    sizes = [grid_size(options, step=k, total_steps=total) for k in range(total)]
    assert sizes == sorted(sizes)
    assert sizes[0] >= 4
    assert sizes[-1] <= 21


def test_pairs_are_neighbours_by_their_probability() -> None:
    """p(i) ∝ erf((ln σ_{i+1} − P)/(√2 S)) − erf((ln σ_i − P)/(√2 S)), counted."""
    objective = Consistency(ConsistencyOptions())
    draws = draws_of(objective, SCHEDULE, count=200_000)
    grid = SCHEDULE.grid(steps=11).flip(0).tolist()  # rising, as in the paper
    weight = [
        math.erf((math.log(high) + 1.1) / (math.sqrt(2) * 2))
        - math.erf((math.log(low) + 1.1) / (math.sqrt(2) * 2))
        for low, high in pairwise(grid)
    ]
    for i, (low, high) in enumerate(pairwise(grid)):
        chosen = draws["t"] == high
        assert bool((draws["r"][chosen] == low).all())
        share = float(chosen.double().mean())
        assert share == pytest.approx(weight[i] / sum(weight), abs=0.005)


def test_uniform_pairs() -> None:
    objective = Consistency(ConsistencyOptions(times="uniform"))
    draws = draws_of(objective, SCHEDULE, count=100_000)
    for t in SCHEDULE.grid(steps=11)[:-1]:
        assert float((draws["t"] == t).double().mean()) == pytest.approx(0.1, abs=0.01)


def test_the_ratio_of_ect() -> None:
    """R = max(0, t (1 − 2^{−j} (1 + 8 sigmoid(−t)))): 0 in the warm-up, then ever closer to t."""
    options = ConsistencyOptions(pairs="ratio", warm_up=0.3, halvings=7)
    stages = [stage_of(options, fraction=p) for p in (0.0, 0.29, 0.3, 0.39, 0.41, 0.999)]
    assert stages == [0, 0, 1, 1, 2, 7]
    objective = Consistency(options)
    for step, stage in ((0, 0), (3, 1), (9, 7)):
        draws = draws_of(objective, SCHEDULE, count=500, progress=progress_at(step))
        for t, r in zip(draws["t"].tolist(), draws["r"].tolist(), strict=True):
            expected = max(0.0, t * (1 - (1 + 8 / (1 + math.exp(t))) / 2**stage))
            assert r == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("pairs", ["grid", "ratio"])
@pytest.mark.parametrize("weight", ["inverse-gap", "uniform"])
@pytest.mark.parametrize("taught", [False, True])
def test_the_loss_of_each_row(pairs: Any, weight: Any, *, taught: bool) -> None:
    """Number by number; where r = 0 the target is the image."""
    options = ConsistencyOptions(
        pairs=pairs, weight=weight, averaged_teacher=taught, halvings=2, warm_up=0.0
    )
    objective = Consistency(options)
    draws, x_0 = draws_of(objective, SCHEDULE, count=64), torch.randn(64, 1, 1, 1)

    def teacher(**given: Any) -> Tensor:
        return 0.5 * smooth(**given)

    outcome, denoiser = step_of(
        objective, SCHEDULE, x_0=x_0, draws=draws, function=smooth,
        average=teacher if taught else None,
    )  # fmt: skip
    assert outcome.loss_B is not None
    loss_B = outcome.loss_B.detach()
    zeros = 0
    for b, (t, r) in enumerate(zip(draws["t"].tolist(), draws["r"].tolist(), strict=True)):
        image, e = float(x_0[b]), float(draws["noise"][b])
        at_t = smooth(x_t=torch.tensor([[[[image + t * e]]]]), t=torch.tensor([t]))
        at_r = smooth(x_t=torch.tensor([[[[image + r * e]]]]), t=torch.tensor([r]))
        target = image if r == 0 else float(at_r) * (0.5 if taught else 1)
        zeros += r == 0
        scale = 1 / (t - r) if weight == "inverse-gap" else 1
        expected = scale * (float(at_t) - target) ** 2
        assert float(loss_B[b]) == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert (zeros > 0) == (pairs == "ratio")
    assert [call.gradient for call in denoiser.calls] == ([True] if taught else [True, False])


def test_its_residual_at_the_exact_function_halves_with_the_grid() -> None:
    """For x_0 ~ N(0, v) the consistency function is x √(v/(v + σ²)).

    There the expected gradient, divided by the step, vanishes in the limit of a fine grid, in
    proportion to the step.  With another ε at r it would not vanish.
    """
    v = 0.25
    schedule = Karras(KarrasOptions(sigma_min=0.01, sigma_max=2.0))

    def exact(*, x_t: Tensor, t: Tensor, **_: Any) -> Tensor:
        return (v / (v + t.square())).sqrt().reshape(-1, 1, 1, 1).to(x_t.dtype) * x_t

    def residual(steps: int, *, other_noise: bool = False) -> float:
        options = ConsistencyOptions(first_steps=steps, last_steps=steps, log_mean=-0.5, log_std=1)
        objective = Consistency(options)
        draws = draws_of(objective, schedule, count=2_000_000)
        generator = torch.Generator().manual_seed(1)
        x_0 = math.sqrt(v) * torch.randn(2_000_000, 1, 1, 1, generator=generator)
        if other_noise:
            # Half of the variance of the noise at t is then that of another one.
            draws["noise"] = draws["noise"].flip(0)
        outcome, denoiser = step_of(objective, schedule, x_0=x_0, draws=draws, function=exact)
        (gradient,) = torch.autograd.grad(outcome.loss, denoiser.theta)
        return abs(float(gradient))

    coarse, middle, fine = (residual(steps) for steps in (10, 20, 40))
    assert coarse / middle == pytest.approx(2, rel=0.3)
    assert middle / fine == pytest.approx(2, rel=0.5)


def test_what_its_check_finds() -> None:
    def found(options: ConsistencyOptions, parametrization: str) -> list[str]:
        tables = {"schedule": {"use": "karras"}, "parametrization": {"use": parametrization}}
        context = RecipeContext(data=None, tables=tables)
        return [issue.option for issue in check_consistency(options, context)]

    assert found(ConsistencyOptions(), "dddm:consistency") == []
    assert found(ConsistencyOptions(), "edm") == ["use"]
    assert found(ConsistencyOptions(first_steps=20, last_steps=10), "consistency") == ["last_steps"]
