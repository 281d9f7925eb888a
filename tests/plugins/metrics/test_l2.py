"""Squared L2 against its formula."""

import torch
from hypothesis import given
from image_pairs import image_pairs

from dddm.interfaces.plugin import NoOptions
from dddm_metrics.l2 import SquaredL2


@given(image_pairs())
def test_is_the_mean_squared_difference(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    """The value is that of float64 arithmetic; no root is taken."""
    a, b = pair
    expected = (a.double() - b.double()).square().mean(dim=(1, 2, 3))
    distance = SquaredL2(NoOptions()).distance(estimate=a, target=b)
    torch.testing.assert_close(distance.double(), expected, rtol=1e-6, atol=1e-12)
