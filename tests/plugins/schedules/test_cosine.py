"""The cosine schedule against its definition."""

import math

import pytest
import torch

from dddm_schedules.cosine import cosine, cosine_beta
from dddm_schedules.options import CosineOptions


@pytest.mark.parametrize("timesteps", [50, 1000])
def test_alpha_bar_is_the_cosine_until_beta_is_clipped(timesteps: int) -> None:
    """ᾱ_t = f(t)/f(0) at every t up to the first β that is held at 0.999."""

    def f(t: int) -> float:
        return math.cos((t / timesteps + 0.008) / 1.008 * math.pi / 2) ** 2

    schedule = cosine(CosineOptions(timesteps=timesteps))
    first_clipped = int((cosine_beta(timesteps=timesteps, offset=0.008) >= 0.999).nonzero()[0]) + 1
    assert first_clipped >= timesteps - 1
    for t in range(first_clipped):
        alpha_bar = float(schedule.signal(torch.tensor(t))) ** 2
        assert alpha_bar == pytest.approx(f(t) / f(0), rel=1e-9, abs=0)


def test_beta_is_clipped() -> None:
    """No β exceeds 0.999, so that some signal is left at T."""
    beta = cosine_beta(timesteps=1000, offset=0.008)
    assert beta.max() == 0.999
    assert float(cosine(CosineOptions()).signal(torch.tensor(1000))) > 0
