"""The torch-free checks of the options of `vp` and `ve`."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dddm.interfaces.plugin import RecipeContext
from dddm_schedules.discrete import VarianceExploding, vp
from dddm_schedules.options import VeOptions, VpOptions, check_sigma, check_vp

CONTEXT = RecipeContext(data=None, tables={})


@given(st.integers(2, 60), st.floats(0.01, 60), st.floats(0.01, 60))
def test_check_objects_exactly_where_the_schedule_cannot_be_made(
    timesteps: int, start: float, end: float
) -> None:
    """Options without an issue give a finite schedule; those with one are refused."""
    options = VpOptions(timesteps=timesteps, beta_start=start, beta_end=end)
    if list(check_vp(options, CONTEXT)):
        with pytest.raises(ValueError, match="below 1"):
            vp(options)
    else:
        assert vp(options).signal(torch.arange(timesteps + 1)).isfinite().all()


def test_issue_names_the_option_and_the_remedy() -> None:
    """Ten timesteps with the default range are too few, and the message says how many would do."""
    (issue,) = check_vp(VpOptions(timesteps=10), CONTEXT)
    assert issue.option == "beta_end"
    assert "every β must be below 1" in issue.what
    assert issue.remedy is not None
    assert "more than 20 timesteps" in issue.remedy


@given(st.floats(1e-3, 100), st.floats(1e-3, 100))
def test_check_of_ve_objects_exactly_where_sigma_does_not_rise(low: float, high: float) -> None:
    """Options without an issue give a rising σ; those with one are refused."""
    options = VeOptions(timesteps=5, sigma_min=low, sigma_max=high)
    issues = list(check_sigma(options, CONTEXT))
    if issues:
        assert [issue.option for issue in issues] == ["sigma_max"]
        assert f"above {low:g}" in str(issues[0].remedy)
        with pytest.raises(ValueError, match="must rise"):
            VarianceExploding(options)
    else:
        sigma = VarianceExploding(options).noise(torch.arange(6))
        assert (sigma[1:] >= sigma[:-1]).all()
        assert sigma[-1] > sigma[1]
