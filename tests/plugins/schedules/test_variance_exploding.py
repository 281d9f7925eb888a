"""The variance exploding schedule against its definition and the oracle."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dddm.interfaces.plugin import NoOptions
from dddm_metrics.l2 import SquaredL2
from dddm_schedules.options import VeOptions
from dddm_schedules.variance_exploding import VarianceExploding

SCHEDULE = VarianceExploding(VeOptions())
options = st.builds(
    lambda timesteps, sigma_min, ratio, sigma_data: VeOptions(
        timesteps=timesteps,
        sigma_min=sigma_min,
        sigma_max=sigma_min * ratio,
        sigma_data=sigma_data,
    ),
    st.integers(2, 2000),
    st.floats(1e-3, 1.0),
    st.floats(1.5, 1e5),
    st.floats(0.05, 2.0),
)
seeds = st.integers(0, 2**32)


def noise_of(seed: int, *shape: int) -> torch.Tensor:
    """N(0, I) in double precision."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_defaults_are_the_follow_up_papers() -> None:
    """σ goes from 0.01 to 50 over 1000 times."""
    assert SCHEDULE.last_time == 1000
    assert float(SCHEDULE.noise(torch.tensor(1))) == 0.01
    assert float(SCHEDULE.noise(torch.tensor(1000))) == pytest.approx(50, rel=1e-12)


@given(options)
def test_sigma_is_geometric(chosen: VeOptions) -> None:
    """The ratio of neighbours is one constant, and the ends are those that were asked for."""
    sigma = VarianceExploding(chosen).noise(torch.arange(1, chosen.timesteps + 1))
    ratio = (chosen.sigma_max / chosen.sigma_min) ** (1 / (chosen.timesteps - 1))
    torch.testing.assert_close(
        sigma[1:] / sigma[:-1], torch.full_like(sigma[1:], ratio), rtol=1e-12, atol=0
    )
    assert sigma[0] == chosen.sigma_min
    assert float(sigma[-1]) == pytest.approx(chosen.sigma_max, rel=1e-12)


@given(options, seeds)
def test_diffusion_adds_noise_to_the_image(chosen: VeOptions, seed: int) -> None:
    """x_t − x_0 is σ_t ε at every time, and nothing at t = 0."""
    schedule = VarianceExploding(chosen)
    x_0, noise = noise_of(seed, 2, 3, 1, 2, 2)
    t = torch.tensor([0, 1, chosen.timesteps])
    x_t = schedule.diffuse(x_0=x_0, t=t, noise=noise)
    assert torch.equal(x_t[0], x_0[0])
    torch.testing.assert_close(x_t - x_0, schedule.noise(t).reshape(-1, 1, 1, 1) * noise)


@given(options, seeds, st.floats(-1e6, 1e6))
def test_at_the_first_time_the_network_has_no_say(
    chosen: VeOptions, seed: int, scale: float
) -> None:
    """κ(σ_min) = 1: f = x_t bit for bit, for any F."""
    schedule = VarianceExploding(chosen)
    x_t, raw = noise_of(seed, 2, 3, 1, 2, 2).float()
    t = torch.ones(3, dtype=torch.int64)
    assert torch.equal(schedule.kappa(t), torch.ones(3, dtype=torch.float64))
    assert torch.equal(schedule.estimate(x_t=x_t, raw=scale * raw, t=t), x_t)


