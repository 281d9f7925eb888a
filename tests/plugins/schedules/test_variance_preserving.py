"""What holds for every variance preserving schedule, whatever its β."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dddm_schedules.cosine import cosine
from dddm_schedules.linear import linear
from dddm_schedules.options import CosineOptions, LinearOptions
from dddm_schedules.variance_preserving import VariancePreserving, log_alpha_bar

linear_schedules = st.builds(
    lambda timesteps, start, end: linear(
        LinearOptions(timesteps=timesteps, beta_start=start, beta_end=end)
    ),
    st.integers(25, 2000),
    st.floats(0.01, 2.0),
    st.floats(2.0, 24.0),
)
cosine_schedules = st.builds(
    lambda timesteps, offset: cosine(CosineOptions(timesteps=timesteps, offset=offset)),
    st.integers(1, 2000),
    st.floats(0.001, 0.5),
)
schedules = linear_schedules | cosine_schedules


def all_times(schedule: VariancePreserving) -> torch.Tensor:
    """0…T."""
    return torch.arange(schedule.last_time + 1)


@given(schedules)
def test_signal_falls_and_noise_rises(schedule: VariancePreserving) -> None:
    """Both ᾱ_t and its complement are strictly monotonic from t = 0, where x_t is x_0."""
    t = all_times(schedule)
    assert schedule.signal(t)[0] == 1
    assert schedule.noise(t)[0] == 0
    assert (schedule.signal(t).diff() < 0).all()
    assert (schedule.noise(t).diff() > 0).all()


@given(schedules)
def test_variance_is_preserved(schedule: VariancePreserving) -> None:
    """a² + s² = 1 at all times, to the last digits of float64."""
    t = all_times(schedule)
    total = schedule.signal(t).square() + schedule.noise(t).square()
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-15)


@given(st.lists(st.floats(1e-6, 0.999), min_size=1, max_size=40))
def test_table_is_the_product_of_one_minus_beta(beta: list[float]) -> None:
    """ᾱ_t = Π (1 − β_k), with ᾱ_0 = 1."""
    table = log_alpha_bar(torch.tensor(beta, dtype=torch.float64))
    product = 1.0
    assert table[0] == 0
    for entry, one_beta in zip(table[1:], beta, strict=True):
        product *= 1 - one_beta
        assert float(entry.exp()) == pytest.approx(product, rel=1e-12, abs=0)


@given(schedules, st.floats(-2, 2), st.integers(0, 2**32), st.data())
def test_diffusion_is_affine_in_the_image(
    schedule: VariancePreserving, weight: float, seed: int, data: st.DataObject
) -> None:
    """Diffusing a mixture of two images is mixing the two diffused ones, under one noise."""
    generator = torch.Generator().manual_seed(seed)
    a, b, noise = torch.randn(3, 2, 1, 3, 3, generator=generator, dtype=torch.float64)
    t = torch.tensor(
        data.draw(st.lists(st.integers(0, schedule.last_time), min_size=2, max_size=2))
    )
    mixed = schedule.diffuse(x_0=weight * a + (1 - weight) * b, t=t, noise=noise)
    apart = weight * schedule.diffuse(x_0=a, t=t, noise=noise) + (1 - weight) * schedule.diffuse(
        x_0=b, t=t, noise=noise
    )
    torch.testing.assert_close(mixed, apart)


@given(schedules, st.integers(0, 2**32))
def test_diffusion_starts_at_the_image(schedule: VariancePreserving, seed: int) -> None:
    """x_0 diffused to t = 0 is x_0, bit for bit, whatever the noise."""
    x_0, noise = torch.randn(2, 3, 1, 2, 2, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(
        schedule.diffuse(x_0=x_0, t=torch.zeros(3, dtype=torch.int64), noise=noise), x_0
    )


@given(schedules, st.data())
def test_grid_falls_evenly_from_the_last_time(
    schedule: VariancePreserving, data: st.DataObject
) -> None:
    """A grid has `steps` distinct integers from T to above 0, with gaps equal up to rounding."""
    last = schedule.last_time
    steps = data.draw(st.integers(1, last))
    grid = schedule.grid(steps=steps)
    assert grid.dtype == torch.int64
    assert len(grid) == steps
    assert grid[0] == last
    gaps = -torch.cat([grid, torch.zeros(1, dtype=torch.int64)]).diff()
    assert gaps.min() >= 1
    assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_grid_refuses_steps_it_has_no_times_for(steps: int) -> None:
    """More steps than times, or none, are refused with both numbers in the message."""
    with pytest.raises(ValueError, match=rf"{steps} steps .* 1…1000"):
        linear(LinearOptions()).grid(steps=steps)


def test_times_are_drawn_from_all_of_one_to_the_last() -> None:
    """Draws reach both 1 and T, never 0 or T + 1, and are uniform over them."""
    schedule = linear(LinearOptions(timesteps=25))
    t = schedule.draw_times(count=50_000, generator=torch.Generator().manual_seed(1))
    counts = t.bincount(minlength=27)
    assert t.dtype == torch.int64
    assert counts[0] == 0
    assert counts[26] == 0
    chi_squared = ((counts[1:26] - 2000).square() / 2000).sum()
    assert chi_squared < 52.6  # 24 degrees of freedom, one in a thousand


def test_draws_come_from_the_generator_alone() -> None:
    """Equal generators give equal times, whatever was drawn from the global one."""
    schedule = linear(LinearOptions())
    first = schedule.draw_times(count=9, generator=torch.Generator().manual_seed(3))
    torch.rand(5)
    again = schedule.draw_times(count=9, generator=torch.Generator().manual_seed(3))
    assert torch.equal(first, again)


@given(schedules)
def test_network_sees_times_up_to_1000(schedule: VariancePreserving) -> None:
    """Times 1…T become float32 in (0, 1000], evenly, with T at 1000."""
    seen = schedule.network_time(all_times(schedule)[1:])
    assert seen.dtype == torch.float32
    assert seen[-1] == 1000
    assert seen[0] == pytest.approx(1000 / schedule.last_time)
    assert (seen.diff() > 0).all()


def test_estimate_is_x_t_minus_the_raw_output() -> None:
    """Eq. 3: a network that finds F = x_t − x_0 estimates x_0."""
    schedule = linear(LinearOptions())
    x_0, noise = torch.randn(2, 4, 1, 2, 2, dtype=torch.float64)
    t = torch.tensor([1, 10, 500, 1000])
    x_t = schedule.diffuse(x_0=x_0, t=t, noise=noise)
    torch.testing.assert_close(schedule.estimate(x_t=x_t, raw=x_t - x_0, t=t), x_0)


def test_prior_and_network_input_change_nothing() -> None:
    """Samples start from the noise itself, and the network sees x_t itself."""
    schedule = linear(LinearOptions())
    noise = torch.randn(2, 1, 2, 2)
    assert torch.equal(schedule.prior(noise=noise), noise)
    assert torch.equal(schedule.network_input(x_t=noise, t=torch.tensor([1, 1000])), noise)


@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_coefficients_are_float64_of_the_shape_of_t(shape: tuple[int, ...]) -> None:
    """A coefficient is looked up for each entry of t, in double precision."""
    schedule = linear(LinearOptions())
    t = torch.full(shape, 7)
    for coefficient in (schedule.signal(t), schedule.noise(t)):
        assert coefficient.shape == shape
        assert coefficient.dtype == torch.float64


def test_a_time_that_is_no_integer_is_refused() -> None:
    """A t of 3.7 is not cut down to 3 silently."""
    with pytest.raises(TypeError, match="integers"):
        linear(LinearOptions()).signal(torch.tensor([3.7]))
