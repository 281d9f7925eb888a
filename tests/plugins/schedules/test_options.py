"""The torch-free check of the options of `vp`."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dddm.interfaces.plugin import Surroundings
from dddm_schedules.linear import linear
from dddm_schedules.options import LinearOptions, check_linear

SURROUNDINGS = Surroundings(data=None, tables={})


@given(st.integers(2, 60), st.floats(0.01, 60), st.floats(0.01, 60))
def test_check_complains_exactly_where_the_schedule_cannot_be_made(
    timesteps: int, start: float, end: float
) -> None:
    """Options without a complaint give a finite schedule; those with one are refused."""
    options = LinearOptions(timesteps=timesteps, beta_start=start, beta_end=end)
    if list(check_linear(options, SURROUNDINGS)):
        with pytest.raises(ValueError, match="below 1"):
            linear(options)
    else:
        assert linear(options).signal(torch.arange(timesteps + 1)).isfinite().all()


def test_complaint_names_the_option_and_the_remedy() -> None:
    """Ten timesteps with the default range are too few, and the message says how many would do."""
    (complaint,) = check_linear(LinearOptions(timesteps=10), SURROUNDINGS)
    assert complaint.option == "beta_end"
    assert "β of 2" in complaint.what
    assert complaint.remedy is not None
    assert "more than 20 timesteps" in complaint.remedy
