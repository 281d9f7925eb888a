"""The paper's schedule against what is known of it in closed form."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch

from dddm_schedules.linear import linear, linear_beta
from dddm_schedules.options import LinearOptions


def test_a_thousand_times_are_ddpm() -> None:
    """At T = 1000, ᾱ is DDPM's: the product of 1 − β for β from 1e-4 to 0.02."""
    expected = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    signal = linear(LinearOptions()).signal(torch.arange(1, 1001))
    np.testing.assert_allclose(signal.square().numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("timesteps", "last"), [(1000, 4.04e-5), (2000, 4.18e-5), (4000, 4.25e-5), (8000, 4.28e-5)]
)
def test_what_is_left_of_the_image_at_the_last_time(timesteps: int, last: float) -> None:
    """ᾱ_T is about 4e-5 for every T of the paper's table 3."""
    schedule = linear(LinearOptions(timesteps=timesteps))
    assert float(schedule.signal(torch.tensor(timesteps))) ** 2 == pytest.approx(last, abs=5e-8)


@pytest.mark.parametrize("timesteps", [25, 1000, 8000])
def test_alpha_bar_is_the_exponential_of_a_sum(timesteps: int) -> None:
    """ᾱ_t = exp Σ log1p(−β_k) in float64."""
    schedule = linear(LinearOptions(timesteps=timesteps))
    beta = linear_beta(timesteps=timesteps, beta_start=0.1, beta_end=20.0)
    expected = torch.log1p(-beta).cumsum(0).exp()
    torch.testing.assert_close(
        schedule.signal(torch.arange(1, timesteps + 1)).square(), expected, rtol=1e-13, atol=0
    )


def test_noise_is_accurate_where_it_is_small() -> None:
    """√(1−ᾱ_t) agrees with 50-digit arithmetic to 1e-14 at the first times of T = 8000.

    Computed as 1 − ᾱ it would be off by 1e-12 there.
    """
    timesteps = 8000
    noise = linear(LinearOptions(timesteps=timesteps)).noise(torch.arange(21))
    betas = linear_beta(timesteps=timesteps, beta_start=0.1, beta_end=20.0)[:20].tolist()
    with localcontext() as context:
        context.prec = 50
        alpha_bar = Decimal(1)
        for t, beta in enumerate(betas, start=1):
            alpha_bar *= 1 - Decimal(beta)
            expected = float((1 - alpha_bar).sqrt())
            assert float(noise[t]) == pytest.approx(expected, rel=1e-14, abs=0)


def test_a_beta_of_one_is_refused() -> None:
    """With too few timesteps no signal would be left; that is an error, not a NaN."""
    with pytest.raises(ValueError, match="below 1"):
        linear(LinearOptions(timesteps=10))
