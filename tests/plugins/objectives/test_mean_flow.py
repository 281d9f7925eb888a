"""MeanFlow: the loss beside a derivative by finite differences, and the average velocity."""

from typing import Any

import pytest
import torch
from objective_steps import draws_of, smooth, step_of
from torch import Tensor

from dddm.interfaces.plugin import RecipeContext
from dddm.testing.toys import cosine_schedule, linear_schedule
from dddm_objectives.mean_flow import MeanFlow
from dddm_objectives.options import MeanFlowOptions, check_mean_flow

LINEAR = linear_schedule()


def test_times_are_ordered_and_some_equal() -> None:
    draws = draws_of(MeanFlow(MeanFlowOptions(equal_share=0.25)), LINEAR, count=20_000)
    t, r = draws["t"], draws["r"]
    assert bool(((r > 0) & (r <= t) & (t <= 1)).all())
    assert float((t == r).double().mean()) == pytest.approx(0.25, abs=0.02)
    apart = t != r
    # The larger and the smaller of two uniform numbers.
    assert float(t[apart].mean()) == pytest.approx(2 / 3, abs=0.01)
    assert float(r[apart].mean()) == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize("power", [0.0, 0.75, 1.0])
def test_the_loss_of_each_row(power: float) -> None:
    """Number by number, with du/dt by central differences along the path."""
    objective = MeanFlow(MeanFlowOptions(power=power, offset=0.01))
    draws, x_0 = draws_of(objective, LINEAR, count=32), torch.randn(32, 1, 1, 1)
    draws["t"] = draws["t"].clamp_min(0.05)
    draws["r"] = torch.minimum(draws["r"], draws["t"])
    outcome, _ = step_of(objective, LINEAR, x_0=x_0, draws=draws, function=smooth)
    assert outcome.loss_B is not None
    loss_B = outcome.loss_B.detach()

    def u(z: float, r: float, t: float) -> float:
        one = {"x_t": z, "t": t, "second_time": r}
        tensors = {name: torch.tensor([x], dtype=torch.float64) for name, x in one.items()}
        tensors["x_t"] = tensors["x_t"].reshape(1, 1, 1, 1)
        return (z - float(smooth(**tensors))) / t

    h = 1e-5
    for b in range(32):
        t, r, image, e = (float(x[b]) for x in (draws["t"], draws["r"], x_0, draws["noise"]))
        z, v = (1 - t) * image + t * e, e - image
        slope = (u(z + h * v, r, t + h) - u(z - h * v, r, t - h)) / (2 * h)
        square = (u(z, r, t) - (v - (t - r) * slope)) ** 2
        expected = square / (square + 0.01) ** power
        assert float(loss_B[b]) == pytest.approx(expected, rel=2e-3, abs=1e-5)


@pytest.mark.parametrize("power", [0.0, 0.75])
def test_neither_target_nor_weight_has_a_gradient(power: float) -> None:
    """Only u = (x_t − θ D)/t is differentiated in w ‖u − sg(target)‖²."""
    objective = MeanFlow(MeanFlowOptions(power=power, offset=0.01))
    draws, x_0 = draws_of(objective, LINEAR, count=512), torch.randn(512, 1, 1, 1)
    draws["t"], draws["r"] = draws["t"].clamp_min(0.1), draws["r"].clamp_max(0.1)
    outcome, denoiser = step_of(objective, LINEAR, x_0=x_0, draws=draws, function=smooth)
    (found,) = torch.autograd.grad(outcome.loss, denoiser.theta)
    x_t = LINEAR.diffuse(x_0=x_0, t=draws["t"], noise=draws["noise"]).flatten().double()
    D = smooth(x_t=x_t.reshape(-1, 1, 1, 1), t=draws["t"], second_time=draws["r"]).flatten()
    t, r = draws["t"].double(), draws["r"].double()
    v = (draws["noise"] - x_0).flatten().double()

    def u_at(h: float) -> Tensor:
        z = (x_t + h * v).reshape(-1, 1, 1, 1)
        return (z.flatten() - smooth(x_t=z, t=t + h, second_time=r).flatten()) / (t + h)

    slope = (u_at(1e-4) - u_at(-1e-4)) / 2e-4
    error = (x_t - D) / t - (v - (t - r) * slope)
    weight = (error.square() + 0.01) ** -power
    expected = (2 * weight * error * (-D / t)).mean()
    assert float(found) == pytest.approx(float(expected), rel=2e-3)


def test_the_optimum_is_the_average_of_the_velocity() -> None:
    """U of `optimum` is ∫_r^t of dx/ds over t − r, integrated along the path of a Gaussian."""
    v = 0.3
    best = MeanFlow(MeanFlowOptions()).optimum(variance=v, schedule=LINEAR)
    assert best is not None
    t, r, x_t = 0.9, 0.2, 1.3
    steps = 20_000
    x, total = x_t, 0.0
    for k in range(steps):
        s = t - (k + 0.5) * (t - r) / steps
        middle = x - (t - r) / (2 * steps) * _velocity(x, s, v)
        total += _velocity(middle, s, v) / steps
        x -= (t - r) / steps * _velocity(middle, s, v)
    given = {"t": torch.tensor([t]), "second_time": torch.tensor([r])}
    estimate = best(x_t=torch.full((1, 1, 1, 1), x_t), **given)
    assert (x_t - float(estimate)) / t == pytest.approx(total, rel=1e-3)


def _velocity(x: float, s: float, v: float) -> float:
    """E[ε − x_0 | x_s = x]."""
    return x * (s - (1 - s) * v) / ((1 - s) ** 2 * v + s**2)


def test_it_knows_no_optimum_elsewhere() -> None:
    objective = MeanFlow(MeanFlowOptions())
    assert objective.optimum(variance=1.0, schedule=cosine_schedule(1, discrete=False)) is None


def test_its_check_refuses_other_paths() -> None:
    def found(schedule: str) -> list[Any]:
        context = RecipeContext(data=None, tables={"schedule": {"use": schedule}})
        return list(check_mean_flow(MeanFlowOptions(), context))

    assert found("dddm:linear") == []
    (issue,) = found("karras")
    assert "linear" in str(issue.remedy)
