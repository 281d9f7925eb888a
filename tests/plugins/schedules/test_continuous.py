"""`vp-continuous`, `linear` and `karras` against their definitions."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dddm.interfaces.schedule import Schedule
from dddm_parametrizations.affine import edm
from dddm_parametrizations.options import EdmOptions
from dddm_schedules.continuous import Karras, RectifiedFlow, VpContinuous
from dddm_schedules.discrete import vp
from dddm_schedules.options import (
    KarrasOptions,
    RectifiedFlowOptions,
    VpContinuousOptions,
    VpOptions,
    describe_karras,
    describe_unit,
)

VP, FLOW, KARRAS = (
    VpContinuous(VpContinuousOptions()),
    RectifiedFlow(RectifiedFlowOptions()),
    Karras(KarrasOptions()),
)
every_schedule = pytest.mark.parametrize("schedule", [VP, FLOW, KARRAS])
options = st.builds(
    lambda start, end: VpContinuousOptions(beta_start=start, beta_end=end),
    st.floats(0.01, 2.0),
    st.floats(2.0, 24.0),
)
TENTHS = torch.arange(11, dtype=torch.float64) / 10
SIGMA = torch.tensor([0.002, 0.1, 0.5, 7.0, 80.0], dtype=torch.float64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@every_schedule
def test_integer_times_and_grids_of_no_steps_are_refused(schedule: Schedule) -> None:
    with pytest.raises(TypeError, match="real numbers"):
        schedule.noise(torch.tensor([500]))
    with pytest.raises(ValueError, match="at least 1"):
        schedule.grid(steps=0)


def test_descriptions() -> None:
    unit, karras = describe_unit(RectifiedFlowOptions()), describe_karras(KarrasOptions())
    assert (unit.continuous, unit.last_time) == (True, FLOW.last_time)
    assert (karras.continuous, karras.last_time) == (True, KARRAS.last_time)


@given(st.integers(1, 3000))
def test_the_grid_is_even(steps: int) -> None:
    """1 = t_1 > … > t_s > 0, with equal gaps, for any number of steps."""
    grid = VP.grid(steps=steps)
    assert grid.dtype == torch.float64
    assert len(grid) == steps
    assert grid[0] == VP.last_time
    gaps = -torch.cat([grid, torch.zeros(1, dtype=torch.float64)]).diff()
    torch.testing.assert_close(gaps, torch.full_like(gaps, 1 / steps), rtol=1e-9, atol=0)


def test_times_are_uniform_over_zero_to_one() -> None:
    """The largest gap to U(0, 1] is that of chance; where `rand` gives 0 the time is 1."""
    t = VP.draw_times(count=50_000, generator=generator())
    assert torch.equal(t, 1 - torch.rand(50_000, generator=generator(), dtype=torch.float64))
    assert t.dtype == torch.float64
    assert 0 < t.min() <= t.max() <= 1
    expected = torch.arange(1, len(t) + 1, dtype=torch.float64) / len(t)
    assert (t.sort().values - expected).abs().max() < 1.95 / math.sqrt(len(t))  # one in a thousand
    assert torch.equal(FLOW.draw_times(count=50_000, generator=generator()), t)


# vp-continuous


def error_of_discrete(timesteps: int) -> float:
    """Largest difference of log ᾱ between `vp` with so many timesteps and this, at ten times."""
    found = 2 * vp(VpOptions(timesteps=timesteps)).signal((TENTHS * timesteps).round().long()).log()
    return float((found - VP.log_alpha_bar(TENTHS)).abs().max())


def test_it_is_the_limit_of_many_timesteps() -> None:
    """The difference to `vp` falls as 1/T: doubling T halves it, and T = 64,000 leaves 0.0011."""
    errors = [error_of_discrete(timesteps) for timesteps in (1000, 2000, 4000, 8000, 16_000)]
    for coarse, fine in itertools.pairwise(errors):
        assert coarse / fine == pytest.approx(2, abs=0.03)
    assert error_of_discrete(64_000) < 1.1e-3


@given(options, st.floats(0, 1))
def test_log_alpha_bar_is_the_integral_of_beta(chosen: VpContinuousOptions, time: float) -> None:
    """−∫ β by Simpson's rule, which is exact for a β that is linear in t."""

    def beta(t: float) -> float:
        return chosen.beta_start + (chosen.beta_end - chosen.beta_start) * t

    integral = time / 6 * (beta(0) + 4 * beta(time / 2) + beta(time))
    found = VpContinuous(chosen).log_alpha_bar(torch.tensor(time, dtype=torch.float64))
    assert float(found) == pytest.approx(-integral, rel=1e-12, abs=1e-300)


@given(options)
def test_variance_is_preserved_while_the_signal_falls(chosen: VpContinuousOptions) -> None:
    """a² + s² = 1 to the last digits of float64, strictly from x_0 itself towards noise."""
    schedule = VpContinuous(chosen)
    t = torch.linspace(0, 1, 1001, dtype=torch.float64)
    signal, noise = schedule.signal(t), schedule.noise(t)
    total = signal.square() + noise.square()
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-15)
    assert float(signal[0]) == 1
    assert float(noise[0]) == 0
    assert (signal.diff() < 0).all()
    assert (noise.diff() > 0).all()


def test_noise_is_accurate_where_it_is_small() -> None:
    """s(t) → √(b0 t) as t → 0; as 1 − ᾱ it would be 0 already at t = 1e-17."""
    t = torch.tensor([1e-17, 1e-15, 1e-13], dtype=torch.float64)
    torch.testing.assert_close(VP.noise(t), torch.sqrt(0.1 * t), rtol=1e-10, atol=0)


