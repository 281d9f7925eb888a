"""What a metric promises; see `dddm.interfaces.metric`.

Legend: B images, C channels, H rows, W columns.
"""

from typing import Final

import torch
from torch import Tensor

from dddm.interfaces.metric import Metric
from dddm.testing.check import Suite, expect
from dddm.testing.material import (
    BATCHES,
    expect_close,
    expect_equal,
    expect_tensor,
    gpus,
    pictures,
)
from dddm.testing.subject import Subject

METRIC: Final = Suite(
    "metric",
    capabilities={
        "symmetric": "d(a, b) = d(b, a)",
        "telling": "two images that differ in every pixel have a distance above 0",
        "devices": "it measures on a GPU what it measures on the CPU",
    },
)

_NEARLY_ZERO: Final = 1e-6
"""As a share of the distance between two random images."""
_FAR_OUT: Final = 20.0


def _metric(subject: Subject) -> Metric:
    metric: Metric = subject.made
    return metric


def _distance(metric: Metric, estimate: Tensor, target: Tensor) -> Tensor:
    return metric.distance(estimate=estimate, target=target)


@METRIC.check(basis=True)
def one_number_for_each_image(subject: Subject) -> None:
    """`distance` gives (B,), float32, finite, for every shape and for odd batches."""
    for shape in subject.shapes:
        for count in BATCHES:
            found = _distance(
                _metric(subject), pictures(count, shape), pictures(count, shape, seed=1)
            )
            what = f"the distance of {count} images of {shape}"
            expect_tensor(found, shape=(count,), dtype=torch.float32, what=what)


@METRIC.check()
def never_negative(subject: Subject) -> None:
    """A distance is at least 0, of images near and far."""
    for shape in subject.shapes:
        image = pictures(5, shape)
        for step in (0.0, 1e-6, 1e-3, 1.0):
            moved = image + step * pictures(5, shape, seed=2)
            least = float(_distance(_metric(subject), moved, image).min())
            expect(least >= 0, f"{least:.3g} between images that differ by {step:g} at most")


@METRIC.check(capability="telling")
def above_zero_where_images_differ(subject: Subject) -> None:
    """Images that differ in every pixel have a distance above 0."""
    for shape in subject.shapes:
        found = _distance(_metric(subject), pictures(5, shape), pictures(5, shape, seed=1))
        expect(bool((found > 0).all()), f"{found.tolist()} between random images of {shape}")


@METRIC.check()
def zero_at_equality(subject: Subject) -> None:
    """The distance of an image to itself is 0."""
    for shape in subject.shapes:
        image, other = pictures(5, shape), pictures(5, shape, seed=1)
        found = float(_distance(_metric(subject), image, image.clone()).abs().max())
        scale = float(_distance(_metric(subject), image, other).abs().max())
        expect(
            found <= _NEARLY_ZERO * scale,
            f"{found:.3g} from an image to itself, and {scale:.3g} to another",
            remedy="subtract what it gives for equal images",
        )


@METRIC.check(capability="symmetric")
def symmetric(subject: Subject) -> None:
    """d(a, b) = d(b, a), up to rounding."""
    for shape in subject.shapes:
        one, other = pictures(5, shape), pictures(5, shape, seed=1)
        there, back = (_distance(_metric(subject), *pair) for pair in ((one, other), (other, one)))
        expect_close(there, back, "d(a, b) is not d(b, a)", relative=1e-5)


@METRIC.check()
def images_on_their_own(subject: Subject) -> None:
    """An image's distance is the same alone as in its batch."""
    for shape in subject.shapes:
        one, other = pictures(5, shape), pictures(5, shape, seed=1) * 0.5
        together = _distance(_metric(subject), one, other)
        alone = torch.cat(
            [_distance(_metric(subject), one[k, None], other[k, None]) for k in range(5)]
        )
        expect_close(
            together,
            alone,
            "the distance of an image depends on what else is in the batch",
            remedy="average over each image's own pixels: value.flatten(1).mean(1)",
        )


@METRIC.check()
def always_the_same(subject: Subject) -> None:
    """The same images have the same distance every time, whatever torch's random state is."""
    one, other = pictures(5, subject.shapes[0]), pictures(5, subject.shapes[0], seed=1)
    first = _distance(_metric(subject), one, other)
    torch.manual_seed(1)
    expect_equal(
        _distance(_metric(subject), one, other),
        first,
        "a second time the distances are others",
        remedy="put a network in eval mode, and draw nothing",
    )


