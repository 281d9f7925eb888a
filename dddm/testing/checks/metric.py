"""What a metric promises; see `dddm.interfaces.metric`.

Legend: B images, C channels, H rows, W columns.
"""

from collections.abc import Iterator
from typing import Final

import pytest
import torch
from torch import Tensor

from dddm.interfaces.metric import Metric
from dddm.testing.check import Suite
from dddm.testing.subject import Subject
from dddm.testing.tensors import (
    BATCHES,
    assert_close,
    assert_equal,
    assert_tensor,
    generators_unchanged,
    gpus,
    pictures,
)

_NEARLY_ZERO: Final = 1e-6
"""As a share of the distance between two random images."""
_FAR_OUT: Final = 20.0
_STEP: Final = 1e-3
"""By which share of itself a step along the gradient is to change the distance."""
_SLOPE: Final = 0.1
_BLIND: Final = 1e-4


def _pairs(subject: Subject) -> Iterator[tuple[Metric, Tensor, Tensor]]:
    """The metric, and images (5, C, H, W) to measure, of each shape."""
    for shape in subject.shapes:
        yield subject.made, pictures(5, shape), pictures(5, shape, seed=1)


METRIC: Final = Suite(
    "metric",
    interface=Metric,
    cases=_pairs,
    capabilities={
        "symmetric": "d(a, b) = d(b, a)",
        "telling": "two images that differ in every pixel have a distance above 0",
        "colours": "it sees every channel by itself, not a mixture of them",
        "devices": "it measures on a GPU what it measures on the CPU",
    },
)


@METRIC.check(basis=True)
def one_number_for_each_image(metric: Metric, a: Tensor, b: Tensor) -> None:
    """`distance` returns (B,), float32, finite, for every shape and for odd batches."""
    for count in BATCHES:
        found = metric.distance(estimate=a[:count], target=b[:count])
        what = f"the distance of {count} images {tuple(a.shape[1:])}"
        assert_tensor(found, shape=(count,), dtype=torch.float32, what=what)


@METRIC.check()
def never_negative(metric: Metric, a: Tensor, b: Tensor) -> None:
    """A distance is at least 0, for similar and for different images."""
    for step in (0.0, 1e-6, 1e-3, 1.0):
        least = float(metric.distance(estimate=a + step * b, target=a).min())
        assert least >= 0, f"{least:.3g} between images that differ by {step:g} at most"


@METRIC.check(capability="telling")
def above_zero_where_images_differ(metric: Metric, a: Tensor, b: Tensor) -> None:
    """Images that differ in every pixel have a distance above 0."""
    found = metric.distance(estimate=a, target=b)
    assert (found > 0).all(), f"{found.tolist()} between random images"


@METRIC.check()
def zero_at_equality(metric: Metric, a: Tensor, b: Tensor) -> None:
    """The distance of an image to itself is 0."""
    itself = float(metric.distance(estimate=a, target=a.clone()).abs().max())
    other = float(metric.distance(estimate=a, target=b).abs().max())
    assert itself <= _NEARLY_ZERO * other, (
        f"{itself:.3g} from an image to itself, and {other:.3g} to another: subtract what it "
        "gives for equal images"
    )


@METRIC.check(capability="symmetric")
def symmetric(metric: Metric, a: Tensor, b: Tensor) -> None:
    """d(a, b) = d(b, a), up to rounding."""
    forward = metric.distance(estimate=a, target=b)
    backward = metric.distance(estimate=b, target=a)
    assert_close(forward, backward, "d(a, b) is not d(b, a)", relative=1e-5)


@METRIC.check()
def images_on_their_own(metric: Metric, a: Tensor, b: Tensor) -> None:
    """An image's distance does not depend on the rest of the batch."""
    b = 0.5 * b
    alone = [metric.distance(estimate=a[k, None], target=b[k, None]) for k in range(len(a))]
    assert_close(
        metric.distance(estimate=a, target=b),
        torch.cat(alone),
        "an image's distance depends on the rest of the batch: average over its own pixels, as "
        "value.flatten(1).mean(1) does",
    )


@METRIC.check()
def always_the_same(metric: Metric, a: Tensor, b: Tensor) -> None:
    """Distances are deterministic, for any random state of torch."""
    first = metric.distance(estimate=a, target=b)
    torch.manual_seed(1)
    again = metric.distance(estimate=a, target=b)
    assert_equal(again, first, "distances differ the second time: use a network in eval mode")


@METRIC.check()
def generators_unchanged_(metric: Metric, a: Tensor, b: Tensor) -> None:
    """`distance` neither draws from a global generator nor seeds it."""
    with generators_unchanged("measuring"):
        metric.distance(estimate=a, target=b)


@METRIC.check()
def inputs_unchanged(metric: Metric, a: Tensor, b: Tensor) -> None:
    """It does not modify the images."""
    kept_a, kept_b = a.clone(), b.clone()
    metric.distance(estimate=a, target=b)
    assert_equal(a, kept_a, "the estimate was changed")
    assert_equal(b, kept_b, "the target was changed")