@given(options, seeds)
def test_estimate_is_the_mixture_of_its_definition(chosen: VeOptions, seed: int) -> None:
    """The estimate is κ x_t + (1 − κ) F with κ = σ_min/σ_t."""
    schedule = VarianceExploding(chosen)
    x_t, raw = noise_of(seed, 2, 3, 1, 2, 2)
    t = torch.tensor([1, (1 + chosen.timesteps) // 2, chosen.timesteps])
    kappa = (chosen.sigma_min / schedule.noise(t)).reshape(-1, 1, 1, 1)
    torch.testing.assert_close(
        schedule.estimate(x_t=x_t, raw=raw, t=t), kappa * x_t + (1 - kappa) * raw
    )


@given(options, seeds)
def test_prior_is_noise_of_the_largest_sigma(chosen: VeOptions, seed: int) -> None:
    """Samples start from σ_max ε, which is where a black image would end."""
    schedule = VarianceExploding(chosen)
    noise = noise_of(seed, 3, 1, 2, 2)
    t = torch.full((3,), chosen.timesteps)
    ended = schedule.diffuse(x_0=torch.zeros_like(noise), t=t, noise=noise)
    torch.testing.assert_close(schedule.prior(noise=noise), ended)


@given(options, seeds, st.data())
def test_the_network_sees_about_unit_variance(
    chosen: VeOptions, seed: int, data: st.DataObject
) -> None:
    """Images of standard deviation σ_data become inputs of variance 1 at every time."""
    schedule = VarianceExploding(chosen)
    x_0, noise = noise_of(seed, 2, 400, 1, 4, 4)
    t = torch.full((400,), data.draw(st.integers(1, chosen.timesteps)))
    x_t = schedule.diffuse(x_0=chosen.sigma_data * x_0, t=t, noise=noise)
    seen = schedule.network_input(x_t=x_t, t=t)
    assert abs(float(seen.var()) - 1) < 6 * math.sqrt(2 / seen.numel())


def test_network_time_is_affine_in_the_logarithm_of_sigma() -> None:
    """Equal steps of ln σ are equal steps of what the network sees, up to 1000."""
    t = torch.arange(1, 1001)
    seen = SCHEDULE.network_time(t).double()
    log_sigma = SCHEDULE.noise(t).log()
    slope = (seen[-1] - seen[0]) / (log_sigma[-1] - log_sigma[0])
    torch.testing.assert_close(
        seen, seen[0] + slope * (log_sigma - log_sigma[0]), rtol=1e-6, atol=1e-3
    )
    assert seen[-1] == 1000


def test_sigma_that_does_not_rise_is_refused() -> None:
    """Equal ends would make every time the same."""
    with pytest.raises(ValueError, match="σ must rise"):
        VarianceExploding(VeOptions(sigma_min=2.0, sigma_max=2.0))


def test_a_time_that_is_no_integer_is_refused() -> None:
    """A t of 3.7 is not cut down to 3 silently."""
    with pytest.raises(TypeError, match="integers"):
        SCHEDULE.noise(torch.tensor([3.7]))


@settings(max_examples=25)
@given(st.floats(0.05, 4.0), st.integers(2, 1000), seeds)
def test_loss_of_the_oracle(variance: float, time: int, seed: int) -> None:
    """F can express the best estimate of x_0 ~ N(0, v), v x_t/(v + σ²), with loss v σ²/(v + σ²).

    Its Monte Carlo loss is that closed form within five standard errors.
    """
    images, shape = 1000, (1, 8, 8)
    x_0, noise = noise_of(seed, 2, images, *shape)
    x_0 = math.sqrt(variance) * x_0
    t = torch.full((images,), time)
    x_t = SCHEDULE.diffuse(x_0=x_0, t=t, noise=noise)
    sigma = float(SCHEDULE.noise(torch.tensor(time)))
    kappa = 0.01 / sigma
    best = variance / (variance + sigma**2) * x_t
    estimate = SCHEDULE.estimate(x_t=x_t, raw=(best - kappa * x_t) / (1 - kappa), t=t)
    loss = float(SquaredL2(NoOptions()).distance(estimate=estimate, target=x_0).double().mean())
    expected = variance * sigma**2 / (variance + sigma**2)
    assert abs(loss - expected) < 5 * expected * math.sqrt(2 / x_0.numel()) + 1e-6 * variance


@pytest.mark.parametrize("variance", [0.05, 0.25, 4.0])
def test_at_the_first_time_the_estimate_costs_next_to_nothing(variance: float) -> None:
    """There f = x_t has loss σ_min², the oracle v σ²/(v + σ²): the difference is below σ_min⁴/v."""
    sigma = 0.01
    oracle = variance * sigma**2 / (variance + sigma**2)
    x_0, noise = noise_of(3, 2, 1000, 1, 8, 8)
    x_0 = math.sqrt(variance) * x_0
    t = torch.ones(1000, dtype=torch.int64)
    x_t = SCHEDULE.diffuse(x_0=x_0, t=t, noise=noise)
    loss = float((SCHEDULE.estimate(x_t=x_t, raw=noise, t=t) - x_0).square().mean())
    assert loss == pytest.approx(sigma**2, rel=0.03)
    assert 0 < sigma**2 - oracle < sigma**4 / variance
