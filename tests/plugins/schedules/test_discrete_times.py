"""Integer times, whatever the coefficients are."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dddm_schedules.discrete_times import DiscreteTimes

every_count = st.integers(1, 10_000)


@given(every_count, st.data())
def test_grid_falls_evenly_from_the_last_time(last: int, data: st.DataObject) -> None:
    """A grid has `steps` distinct integers from T to above 0, with gaps equal up to rounding."""
    steps = data.draw(st.integers(1, last))
    grid = DiscreteTimes(last).grid(steps=steps)
    gaps = -torch.cat([grid, torch.zeros(1, dtype=torch.int64)]).diff()
    assert grid.dtype == torch.int64
    assert len(grid) == steps
    assert grid[0] == last
    assert gaps.min() >= 1
    assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize("steps", [0, 8])
def test_a_grid_finer_than_the_times_is_refused(steps: int) -> None:
    """No time is visited twice, and none is invented."""
    with pytest.raises(ValueError, match=rf"{steps} steps .* 1…7"):
        DiscreteTimes(7).grid(steps=steps)


@given(every_count, st.integers(0, 2**32))
def test_draws_stay_within_the_times(last: int, seed: int) -> None:
    """Draws are integers from 1 to T, decided by the generator alone."""
    times = DiscreteTimes(last)
    t = times.draw(count=200, generator=torch.Generator().manual_seed(seed))
    again = times.draw(count=200, generator=torch.Generator().manual_seed(seed))
    assert t.dtype == torch.int64
    assert torch.equal(t, again)
    assert 1 <= t.min() <= t.max() <= last


@given(every_count)
def test_the_network_sees_them_up_to_1000(last: int) -> None:
    """1000 t/T in float32, rising, and 1000 at T."""
    seen = DiscreteTimes(last).network_time(torch.arange(1, last + 1))
    assert seen.dtype == torch.float32
    assert seen[0] == pytest.approx(1000 / last)
    assert seen[-1] == 1000
    assert (seen.diff() > 0).all()
