"""EDM's variance exploding path."""

import pytest
import torch

from dddm_parametrizations.edm import edm
from dddm_parametrizations.options import EdmOptions
from dddm_schedules.karras import Karras
from dddm_schedules.options import KarrasOptions, describe_karras

SIGMA = torch.tensor([0.002, 0.1, 0.5, 7.0, 80.0], dtype=torch.float64)


def test_the_time_is_sigma() -> None:
    """x_t = x_0 + σ ε, and samples start from σ_max ε."""
    karras = Karras(KarrasOptions())
    x_0, eps = torch.randn(2, 5, 1, 2, 2, dtype=torch.float64)
    x_t = karras.diffuse(x_0=x_0, t=SIGMA, noise=eps)
    torch.testing.assert_close(x_t, x_0 + SIGMA.reshape(-1, 1, 1, 1) * eps)
    assert torch.equal(karras.prior(noise=eps), 80 * eps)
    assert karras.last_time == 80


def test_training_times_are_log_normal() -> None:
    """Drawn so that ln σ ~ N(−1.2, 1.2²) (table 1), cut at σ_max."""
    generator = torch.Generator().manual_seed(0)
    sigma = Karras(KarrasOptions()).draw_times(count=100_000, generator=generator)
    assert sigma.dtype == torch.float64
    assert 0 < float(sigma.min()) < float(sigma.max()) <= 80
    assert float(sigma.log().mean()) == pytest.approx(-1.2, abs=0.02)
    assert float(sigma.log().std()) == pytest.approx(1.2, abs=0.02)
    short = Karras(KarrasOptions(sigma_max=0.5))
    cut = short.draw_times(count=1000, generator=generator)
    assert float(cut.max()) == 0.5


def test_the_grid_is_edms() -> None:
    """Eq. 5 with ρ = 7; 18 steps are those that EDM prints for CIFAR-10."""
    grid = Karras(KarrasOptions()).grid(steps=18)
    assert grid[0] == 80
    assert float(grid[-1]) == pytest.approx(0.002, rel=1e-9)
    i = torch.arange(18, dtype=torch.float64)
    expected = (80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    torch.testing.assert_close(grid, expected)
    # As `edm_sampler` of NVlabs/edm gives them.
    printed = torch.tensor([80.0, 57.586, 40.785, 28.375], dtype=torch.float64)
    torch.testing.assert_close(grid[:4], printed, rtol=1e-4, atol=0)
    assert Karras(KarrasOptions(sigma_max=33.3)).grid(steps=1).tolist() == [33.3]


@pytest.mark.parametrize("sigma_data", [0.5, 0.75])
def test_its_own_parametrization_is_edm(sigma_data: float) -> None:
    """Estimate, network input and time are those of the parametrization `edm`."""
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


def test_integers_are_refused() -> None:
    """A time of a discrete schedule must not pass for a σ."""
    with pytest.raises(TypeError, match="real numbers"):
        Karras(KarrasOptions()).noise(torch.tensor([500]))


def test_sigma_must_rise() -> None:
    """As `check_sigma` says beforehand."""
    with pytest.raises(ValueError, match="σ must rise"):
        Karras(KarrasOptions(sigma_min=2.0, sigma_max=1.0))


def test_its_facts() -> None:
    """Real times, up to σ_max."""
    facts = describe_karras(KarrasOptions(sigma_max=50.0))
    assert facts.continuous
    assert facts.last_time == 50
