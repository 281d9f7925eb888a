"""What holds for every built-in metric on pixels."""

import pytest
import torch
from hypothesis import given
from image_pairs import image_pairs

from dddm.interfaces.metric import Metric
from dddm.interfaces.plugin import NoOptions
from dddm_metrics.l1 import L1
from dddm_metrics.l2 import SquaredL2
from dddm_metrics.options import PseudoHuberElementwiseOptions, PseudoHuberOptions
from dddm_metrics.pseudo_huber import PseudoHuber
from dddm_metrics.pseudo_huber_elementwise import PseudoHuberElementwise

METRICS = [
    L1(NoOptions()),
    SquaredL2(NoOptions()),
    PseudoHuber(PseudoHuberOptions(c=0.0043)),
    PseudoHuberElementwise(PseudoHuberElementwiseOptions()),
]
every_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda m: type(m).__name__)
Pair = tuple[torch.Tensor, torch.Tensor]


@every_metric
@given(pair=image_pairs())
def test_distance_is_a_float32_for_each_sample_and_at_least_zero(
    metric: Metric, pair: Pair
) -> None:
    """Every d ≥ 0, finite, (B,), float32."""
    distance = metric.distance(estimate=pair[0], target=pair[1])
    assert distance.shape == (len(pair[0]),)
    assert distance.dtype == torch.float32
    assert (distance >= 0).all()
    assert distance.isfinite().all()


@every_metric
@given(pair=image_pairs())
def test_distance_to_itself_is_zero(metric: Metric, pair: Pair) -> None:
    """d(x, x) = 0, exactly."""
    assert (metric.distance(estimate=pair[0], target=pair[0]) == 0).all()


@every_metric
@given(pair=image_pairs())
def test_distance_is_symmetric(metric: Metric, pair: Pair) -> None:
    """d(a, b) = d(b, a), bit for bit."""
    there = metric.distance(estimate=pair[0], target=pair[1])
    back = metric.distance(estimate=pair[1], target=pair[0])
    assert torch.equal(there, back)


@every_metric
@given(pair=image_pairs())
def test_samples_do_not_see_each_other(metric: Metric, pair: Pair) -> None:
    """A sample's distance is the same alone as in its batch."""
    together = metric.distance(estimate=pair[0], target=pair[1])
    for row, distance in enumerate(together):
        alone = metric.distance(estimate=pair[0][row, None], target=pair[1][row, None])
        torch.testing.assert_close(alone[0], distance, rtol=1e-6, atol=1e-12)


@every_metric
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_measured_in_float32_or_better(
    metric: Metric, dtype: torch.dtype
) -> None:
    """The result is float32, and as exact as if the same numbers had come in float32."""
    a, b = torch.randn(2, 3, 2, 4, 4).to(dtype)
    distance = metric.distance(estimate=a, target=b)
    assert distance.dtype == torch.float32
    expected = metric.distance(estimate=a.float(), target=b.float())
    torch.testing.assert_close(distance, expected, rtol=1e-6, atol=0)


@every_metric
def test_autocast_changes_nothing(metric: Metric) -> None:
    """Inside autocast, distances are those outside, bit for bit."""
    a, b = torch.randn(2, 3, 2, 4, 4)
    expected = metric.distance(estimate=a, target=b)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(metric.distance(estimate=a, target=b), expected)


@every_metric
def test_gradient_at_equality_is_finite(metric: Metric) -> None:
    """A perfect estimate moves nothing and breaks nothing."""
    target = torch.randn(2, 1, 3, 3)
    estimate = target.clone().requires_grad_()
    loss = metric.distance(estimate=estimate, target=target).mean()
    (gradient,) = torch.autograd.grad(loss, estimate)
    assert torch.equal(gradient, torch.zeros_like(target))


@every_metric
def test_several_distances_are_those_of_each_target(metric: Metric) -> None:
    """Asked for together or one by one: the same values, each with the estimate's gradient."""
    a, b, c = torch.randn(3, 2, 1, 3, 3)
    a.requires_grad_()
    together = metric.distances(estimate=a, targets=(b, c))
    for found, target in zip(together, (b, c), strict=True):
        assert torch.equal(found, metric.distance(estimate=a, target=target))
        assert found.requires_grad


@every_metric
def test_one_image_is_not_compared_with_many(metric: Metric) -> None:
    """Shapes that differ are refused instead of being broadcast."""
    with pytest.raises(ValueError, match="shape"):
        metric.distance(estimate=torch.zeros(1, 1, 2, 2), target=torch.zeros(3, 1, 2, 2))
