"""The moving average of the weights."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys import ToyBackbone

from dddm.core.ema import MovingAverage, decay_at


@given(values=st.lists(st.floats(-3, 3), min_size=1, max_size=12), decay=st.floats(0, 0.999))
def test_it_is_the_weighted_sum_of_the_past(values: list[float], decay: float) -> None:
    """After k updates: μᵏ θ_0 + (1−μ) Σ μ^(k−1−j) θ_j."""
    backbone = ToyBackbone()
    first = backbone.weights.detach().double().clone()
    ema = MovingAverage(backbone, decay=decay, warmup=False)
    for k, value in enumerate(values):
        backbone.weights.data.fill_(value)
        ema.update(backbone, update=k)
    k = len(values)
    expected = decay**k * first + (1 - decay) * sum(
        decay ** (k - 1 - j) * value for j, value in enumerate(values)
    )
    averaged = dict(ema.backbone.named_parameters())["weights"].double()
    torch.testing.assert_close(averaged, expected, atol=1e-5, rtol=1e-5)


def test_warmup_starts_at_a_tenth_and_ends_at_the_decay() -> None:
    """min(μ, (1+k)/(10+k)): 0.1 at first, never falling, μ in the end."""
    decays = [decay_at(update=k, decay=0.99, warmup=True) for k in range(2000)]
    assert decays[0] == pytest.approx(0.1)
    assert decays == sorted(decays)
    assert decays[-1] == 0.99
    assert decay_at(update=0, decay=0.99, warmup=False) == 0.99


def test_it_is_apart_from_the_network() -> None:
    """The copy needs no gradient, stays in eval mode, and follows buffers as they are."""
    backbone = ToyBackbone().train()
    ema = MovingAverage(backbone, decay=0.5, warmup=False)
    backbone.get_buffer("seen").fill_(7)
    ema.update(backbone, update=0)
    assert ema.backbone.get_buffer("seen") == 7
    assert not ema.backbone.training
    assert backbone.training
    assert not any(p.requires_grad for p in ema.backbone.parameters())
    assert all(p.requires_grad for p in backbone.parameters())
