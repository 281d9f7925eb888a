"""The variance preserving schedule in continuous time."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dddm_schedules.continuous import Continuous
from dddm_schedules.linear import linear
from dddm_schedules.options import ContinuousOptions, LinearOptions

SCHEDULE = Continuous(ContinuousOptions())
options = st.builds(
    lambda start, end: ContinuousOptions(beta_start=start, beta_end=end),
    st.floats(0.01, 2.0),
    st.floats(2.0, 24.0),
)
times = st.lists(st.floats(0, 1), min_size=1, max_size=20)
FRACTIONS = torch.arange(1, 11, dtype=torch.float64) / 10


def error_of_discrete(timesteps: int) -> float:
    """Largest difference of log ᾱ between `vp` with so many timesteps and this, at ten times."""
    discrete = linear(LinearOptions(timesteps=timesteps))
    t = (FRACTIONS * timesteps).round().long()
    found = 2 * discrete.signal(t).log()
    return float((found - SCHEDULE.log_alpha_bar(FRACTIONS)).abs().max())


def test_it_is_the_limit_of_many_timesteps() -> None:
    """The difference to `vp` falls as 1/T: doubling T halves it, and T = 64,000 leaves 0.0011."""
    errors = [error_of_discrete(timesteps) for timesteps in (1000, 2000, 4000, 8000, 16_000)]
    for coarse, fine in itertools.pairwise(errors):
        assert coarse / fine == pytest.approx(2, abs=0.03)
    assert error_of_discrete(64_000) < 1.1e-3


@given(options, st.floats(0, 1))
def test_log_alpha_bar_is_the_integral_of_beta(chosen: ContinuousOptions, time: float) -> None:
    """−∫ β by Simpson's rule, which is exact for a β that is linear in t."""

    def beta(t: float) -> float:
        return chosen.beta_start + (chosen.beta_end - chosen.beta_start) * t

    integral = time / 6 * (beta(0) + 4 * beta(time / 2) + beta(time))
    found = Continuous(chosen).log_alpha_bar(torch.tensor(time, dtype=torch.float64))
    assert float(found) == pytest.approx(-integral, rel=1e-12, abs=1e-300)


def test_what_is_left_of_the_image_at_the_last_time() -> None:
    """ᾱ(1) = exp(−10.05), 4.3e-5, where the row of the paper's four T goes to."""
    signal = float(SCHEDULE.signal(torch.tensor(1.0)))
    assert signal**2 == pytest.approx(math.exp(-10.05), rel=1e-12)
    assert signal**2 == pytest.approx(4.32e-5, abs=5e-8)


@given(options, times)
def test_variance_is_preserved(chosen: ContinuousOptions, at: list[float]) -> None:
    """a² + s² = 1 at all times, to the last digits of float64."""
    schedule, t = Continuous(chosen), torch.tensor(at, dtype=torch.float64)
    total = schedule.signal(t).square() + schedule.noise(t).square()
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-15)


@given(options)
def test_signal_falls_and_noise_rises(chosen: ContinuousOptions) -> None:
    """Both are strictly monotonic from t = 0, where x_t is x_0."""
    schedule = Continuous(chosen)
    t = torch.linspace(0, 1, 1001, dtype=torch.float64)
    assert schedule.signal(t)[0] == 1
    assert schedule.noise(t)[0] == 0
    assert (schedule.signal(t).diff() < 0).all()
    assert (schedule.noise(t).diff() > 0).all()


@given(options, st.integers(0, 2**32))
def test_diffusion_starts_at_the_image(chosen: ContinuousOptions, seed: int) -> None:
    """x_0 diffused to t = 0 is x_0, bit for bit, whatever the noise."""
    x_0, noise = torch.randn(2, 3, 1, 2, 2, generator=torch.Generator().manual_seed(seed))
    t = torch.zeros(3, dtype=torch.float64)
    assert torch.equal(Continuous(chosen).diffuse(x_0=x_0, t=t, noise=noise), x_0)


def test_noise_is_accurate_where_it_is_small() -> None:
    """s(t) → √(b0 t) as t → 0; as 1 − ᾱ it would be 0 already at t = 1e-17."""
    t = torch.tensor([1e-17, 1e-15, 1e-13], dtype=torch.float64)
    torch.testing.assert_close(SCHEDULE.noise(t), torch.sqrt(0.1 * t), rtol=1e-10, atol=0)


def test_times_are_uniform_over_zero_to_one() -> None:
    """float64, above 0 and at most 1, and the largest gap to U(0, 1] is that of chance."""
    t = SCHEDULE.draw_times(count=50_000, generator=torch.Generator().manual_seed(1))
    assert t.dtype == torch.float64
    assert t.min() > 0
    assert t.max() <= 1
    expected = torch.arange(1, len(t) + 1, dtype=torch.float64) / len(t)
    assert (t.sort().values - expected).abs().max() < 1.95 / math.sqrt(len(t))  # one in a thousand


def test_a_time_of_zero_is_never_drawn() -> None:
    """Where `rand` gives 0 the time is 1; it never gives 1, so no time is 0."""
    generator = torch.Generator().manual_seed(7)
    uniform = torch.rand(100, generator=generator, dtype=torch.float64)
    drawn = SCHEDULE.draw_times(count=100, generator=torch.Generator().manual_seed(7))
    assert torch.equal(drawn, 1 - uniform)


@given(st.integers(1, 3000))
def test_grid_falls_evenly_for_any_number_of_steps(steps: int) -> None:
    """There is no largest number of steps: 1 = t_1 > … > t_s > 0, with equal gaps."""
    grid = SCHEDULE.grid(steps=steps)
    assert grid.dtype == torch.float64
    assert len(grid) == steps
    assert grid[0] == SCHEDULE.last_time
    gaps = -torch.cat([grid, torch.zeros(1, dtype=torch.float64)]).diff()
    torch.testing.assert_close(gaps, torch.full_like(gaps, 1 / steps), rtol=1e-9, atol=0)


def test_grid_of_no_steps_is_refused() -> None:
    """There must be at least one."""
    with pytest.raises(ValueError, match="at least 1"):
        SCHEDULE.grid(steps=0)


def test_the_network_sees_what_it_sees_of_a_discrete_schedule() -> None:
    """A network trained on `vp` with T = 1000 sees the same number at t/T as at t."""
    t = torch.arange(1, 1001)
    discrete = linear(LinearOptions(timesteps=1000)).network_time(t)
    torch.testing.assert_close(SCHEDULE.network_time(t / 1000), discrete, rtol=1e-6, atol=0)
    assert SCHEDULE.network_time(torch.tensor([1.0], dtype=torch.float64)).item() == 1000


def test_estimate_prior_and_network_input_are_those_of_vp() -> None:
    """Eq. 3 holds, samples start from the noise itself, and the network sees x_t itself."""
    x_t, raw = torch.randn(2, 2, 1, 2, 2)
    t = torch.tensor([0.3, 1.0], dtype=torch.float64)
    assert torch.equal(SCHEDULE.estimate(x_t=x_t, raw=raw, t=t), x_t - raw)
    assert torch.equal(SCHEDULE.prior(noise=raw), raw)
    assert torch.equal(SCHEDULE.network_input(x_t=x_t, t=t), x_t)


def test_an_integer_time_is_refused() -> None:
    """500, a time of a discrete schedule, does not pass for one here."""
    with pytest.raises(TypeError, match="real numbers"):
        SCHEDULE.signal(torch.tensor([500]))
