"""The linear path."""

import math

import pytest
import torch

from dddm_schedules.flow import Flow
from dddm_schedules.options import FlowOptions, describe_unit

T = torch.linspace(0, 1, 11, dtype=torch.float64)


def test_the_path_is_a_straight_line() -> None:
    """x_t = (1 − t) x_0 + t ε, from the image at 0 to the noise at 1."""
    flow = Flow(FlowOptions())
    assert torch.equal(flow.signal(T), 1 - T)
    assert torch.equal(flow.noise(T), T)
    x_0, eps = torch.randn(2, 11, 1, 2, 2, dtype=torch.float64)
    x_t = flow.diffuse(x_0=x_0, t=T, noise=eps)
    torch.testing.assert_close(x_t, torch.lerp(x_0, eps, T.reshape(-1, 1, 1, 1)))
    assert torch.equal(flow.prior(noise=eps), eps)


def test_the_estimate_is_that_of_the_velocity() -> None:
    """With F = ε − x_0 it is x_0 at every time, and x_t itself where there is no noise."""
    flow = Flow(FlowOptions())
    x_0, eps = torch.randn(2, 11, 1, 2, 2, dtype=torch.float64)
    x_t = flow.diffuse(x_0=x_0, t=T, noise=eps)
    torch.testing.assert_close(flow.estimate(x_t=x_t, raw=eps - x_0, t=T), x_0)
    assert torch.equal(flow.estimate(x_t=x_t, raw=eps, t=0 * T), x_t)


def drawn(options: FlowOptions) -> torch.Tensor:
    return Flow(options).draw_times(count=100_000, generator=torch.Generator().manual_seed(0))


def test_uniform_times() -> None:
    """Mean 1/2 and variance 1/12, in (0, 1], never 0."""
    t = drawn(FlowOptions())
    assert t.dtype == torch.float64
    assert 0 < float(t.min()) <= float(t.max()) <= 1
    assert float(t.mean()) == pytest.approx(0.5, abs=0.005)
    assert float(t.var()) == pytest.approx(1 / 12, abs=0.002)


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.5, 0.6), (-1.2, 1.2)])
def test_logit_normal_times(mean: float, std: float) -> None:
    """The logit of t is normal with the mean and deviation that the options say."""
    t = drawn(FlowOptions(times="logit-normal", mean=mean, std=std))
    assert 0 < float(t.min()) < float(t.max()) <= 1
    logit = t.logit()
    assert float(logit.mean()) == pytest.approx(mean, abs=0.02)
    assert float(logit.std()) == pytest.approx(std, abs=0.02)
    within = float(((logit - mean).abs() < std).double().mean())
    assert within == pytest.approx(math.erf(0.5**0.5), abs=0.01)


def test_the_grid_is_even() -> None:
    """From T down; at least one step."""
    flow = Flow(FlowOptions())
    assert flow.grid(steps=4).tolist() == [1.0, 0.75, 0.5, 0.25]
    with pytest.raises(ValueError, match="at least 1"):
        flow.grid(steps=0)


def test_integers_are_refused() -> None:
    """A time of a discrete schedule must not pass for one of this."""
    with pytest.raises(TypeError, match="real numbers"):
        Flow(FlowOptions()).noise(torch.tensor([500]))


def test_its_facts() -> None:
    """Real times, up to 1."""
    facts = describe_unit(FlowOptions())
    assert facts.continuous
    assert facts.last_time == Flow(FlowOptions()).last_time
