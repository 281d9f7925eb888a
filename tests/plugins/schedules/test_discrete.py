"""`vp`, `vp-cosine` and `ve` against their definitions."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dddm_schedules.discrete import (
    DeviceTable,
    Discrete,
    VarianceExploding,
    VariancePreserving,
    log_alpha_bar,
    vp,
    vp_beta,
    vp_cosine,
    vp_cosine_beta,
)
from dddm_schedules.options import VeOptions, VpCosineOptions, VpOptions

VP, VE = vp(VpOptions()), VarianceExploding(VeOptions())
vp_schedules = st.builds(
    lambda timesteps, start, end: vp(
        VpOptions(timesteps=timesteps, beta_start=start, beta_end=end)
    ),
    st.integers(25, 2000),
    st.floats(0.01, 2.0),
    st.floats(2.0, 24.0),
)
cosine_schedules = st.builds(
    lambda timesteps, offset: vp_cosine(VpCosineOptions(timesteps=timesteps, offset=offset)),
    st.integers(1, 2000),
    st.floats(0.001, 0.5),
)
preserving = vp_schedules | cosine_schedules
ve_options = st.builds(
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


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# Times


@given(preserving | st.builds(VarianceExploding, ve_options), st.data())
def test_grid_falls_evenly_from_the_last_time(schedule: Discrete, data: st.DataObject) -> None:
    last = schedule.last_time
    steps = data.draw(st.integers(1, last))
    grid = schedule.grid(steps=steps)
    gaps = -torch.cat([grid, torch.zeros(1, dtype=torch.int64)]).diff()
    assert grid.dtype == torch.int64
    assert len(grid) == steps
    assert grid[0] == last
    assert gaps.min() >= 1
    assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_grid_refuses_steps_it_has_no_times_for(steps: int) -> None:
    with pytest.raises(ValueError, match=rf"{steps} steps .* 1…1000"):
        VP.grid(steps=steps)


def test_times_are_uniform_from_one_to_the_last() -> None:
    """Draws reach both 1 and T, never 0 or T + 1, and come from the generator alone."""
    schedule = vp(VpOptions(timesteps=25))
    t = schedule.draw_times(count=50_000, generator=torch.Generator().manual_seed(1))
    counts = t.bincount(minlength=27)
    assert t.dtype == torch.int64
    assert counts[0] == 0
    assert counts[26] == 0
    chi_squared = ((counts[1:26] - 2000).square() / 2000).sum()
    assert chi_squared < 52.6  # 24 degrees of freedom, one in a thousand
    again = schedule.draw_times(count=50_000, generator=torch.Generator().manual_seed(1))
    assert torch.equal(t, again)


@given(preserving)
def test_network_sees_times_up_to_1000(schedule: VariancePreserving) -> None:
    seen = schedule.network_time(torch.arange(1, schedule.last_time + 1))
    assert seen.dtype == torch.float32
    assert seen[-1] == 1000
    assert seen[0] == pytest.approx(1000 / schedule.last_time)
    assert (seen.diff() > 0).all()


@pytest.mark.parametrize("schedule", [VP, VE])
def test_a_time_that_is_not_an_integer_is_refused(schedule: Discrete) -> None:
    with pytest.raises(TypeError, match="integer"):
        schedule.noise(torch.tensor([3.7]))


def test_each_device_is_sent_one_copy_of_a_table() -> None:
    table = DeviceTable(torch.tensor([1.0, 2.0, 3.0]))
    assert torch.equal(table.at(torch.tensor([[2, 0]])), torch.tensor([[3.0, 1.0]]))
    index = torch.zeros(2, dtype=torch.int64, device="meta")
    assert table.at(index).device.type == "meta"
    copy = table._copies[index.device]
    table.at(index)
    assert table._copies[index.device] is copy


# Variance preserving


@given(preserving, seeds)
def test_variance_is_preserved_while_the_signal_falls(
    schedule: VariancePreserving, seed: int
) -> None:
    """a² + s² = 1 to the last digits of float64, strictly from x_0 itself towards noise."""
    t = torch.arange(schedule.last_time + 1)
    signal, noise = schedule.signal(t), schedule.noise(t)
    total = signal.square() + noise.square()
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-15)
    assert (signal.diff() < 0).all()
    assert (noise.diff() > 0).all()
    x_0, eps = normal(seed, 2, 3, 1, 2, 2).float()
    zero = torch.zeros(3, dtype=torch.int64)
    assert torch.equal(schedule.diffuse(x_0=x_0, t=zero, noise=eps), x_0)


@given(st.lists(st.floats(1e-6, 0.999), min_size=1, max_size=40))
def test_table_is_the_product_of_one_minus_beta(beta: list[float]) -> None:
    table = log_alpha_bar(torch.tensor(beta, dtype=torch.float64))
    product = 1.0
    assert table[0] == 0
    for entry, one_beta in zip(table[1:], beta, strict=True):
        product *= 1 - one_beta
        assert float(entry.exp()) == pytest.approx(product, rel=1e-12, abs=0)


def test_eq_3() -> None:
    """F = x_t − x_0 gives x_0; samples start from the noise, and the network sees x_t itself."""
    x_0, noise = torch.randn(2, 4, 1, 2, 2, dtype=torch.float64)
    t = torch.tensor([1, 10, 500, 1000])
    x_t = VP.diffuse(x_0=x_0, t=t, noise=noise)
    torch.testing.assert_close(VP.estimate(x_t=x_t, raw=x_t - x_0, t=t), x_0)
    assert torch.equal(VP.prior(noise=noise), noise)
    assert torch.equal(VP.network_input(x_t=noise, t=t), noise)


@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_coefficients_are_float64_of_the_shape_of_t(shape: tuple[int, ...]) -> None:
    t = torch.full(shape, 7)
    for coefficient in (VP.signal(t), VP.noise(t)):
        assert coefficient.shape == shape
        assert coefficient.dtype == torch.float64


def test_a_thousand_times_are_ddpm() -> None:
    """At T = 1000, ᾱ is DDPM's: the product of 1 − β for β from 1e-4 to 0.02."""
    expected = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    signal = VP.signal(torch.arange(1, 1001))
    np.testing.assert_allclose(signal.square().numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("timesteps", "last"), [(1000, 4.04e-5), (2000, 4.18e-5), (4000, 4.25e-5), (8000, 4.28e-5)]
)
def test_what_is_left_of_the_image_at_the_last_time(timesteps: int, last: float) -> None:
    """ᾱ_T is about 4e-5 for every T of the paper's table 3."""
    schedule = vp(VpOptions(timesteps=timesteps))
    assert float(schedule.signal(torch.tensor(timesteps))) ** 2 == pytest.approx(last, abs=5e-8)