@METRIC.check()
def inputs_unchanged(subject: Subject) -> None:
    """It changes neither of the images that it is given."""
    one, other = pictures(5, subject.shapes[0]), pictures(5, subject.shapes[0], seed=1)
    kept, kept_other = one.clone(), other.clone()
    _distance(_metric(subject), one, other)
    expect_equal(one, kept, "the estimate was changed")
    expect_equal(other, kept_other, "the target was changed")


@METRIC.check()
def gradient(subject: Subject) -> None:
    """A finite gradient reaches each estimate from its own distance, and from no other's."""
    for shape in subject.shapes:
        estimate = pictures(3, shape).requires_grad_()
        target = pictures(3, shape, seed=1)
        found = _distance(_metric(subject), estimate, target)
        expect(found.requires_grad, "the distance carries no gradient")
        for image in range(3):
            (slope,) = torch.autograd.grad(found[image], estimate, retain_graph=True)
            expect(bool(slope.isfinite().all()), "the gradient is not finite")
            expect(bool(slope[image].any()), "the gradient of the estimate is 0 everywhere")
            slope[image] = 0
            expect(not slope.any(), "the gradient of one image's distance reaches another image")


@METRIC.check()
def gradient_at_equality(subject: Subject) -> None:
    """At equality, and as near to it as float32 can tell, the gradient is finite."""
    for shape in subject.shapes:
        target = pictures(3, shape)
        for away in (0.0, 1e-7, 1e-5, 1e-3):
            estimate = (target + away).requires_grad_()
            total = _distance(_metric(subject), estimate, target).sum()
            (slope,) = torch.autograd.grad(total, estimate)
            expect(
                bool(slope.isfinite().all()),
                f"the gradient is not finite where estimate and target differ by {away:g}",
                remedy="round the corner of a root: √(d² + c²) − c",
            )


@METRIC.check()
def far_out(subject: Subject) -> None:
    """An estimate far outside [-1, 1], as training begins with, has a finite distance and slope."""
    for shape in subject.shapes:
        target = pictures(3, shape)
        estimate = (_FAR_OUT * pictures(3, shape, seed=1)).requires_grad_()
        found = _distance(_metric(subject), estimate, target)
        (slope,) = torch.autograd.grad(found.sum(), estimate)
        expect(bool(found.isfinite().all()), f"{found.tolist()} for numbers up to {_FAR_OUT:g}")
        expect(bool(slope.isfinite().all()), "the gradient is not finite")


@METRIC.check()
def several_targets(subject: Subject) -> None:
    """`distances` gives for each target what `distance` gives, with its gradient."""
    one = pictures(3, subject.shapes[0]).requires_grad_()
    targets = [pictures(3, subject.shapes[0], seed=seed) for seed in (1, 2)]
    found = _metric(subject).distances(estimate=one, targets=targets)
    expect(len(found) == len(targets), f"{len(found)} distances for {len(targets)} targets")
    for several, target in zip(found, targets, strict=True):
        alone = _distance(_metric(subject), one, target)
        expect_close(several.detach(), alone.detach(), "`distances` differ from `distance`")
        expect(
            several.requires_grad or not alone.requires_grad,
            "`distances` carry no gradient, and `distance` does",
        )


@METRIC.check(once=True)
def says_what_it_was_trained_on(subject: Subject) -> None:
    """`trained_on` is the name of a data set, or None."""
    said = _metric(subject).trained_on
    expect(said is None or (isinstance(said, str) and bool(said)), f"it says {said!r}")


@METRIC.check(capability="devices")
def devices(subject: Subject) -> None:
    """On a GPU it measures what it measures on the CPU, to 1e-3, and answers there."""
    devices = list(gpus())
    one, other = pictures(3, subject.shapes[0]), pictures(3, subject.shapes[0], seed=1)
    expected = _distance(_metric(subject), one, other)
    for device in devices:
        metric: Metric = subject.make()
        metric.to(device)
        found = _distance(metric, one.to(device), other.to(device))
        expect(found.device.type == device.type, f"the distance is on {found.device}")
        expect_close(found.cpu(), expected, f"on {device} it differs", relative=1e-3)
