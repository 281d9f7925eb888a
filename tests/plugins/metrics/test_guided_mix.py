"""The guided mix against its formula, around a metric on pixels and around a perceptual one."""

from pathlib import Path
from typing import Any, final

import pytest
import torch
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from image_pairs import image_pairs
from torch import Tensor
from trunks import save_trunk

from dddm.interfaces.metric import Metric
from dddm.interfaces.plugin import NoOptions, Part
from dddm_metrics.guided_mix import GuidedMix
from dddm_metrics.l1 import L1
from dddm_metrics.lpips import Lpips
from dddm_metrics.lpips_options import LpipsOptions
from dddm_metrics.options import GuidedMixOptions


@final
@frozen(kw_only=True)
class Made(Part):
    """A metric that is made already."""

    options: Any = None
    metric: Metric

    def make(self, **more: Any) -> Metric:
        assert not more
        return self.metric


def mix(metric: Metric) -> GuidedMix:
    return GuidedMix(GuidedMixOptions(of=Made(metric=metric)))


@settings(deadline=None)
@given(image_pairs(), st.integers(0, 10_000), st.integers(0, 2**31))
def test_is_its_formula(pair: tuple[Tensor, Tensor], epoch: int, seed: int) -> None:
    """The loss is w d(f, x_0) + (1 − w) d(f, x̂), w = 1/(n + 1), of float64 arithmetic."""
    estimate, target = pair
    before = torch.randn(target.shape, generator=torch.Generator().manual_seed(seed))
    loss = mix(L1(NoOptions())).loss(
        estimate=estimate, target=target, previous_estimate=before, epoch=epoch
    )
    w = 1 / (epoch + 1)
    to_image, to_estimate = (
        (estimate.double() - other.double()).abs().mean(dim=(1, 2, 3)) for other in (target, before)
    )
    assert loss.dtype == torch.float32
    torch.testing.assert_close(
        loss.double(), w * to_image + (1 - w) * to_estimate, rtol=1e-5, atol=1e-12
    )


def test_the_first_epoch_sees_the_image_alone() -> None:
    """In epoch 0, w = 1: the first estimates are noise, and not even an infinite one counts."""
    estimate, target = torch.randn(2, 2, 1, 3, 3)
    metric = mix(L1(NoOptions()))
    loss = metric.loss(
        estimate=estimate, target=target, previous_estimate=target * torch.inf, epoch=0
    )
    assert torch.equal(loss, metric.distance(estimate=estimate, target=target))


def test_distances_are_those_of_the_metric_that_is_mixed() -> None:
    """What reports and diagnostics ask for is the distance itself."""
    a, b, c = torch.randn(3, 2, 1, 3, 3)
    inner, mixed = L1(NoOptions()), mix(L1(NoOptions()))
    expected = inner.distance(estimate=a, target=b)
    assert torch.equal(mixed.distance(estimate=a, target=b), expected)
    both = mixed.distances(estimate=a, targets=(b, c))
    assert torch.equal(both[0], expected)
    assert torch.equal(both[1], inner.distance(estimate=a, target=c))
    assert mixed.trained_on is None


@pytest.fixture(scope="module")
def lpips(tmp_path_factory: pytest.TempPathFactory) -> Lpips:
    folder: Path = tmp_path_factory.mktemp("trunk")
    return Lpips(LpipsOptions(**save_trunk(folder, "squeeze"), size=0))


def test_two_terms_share_the_features_of_the_estimate(lpips: Lpips) -> None:
    """Value and gradient of two separate terms, from one pass over the estimate instead of two."""
    generator = torch.Generator().manual_seed(0)
    estimate, target, before = torch.rand(3, 2, 3, 24, 24, generator=generator) * 2 - 1
    estimate.requires_grad_()
    apart = 0.25 * lpips.distance(estimate=estimate, target=target)
    apart = apart + 0.75 * lpips.distance(estimate=estimate, target=before)
    passes: list[bool] = []
    hook = lpips.network._trunk.register_forward_hook(
        lambda *_: passes.append(torch.is_grad_enabled())
    )
    mixed = mix(lpips).loss(estimate=estimate, target=target, previous_estimate=before, epoch=3)
    hook.remove()
    assert passes == [True, False, False]
    torch.testing.assert_close(mixed, apart)
    (gradient,) = torch.autograd.grad(mixed.sum(), estimate)
    (expected,) = torch.autograd.grad(apart.sum(), estimate)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-7)
    assert mix(lpips).trained_on == "ImageNet"


@final
class Traveller(Metric):
    """Remembers where it was sent."""

    device = torch.device("cpu")

    def to(self, device: torch.device) -> None:
        self.device = device

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        raise NotImplementedError


def test_the_metric_that_is_mixed_moves_along() -> None:
    """`to` reaches the metric that is mixed."""
    inner = Traveller()
    mix(inner).to(torch.device("meta"))
    assert inner.device.type == "meta"
