"""L1 against its formula."""

import torch
from hypothesis import given
from image_pairs import image_pairs

from dddm.interfaces.plugin import NoOptions
from dddm_metrics.l1 import L1


@given(image_pairs())
def test_is_the_mean_absolute_difference(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    """The value is that of float64 arithmetic."""
    a, b = pair
    expected = (a.double() - b.double()).abs().mean(dim=(1, 2, 3))
    distance = L1(NoOptions()).distance(estimate=a, target=b)
    torch.testing.assert_close(distance.double(), expected, rtol=1e-6, atol=1e-12)
