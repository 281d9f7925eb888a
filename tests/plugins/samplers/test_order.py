"""Deterministic samplers on Gaussian images, for which the probability flow is known.

For x_0 ~ N(0, v) it scales x with the standard deviation of x_t: x_t = x_T √(v a² + s²) / its value
at T.  So the exact sample is x_T √v / √(v a(T)² + s(T)²).
"""

import math
from collections.abc import Callable

import pytest
from toy_denoisers import gaussian, run_sampler, small_noise

from dddm.interfaces.sampler import Sampler
from dddm.interfaces.schedule import Schedule
from dddm_samplers.ddim import Ddim
from dddm_samplers.heun import Heun
from dddm_samplers.options import DdimOptions
from dddm_schedules.continuous import Karras, RectifiedFlow, VpContinuous
from dddm_schedules.options import KarrasOptions, RectifiedFlowOptions, VpContinuousOptions

# With a larger σ_min or β_0, the last step, from σ_min or √(β_0/s) to 0, would set the order.
SCHEDULES: dict[str, Schedule] = {
    "karras": Karras(KarrasOptions(sigma_min=1e-4)),
    "vp-continuous": VpContinuous(VpContinuousOptions(beta_start=1e-5)),
    "linear": RectifiedFlow(RectifiedFlowOptions()),
}
every_schedule = pytest.mark.parametrize("name", SCHEDULES)


def relative_error(sampler: Sampler, schedule: Schedule, *, variance: float, steps: int) -> float:
    """Of the sample, to the exact solution; the same for every x_T."""
    x_T = schedule.prior(noise=small_noise(1, 1, 2, 2, seed=0, scale=1e-4))
    *_, sample = run_sampler(sampler, gaussian(schedule, variance=variance), x_T, steps=steps)
    last = schedule.grid(steps=1)
    spread = (variance * schedule.signal(last) ** 2 + schedule.noise(last) ** 2).sqrt()
    exact = x_T * math.sqrt(variance) / spread
    return float((sample - exact).norm() / exact.norm())


@every_schedule
@pytest.mark.parametrize("variance", [0.1, 1.0])
@pytest.mark.parametrize(
    ("sampler", "order"), [(lambda: Ddim(DdimOptions()), 1.0), (lambda: Heun(None), 2.0)]
)
def test_the_error_falls_by_the_order(
    sampler: Callable[[], Sampler], order: float, name: str, variance: float
) -> None:
    """Four times the steps: an error 4 times smaller with DDIM, 16 times with Heun's method."""
    few, many = (
        relative_error(sampler(), SCHEDULES[name], variance=variance, steps=steps)
        for steps in (64, 256)
    )
    assert math.log(few / many, 4) == pytest.approx(order, abs=0.12)


@every_schedule
def test_a_second_evaluation_is_worth_its_cost(name: str) -> None:
    """At the same number of evaluations, 63, Heun's method is nearer than DDIM."""
    schedule = SCHEDULES[name]
    heun = relative_error(Heun(None), schedule, variance=0.5, steps=32)
    ddim = relative_error(Ddim(DdimOptions()), schedule, variance=0.5, steps=63)
    assert heun < 0.5 * ddim