def test_noise_is_accurate_where_it_is_small() -> None:
    """√(1−ᾱ_t) agrees with 50-digit arithmetic to 1e-14; from 1 − ᾱ it would be off by 1e-12."""
    options = VpOptions(timesteps=8000)
    noise = vp(options).noise(torch.arange(21))
    with localcontext() as context:
        context.prec = 50
        alpha_bar = Decimal(1)
        for t, beta in enumerate(vp_beta(options)[:20].tolist(), start=1):
            alpha_bar *= 1 - Decimal(beta)
            expected = float((1 - alpha_bar).sqrt())
            assert float(noise[t]) == pytest.approx(expected, rel=1e-14, abs=0)


def test_a_beta_of_one_is_refused() -> None:
    """With too few timesteps no signal would be left; that is an error, not a NaN."""
    with pytest.raises(ValueError, match="below 1"):
        vp(VpOptions(timesteps=10))


@pytest.mark.parametrize("timesteps", [50, 1000])
def test_alpha_bar_is_the_cosine_until_beta_is_clipped(timesteps: int) -> None:
    """ᾱ_t = f(t)/f(0) up to the first β that is held at 0.999, so that some signal is left."""

    def f(t: int) -> float:
        return math.cos((t / timesteps + 0.008) / 1.008 * math.pi / 2) ** 2

    options = VpCosineOptions(timesteps=timesteps)
    schedule, beta = vp_cosine(options), vp_cosine_beta(options)
    first_clipped = int((beta >= 0.999).nonzero()[0]) + 1
    assert beta.max() == 0.999
    assert first_clipped >= timesteps - 1
    assert float(schedule.signal(torch.tensor(timesteps))) > 0
    for t in range(first_clipped):
        alpha_bar = float(schedule.signal(torch.tensor(t))) ** 2
        assert alpha_bar == pytest.approx(f(t) / f(0), rel=1e-9, abs=0)