@METRIC.check()
def gradient(metric: Metric, a: Tensor, b: Tensor) -> None:
    """Each distance has a finite gradient, which reaches only its own estimate."""
    a.requires_grad_()
    found = metric.distance(estimate=a, target=b)
    assert found.requires_grad, "the distance carries no gradient"
    for image in range(len(a)):
        (slope,) = torch.autograd.grad(found[image], a, retain_graph=True)
        assert slope.isfinite().all(), "the gradient is not finite"
        assert slope[image].any(), "the gradient of the estimate is 0 everywhere"
        slope[image] = 0
        assert not slope.any(), "the gradient of one image's distance reaches another image"


@METRIC.check()
def gradient_is_the_slope(metric: Metric, a: Tensor, b: Tensor) -> None:
    """A step along the gradient changes the distance as the gradient says, to 10%."""
    estimate = a.requires_grad_()
    found = metric.distance(estimate=estimate, target=b)
    (slope,) = torch.autograd.grad(found.sum(), estimate)
    square = slope.flatten(1).square().sum(1)
    if not square.all():
        pytest.skip("an image has no gradient: see metric.gradient")
    with torch.no_grad():
        size = _STEP * found / square
        ahead, behind = (
            metric.distance(estimate=a + way * size.reshape(-1, 1, 1, 1) * slope, target=b)
            for way in (1, -1)
        )
    shares = ((ahead.double() - behind) / (2 * size.double() * square)).tolist()
    assert all(abs(share - 1) <= _SLOPE for share in shares), (
        f"the distance changes by {[round(share, 3) for share in shares]} times what its gradient "
        "says: -1 is a reversed gradient; let autograd differentiate what `distance` returns"
    )


@METRIC.check(capability="colours")
def every_channel_counts(metric: Metric, a: Tensor, b: Tensor) -> None:
    """Its gradients by the channels are independent: it does not measure a mixture of channels."""
    channels = a.shape[1]
    estimate = a.requires_grad_()
    (slope,) = torch.autograd.grad(metric.distance(estimate=estimate, target=b).sum(), estimate)
    sizes = torch.linalg.svdvals(slope.transpose(0, 1).flatten(1).double())
    seen = int((sizes > _BLIND * sizes[0]).sum())
    assert seen == channels, (
        f"of {channels} channels it sees {seen}: another colour of the same grey costs nothing; "
        "compare each channel with its own, and average the results"
    )


@METRIC.check()
def gradient_at_equality(metric: Metric, a: Tensor, _: Tensor) -> None:
    """The gradient is finite at equality and near it."""
    for away in (0.0, 1e-7, 1e-5, 1e-3):
        estimate = (a + away).requires_grad_()
        total = metric.distance(estimate=estimate, target=a).sum()
        (slope,) = torch.autograd.grad(total, estimate)
        assert slope.isfinite().all(), (
            f"the gradient is not finite where estimate and target differ by {away:g}: smooth the "
            "root, as √(d² + c²) − c does"
        )


@METRIC.check()
def far_out(metric: Metric, a: Tensor, b: Tensor) -> None:
    """Distance and gradient are finite for estimates far outside [-1, 1], as in early training."""
    estimate = (_FAR_OUT * b).requires_grad_()
    found = metric.distance(estimate=estimate, target=a)
    (slope,) = torch.autograd.grad(found.sum(), estimate)
    assert found.isfinite().all(), f"{found.tolist()} for values up to {_FAR_OUT:g}"
    assert slope.isfinite().all(), "the gradient is not finite"


@METRIC.check()
def several_targets(metric: Metric, a: Tensor, b: Tensor) -> None:
    """`distances` equals `distance` for each target, with its gradient."""
    a.requires_grad_()
    targets = [b, b.flip(0)]
    found = metric.distances(estimate=a, targets=targets)
    assert len(found) == len(targets), f"{len(found)} distances for {len(targets)} targets"
    for several, target in zip(found, targets, strict=True):
        alone = metric.distance(estimate=a, target=target)
        assert_close(several.detach(), alone.detach(), "`distances` differ from `distance`")
        missing = alone.requires_grad and not several.requires_grad
        assert not missing, "`distances` carry no gradient, but `distance` does"


@METRIC.check(once=True)
def says_what_it_was_trained_on(metric: Metric, _a: Tensor, _b: Tensor) -> None:
    """`trained_on` is the name of a data set, or None."""
    said = metric.trained_on
    assert said is None or (isinstance(said, str) and said), f"it says {said!r}"


def _moved(subject: Subject) -> Iterator[tuple[Metric, Tensor, Tensor, Metric, torch.device]]:
    """As `_pairs`, and a second instance on each GPU."""
    for device in gpus():
        for metric, a, b in _pairs(subject):
            moved: Metric = subject.make()
            moved.to(device)
            yield metric, a, b, moved, device


@METRIC.check(capability="devices", cases=_moved)
def devices(metric: Metric, a: Tensor, b: Tensor, moved: Metric, device: torch.device) -> None:
    """On a GPU, distances are on the GPU and equal those on the CPU, to 1e-3."""
    found = moved.distance(estimate=a.to(device), target=b.to(device))
    assert found.device.type == device.type, f"the distance is on {found.device}"
    expected = metric.distance(estimate=a, target=b)
    assert_close(found.cpu(), expected, f"distances on {device} differ", relative=1e-3)