def test_everything_else_is_as_in_vp() -> None:
    """Eq. 3, the prior, and what the network sees: of T = 1000, the same number at t/T as at t."""
    t = torch.arange(1, 1001)
    discrete = vp(VpOptions(timesteps=1000)).network_time(t)
    torch.testing.assert_close(VP.network_time(t / 1000), discrete, rtol=1e-6, atol=0)
    x_t, raw = torch.randn(2, 11, 1, 2, 2)
    assert torch.equal(VP.estimate(x_t=x_t, raw=raw, t=TENTHS), x_t - raw)
    assert torch.equal(VP.prior(noise=raw), raw)
    assert torch.equal(VP.network_input(x_t=x_t, t=TENTHS), x_t)


# linear


def test_the_path_is_a_straight_line_and_f_its_velocity() -> None:
    """x_t = (1 − t) x_0 + t ε; F = ε − x_0 gives x_0, and at t = 0 the estimate is x_t."""
    x_0, eps = torch.randn(2, 11, 1, 2, 2, dtype=torch.float64)
    x_t = FLOW.diffuse(x_0=x_0, t=TENTHS, noise=eps)
    torch.testing.assert_close(x_t, torch.lerp(x_0, eps, TENTHS.reshape(-1, 1, 1, 1)))
    torch.testing.assert_close(FLOW.estimate(x_t=x_t, raw=eps - x_0, t=TENTHS), x_0)
    assert torch.equal(FLOW.estimate(x_t=x_t, raw=eps, t=0 * TENTHS), x_t)
    assert torch.equal(FLOW.prior(noise=eps), eps)


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.5, 0.6), (-1.2, 1.2)])
def test_logit_normal_times(mean: float, std: float) -> None:
    """The logit of t is normal with the mean and deviation that the options say."""
    flow = RectifiedFlow(RectifiedFlowOptions(times="logit-normal", mean=mean, std=std))
    t = flow.draw_times(count=100_000, generator=generator())
    assert 0 < float(t.min()) < float(t.max()) <= 1
    logit = t.logit()
    assert float(logit.mean()) == pytest.approx(mean, abs=0.02)
    assert float(logit.std()) == pytest.approx(std, abs=0.02)
    within = float(((logit - mean).abs() < std).double().mean())
    assert within == pytest.approx(math.erf(0.5**0.5), abs=0.01)


# karras


def test_the_time_is_sigma() -> None:
    """x_t = x_0 + σ ε, and samples start from σ_max ε."""
    x_0, eps = torch.randn(2, 5, 1, 2, 2, dtype=torch.float64)
    x_t = KARRAS.diffuse(x_0=x_0, t=SIGMA, noise=eps)
    torch.testing.assert_close(x_t, x_0 + SIGMA.reshape(-1, 1, 1, 1) * eps)
    assert torch.equal(KARRAS.prior(noise=eps), 80 * eps)
    assert KARRAS.last_time == 80


def test_training_times_are_log_normal() -> None:
    """Ln σ ~ N(−1.2, 1.2²) (table 1), cut at σ_max."""
    sigma = KARRAS.draw_times(count=100_000, generator=generator())
    assert sigma.dtype == torch.float64
    assert 0 < float(sigma.min()) < float(sigma.max()) <= 80
    assert float(sigma.log().mean()) == pytest.approx(-1.2, abs=0.02)
    assert float(sigma.log().std()) == pytest.approx(1.2, abs=0.02)
    cut = Karras(KarrasOptions(sigma_max=0.5)).draw_times(count=1000, generator=generator())
    assert float(cut.max()) == 0.5


def test_the_grid_is_edms() -> None:
    """Eq. 5 with ρ = 7; 18 steps are those that EDM prints for CIFAR-10."""
    grid = KARRAS.grid(steps=18)
    assert grid[0] == 80
    assert float(grid[-1]) == pytest.approx(0.002, rel=1e-9)
    # As `edm_sampler` of NVlabs/edm gives them.
    printed = torch.tensor([80.0, 57.586, 40.785, 28.375], dtype=torch.float64)
    torch.testing.assert_close(grid[:4], printed, rtol=1e-4, atol=0)
    assert Karras(KarrasOptions(sigma_max=33.3)).grid(steps=1).tolist() == [33.3]


@pytest.mark.parametrize("sigma_data", [0.5, 0.75])
def test_its_own_parametrization_is_edm(sigma_data: float) -> None:
    karras = Karras(KarrasOptions(sigma_data=sigma_data))
    other = edm(EdmOptions(sigma_data=sigma_data), schedule=karras)
    x_t, raw = torch.randn(2, 5, 1, 2, 2)
    torch.testing.assert_close(
        karras.estimate(x_t=x_t, raw=raw, t=SIGMA), other.estimate(x_t=x_t, raw=raw, t=SIGMA)
    )
    torch.testing.assert_close(
        karras.network_input(x_t=x_t, t=SIGMA), other.network_input(x_t=x_t, t=SIGMA)
    )
    torch.testing.assert_close(karras.network_time(SIGMA), other.network_time(SIGMA))


def test_sigma_must_rise() -> None:
    with pytest.raises(ValueError, match="σ must rise"):
        Karras(KarrasOptions(sigma_min=2.0, sigma_max=1.0))