# Variance exploding


@given(ve_options)
def test_sigma_is_geometric(chosen: VeOptions) -> None:
    """The ratio of neighbours is constant, and the ends are those of the options."""
    sigma = VarianceExploding(chosen).noise(torch.arange(1, chosen.timesteps + 1))
    ratio = (chosen.sigma_max / chosen.sigma_min) ** (1 / (chosen.timesteps - 1))
    torch.testing.assert_close(
        sigma[1:] / sigma[:-1], torch.full_like(sigma[1:], ratio), rtol=1e-12, atol=0
    )
    assert sigma[0] == chosen.sigma_min
    assert float(sigma[-1]) == pytest.approx(chosen.sigma_max, rel=1e-12)


@given(ve_options, seeds)
def test_estimate_and_prior_of_ve(chosen: VeOptions, seed: int) -> None:
    """x_t = x_0 + σ ε, f = κ x_t + (1 − κ) F with κ = σ_min/σ, and x_T = σ_max ε."""
    schedule = VarianceExploding(chosen)
    x_0, noise, raw = normal(seed, 3, 3, 1, 2, 2)
    t = torch.tensor([1, (1 + chosen.timesteps) // 2, chosen.timesteps])
    sigma = schedule.noise(t).reshape(-1, 1, 1, 1)
    x_t = schedule.diffuse(x_0=x_0, t=t, noise=noise)
    torch.testing.assert_close(x_t, x_0 + sigma * noise)
    kappa = chosen.sigma_min / sigma
    torch.testing.assert_close(
        schedule.estimate(x_t=x_t, raw=raw, t=t), kappa * x_t + (1 - kappa) * raw
    )
    torch.testing.assert_close(schedule.prior(noise=noise)[2], (sigma * noise)[2])
    assert torch.equal(schedule.diffuse(x_0=x_0, t=0 * t, noise=noise), x_0)


@given(ve_options, seeds, st.floats(-1e6, 1e6))
def test_at_the_first_time_the_estimate_is_x_t(chosen: VeOptions, seed: int, scale: float) -> None:
    """κ(σ_min) = 1: f = x_t bit for bit, for any F."""
    schedule = VarianceExploding(chosen)
    x_t, raw = normal(seed, 2, 3, 1, 2, 2).float()
    t = torch.ones(3, dtype=torch.int64)
    assert torch.equal(schedule.kappa(t), torch.ones(3, dtype=torch.float64))
    assert torch.equal(schedule.estimate(x_t=x_t, raw=scale * raw, t=t), x_t)


@given(ve_options, seeds, st.data())
def test_the_network_sees_about_unit_variance(
    chosen: VeOptions, seed: int, data: st.DataObject
) -> None:
    """Images of standard deviation σ_data become inputs of variance 1 at every time."""
    schedule = VarianceExploding(chosen)
    x_0, noise = normal(seed, 2, 400, 1, 4, 4)
    t = torch.full((400,), data.draw(st.integers(1, chosen.timesteps)))
    x_t = schedule.diffuse(x_0=chosen.sigma_data * x_0, t=t, noise=noise)
    seen = schedule.network_input(x_t=x_t, t=t)
    assert abs(float(seen.var()) - 1) < 6 * math.sqrt(2 / seen.numel())


def test_sigma_that_does_not_rise_is_refused() -> None:
    with pytest.raises(ValueError, match="σ must rise"):
        VarianceExploding(VeOptions(sigma_min=2.0, sigma_max=2.0))
