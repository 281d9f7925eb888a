"""Denoising and flow matching: each weight is the error of what the network predicts there."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from objective_steps import draws_of, smooth, step_of
from torch import Tensor, nn

from dddm.core.denoiser import ScheduledDenoiser
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import Objective
from dddm.interfaces.parametrization import Parametrization
from dddm.interfaces.schedule import Schedule
from dddm.testing.toys import cosine_schedule, linear_schedule
from dddm_objectives.denoising import Denoising
from dddm_objectives.flow_matching import FlowMatching
from dddm_objectives.options import DenoisingOptions, FlowMatchingOptions
from dddm_parametrizations.affine import edm, noise, v_prediction, velocity
from dddm_parametrizations.options import EdmOptions, PlainOptions
from dddm_schedules.continuous import Karras, VpContinuous
from dddm_schedules.options import KarrasOptions, VpContinuousOptions

SHAPE = ImageShape(channels=2, height=3, width=4)
ROWS = 16


class Layer(Backbone):
    """One convolution of what it is given, shifted by time."""

    uses_labels, takes_estimate = False, False

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(SHAPE.channels, SHAPE.channels, 3, padding=1)

    def begin(self, *, x_t: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
        return x_t + torch.sin(t).reshape(-1, 1, 1, 1)

    def refine(self, cache: Tensor, *, estimate: Any) -> Tensor:
        found: Tensor = self.layer(cache)
        return found


def loss_of(objective: Objective, schedule: Schedule, parametrization: Parametrization) -> Any:
    """The losses of rows, F that the network gave for them, and x_0, x_t, a, s, ε."""
    torch.manual_seed(0)
    backbone = Layer()
    denoiser = ScheduledDenoiser(
        schedule=schedule, backbone=backbone, parametrization=parametrization
    )
    draws, x_0 = draws_of(objective, schedule, count=ROWS, shape=SHAPE), torch.randn(ROWS, 2, 3, 4)
    outcome, _ = step_of(
        objective, schedule, x_0=x_0, draws=draws,
        function=lambda *, x_t, t, **_: denoiser.evaluate(x_t=x_t, t=t, label=None, estimate=None),
    )  # fmt: skip
    a, s = (
        u.reshape(-1, 1, 1, 1).float()
        for u in (schedule.signal(draws["t"]), schedule.noise(draws["t"]))
    )
    x_t = a * x_0 + s * draws["noise"]
    raw = backbone(
        x_t=parametrization.network_input(x_t=x_t, t=draws["t"]),
        t=parametrization.network_time(draws["t"]),
    )
    return outcome.loss_B, raw, x_0, draws["noise"], a, s


@pytest.mark.parametrize(
    ("weight", "made", "wanted"),
    [
        ("noise", noise, lambda x_0, e, a, s: e),
        ("v", v_prediction, lambda x_0, e, a, s: a * e - s * x_0),
    ],
)
def test_a_weight_makes_the_loss_the_error_of_f(
    weight: Any, made: Callable[..., Parametrization], wanted: Callable[..., Tensor]
) -> None:
    """‖F − ε‖² by "noise", ‖F − v‖² by "v", on a variance preserving path."""
    schedule = VpContinuous(VpContinuousOptions())
    objective = Denoising(DenoisingOptions(weight=weight))
    found, raw, x_0, e, a, s = loss_of(objective, schedule, made(PlainOptions(), schedule=schedule))
    expected = (raw - wanted(x_0, e, a, s)).square().flatten(1).mean(1)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_the_weight_of_edm_makes_that_of_f_one() -> None:
    """The target of F is (x_0 − c_skip x_t)/c_out (EDM, eq. 8)."""
    schedule = Karras(KarrasOptions(sigma_data=0.7))
    objective = Denoising(DenoisingOptions(weight="edm", sigma_data=0.7))
    found, raw, x_0, e, a, s = loss_of(
        objective, schedule, edm(EdmOptions(sigma_data=0.7), schedule=schedule)
    )
    skip, out = 0.49 / (s**2 + 0.49), 0.7 * s / (s**2 + 0.49).sqrt()
    expected = (raw - (x_0 - skip * (a * x_0 + s * e)) / out).square().flatten(1).mean(1)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_uniform_is_the_metric_alone() -> None:
    schedule = cosine_schedule()
    objective = Denoising(DenoisingOptions(weight="uniform"))
    draws, x_0 = draws_of(objective, schedule, count=8), torch.randn(8, 1, 1, 1)
    outcome, _ = step_of(objective, schedule, x_0=x_0, draws=draws, function=smooth)
    x_t = schedule.diffuse(x_0=x_0, t=draws["t"], noise=draws["noise"])
    expected = (smooth(x_t=x_t, t=draws["t"]) - x_0).square().flatten()
    torch.testing.assert_close(outcome.loss_B, expected)


@pytest.mark.parametrize("schedule", [linear_schedule(), VpContinuous(VpContinuousOptions())])
def test_flow_matching_is_the_error_of_the_velocity(schedule: Schedule) -> None:
    """‖F − (ε − x_0)‖² under `velocity`, on the linear path and on others."""
    objective = FlowMatching(FlowMatchingOptions())
    found, raw, x_0, e, _, _ = loss_of(
        objective, schedule, velocity(PlainOptions(), schedule=schedule)
    )
    expected = (raw - (e - x_0)).square().flatten(1).mean(1)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("objective", [
    Denoising(DenoisingOptions(weight="uniform", self_conditioning=0.5)),
    FlowMatching(FlowMatchingOptions(self_conditioning=0.5)),
])  # fmt: skip
def test_self_conditioning(objective: Objective) -> None:
    """Half of the rows see their first estimate as x̂, without gradient; the others noise."""
    schedule = cosine_schedule(discrete=False)
    draws, x_0 = draws_of(objective, schedule, count=400), torch.randn(400, 1, 1, 1)
    assert 150 < int(draws["conditioned"].sum()) < 250
    _, denoiser = step_of(objective, schedule, x_0=x_0, draws=draws, function=smooth)
    first, second = denoiser.calls
    assert (first.gradient, second.gradient) == (False, True)
    assert first.estimate is not None
    assert second.estimate is not None
    assert torch.equal(first.estimate, draws["first_estimate"])
    x_t = schedule.diffuse(x_0=x_0, t=draws["t"], noise=draws["noise"])
    again = smooth(x_t=x_t, t=draws["t"], estimate=draws["first_estimate"])
    mask = draws["conditioned"]
    torch.testing.assert_close(second.estimate[mask], again[mask])
    assert torch.equal(second.estimate[~mask], draws["first_estimate"][~mask])
