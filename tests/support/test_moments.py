"""Sums in batches and over processes give the statistics of the whole."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dddm.errors import DataError
from dddm.support.moments import RunningMoments, statistics_of


@settings(deadline=None, max_examples=30)
@given(
    cuts=st.lists(st.integers(1, 20), min_size=2, max_size=8),
    processes=st.integers(1, 4),
    offset=st.sampled_from([0.0, 10.0, 1e4]),
    seed=st.integers(0, 100),
)
def test_equals_the_whole(cuts: list[int], processes: int, offset: float, seed: int) -> None:
    """Any batches, shared in any way, also far from the origin: to 1e-9 of the spread."""
    generator = torch.Generator().manual_seed(seed)
    batches = [offset + torch.randn(count, 5, generator=generator) for count in cuts]
    shares = [RunningMoments() for _ in range(processes)]
    for number, batch in enumerate(batches):
        shares[number % processes].add(batch)
    together = RunningMoments()
    for share in shares:
        together.merge(share)
    found, expected = together.statistics(), statistics_of(torch.cat(batches))
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-9, atol=1e-9)


def test_what_is_not_finite_is_refused() -> None:
    with pytest.raises(DataError, match="not finite"):
        RunningMoments().add(torch.tensor([[1.0, torch.nan]]))
