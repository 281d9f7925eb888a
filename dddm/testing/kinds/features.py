"""What features promise; see `dddm.interfaces.features`.

Legend: B images, C channels, H rows, W columns; D features, K logits.
"""

import re
from typing import Final

import torch
from torch import Tensor

from dddm.errors import DataError
from dddm.interfaces.features import Features
from dddm.interfaces.info import FeaturesInfo, ImageShape
from dddm.support.images import from_uint8
from dddm.testing.check import ConformanceFailure, Suite, expect
from dddm.testing.material import (
    BATCHES,
    expect_close,
    expect_equal,
    expect_tensor,
    gpus,
    pictures,
    pixels,
)
from dddm.testing.subject import LeftOut, Subject
from dddm.testing.torch_state import expect_torch_as_before, torch_state

FEATURES: Final = Suite(
    "features",
    capabilities={
        "devices": "on a GPU they are what they are on the CPU, to 1e-3",
    },
)

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_ODD: Final = ImageShape(channels=2, height=3, width=5)


def _features(subject: Subject) -> Features:
    features: Features = subject.made
    return features


@FEATURES.check(basis=True)
def one_vector_for_each_image(subject: Subject) -> None:
    """`extract` gives (B, D), float32, finite, on the CPU, for odd batches of every shape."""
    for shape in subject.shapes:
        lengths = set()
        for count in BATCHES:
            found = _features(subject).extract(pixels(count, shape))
            length = found.shape[-1] if isinstance(found, Tensor) and found.ndim else 0
            lengths.add(length)
            what = f"what {count} images of {shape} give"
            expect_tensor(found, shape=(count, length), dtype=torch.float32, what=what)
            expect(found.device.type == "cpu", f"{what} is on {found.device}")
        expect(len(lengths) == 1, f"vectors are {sorted(lengths)} long")


@FEATURES.check()
def no_gradient(subject: Subject) -> None:
    """Vectors carry no gradient, whatever the caller's grad mode is."""
    with torch.enable_grad():
        found = _features(subject).extract(pixels(3, subject.shapes[0]))
    expect(not found.requires_grad, "they carry one", remedy="extract under torch.no_grad()")


@FEATURES.check()
def dimensions(subject: Subject) -> None:
    """`dimensions` is D, the same for all shapes, or None."""
    said = _features(subject).dimensions
    for shape in subject.shapes:
        length = _features(subject).extract(pixels(1, shape)).shape[1]
        expect(said is None or said == length, f"it says {said}, and vectors are {length} long")


@FEATURES.check()
def fingerprint(subject: Subject) -> None:
    """`fingerprint` is a SHA-256 in hexadecimal, the same for the same options."""
    said = _features(subject).fingerprint
    expect(isinstance(said, str) and _SHA256.fullmatch(said) is not None, f"it is {said!r}")
    other: Features = subject.make()
    expect(other.fingerprint == said, f"a second time it is {other.fingerprint!r}, not {said!r}")


@FEATURES.check()
def always_the_same(subject: Subject) -> None:
    """The same images have the same vectors every time, whatever torch's random state is."""
    images = pixels(5, subject.shapes[0])
    first = _features(subject).extract(images)
    torch.manual_seed(1)
    expect_equal(
        _features(subject).extract(images),
        first,
        "a second time vectors differ",
        remedy="put the network in eval mode",
    )


@FEATURES.check()
def images_on_their_own(subject: Subject) -> None:
    """An image has the same vector whatever else is in the batch, up to rounding."""
    for shape in subject.shapes:
        images = torch.cat([pixels(3, shape), torch.zeros(2, *shape.as_tuple, dtype=torch.uint8)])
        together = _features(subject).extract(images)
        alone = torch.cat([_features(subject).extract(image[None]) for image in images])
        expect_close(
            together,
            alone,
            "the vector of an image depends on the rest of the batch",
            remedy="put the network in eval mode, and normalise each image by itself",
        )


@FEATURES.check()
def tells_images_apart(subject: Subject) -> None:
    """Two quite different images have different vectors."""
    for shape in subject.shapes:
        found = _features(subject).extract(pixels(2, shape))
        expect(not torch.equal(found[0], found[1]), f"two random images of {shape} have the same")


@FEATURES.check()
def examine(subject: Subject) -> None:
    """`examine` gives the features of `extract`, and logits (B, K), float32, if it `guesses`."""
    features, images = _features(subject), pixels(3, subject.shapes[0])
    found = features.examine(images)
    expect_equal(found.features, features.extract(images), "its features are not those of extract")
    expect(
        features.guesses == (found.logits is not None),
        f"guesses is {features.guesses}, and logits are "
        + ("missing" if found.logits is None else "there"),
    )
    if found.logits is not None:
        expect(found.logits.ndim == 2, f"logits have the shape {tuple(found.logits.shape)}")  # noqa: PLR2004 - (B, K)
        expect_tensor(
            found.logits,
            shape=(3, found.logits.shape[1]),
            dtype=torch.float32,
            what="the logits",
        )
        expect(not found.logits.requires_grad, "logits carry a gradient")


@FEATURES.check()
def facts(subject: Subject) -> None:
    """Its facts, if it has any, say whether it `guesses`, and whether it has a gradient."""
    said = _facts(subject)
    if said is None:
        raise LeftOut("its registration does not describe it")
    features = _features(subject)
    expect(
        said.probabilities == features.guesses,
        f"probabilities is {said.probabilities}, and guesses is {features.guesses}",
    )
    overridden = type(features).embed is not Features.embed
    expect(
        said.gradient == overridden,
        f"gradient is {said.gradient}, and embed is {'there' if overridden else 'not there'}",
        remedy="register with describe=…, which gives FeaturesInfo(gradient=…)",
    )


@FEATURES.check()
def embed_equals_extract(subject: Subject) -> None:
    """`embed` of images in [-1, 1] gives what `extract` gives for the same in 0…255, to 1e-4."""
    features = _with_gradient(subject)
    for shape in subject.shapes:
        images = pixels(3, shape)
        expected = features.extract(images)
        found = features.embed(from_uint8(images))
        expect_tensor(
            found.detach().cpu(), shape=tuple(expected.shape), dtype=torch.float32, what="a vector"
        )
        expect_close(found.detach().cpu(), expected, "embed and extract differ")


@FEATURES.check()
def embed_has_a_gradient(subject: Subject) -> None:
    """The gradient of `embed` is finite and reaches every image."""
    features = _with_gradient(subject)
    for shape in subject.shapes:
        images = pictures(3, shape).requires_grad_()
        before = images.detach().clone()
        found = features.embed(images)
        expect(
            found.requires_grad,
            "vectors carry no gradient",
            remedy="compute without torch.no_grad() and without detach()",
        )
        (gradient,) = torch.autograd.grad(found.square().sum(), images)
        expect(bool(gradient.isfinite().all()), "the gradient holds numbers that are not finite")
        reached = gradient.flatten(1).abs().amax(dim=1) > 0
        expect(bool(reached.all()), f"it reaches {int(reached.sum())} of 3 images")
        expect_equal(images.detach(), before, "the images were changed")


def _facts(subject: Subject) -> FeaturesInfo | None:
    return subject.component.info(FeaturesInfo, subject.use.options)


def _with_gradient(subject: Subject) -> Features:
    said = _facts(subject)
    if said is None or not said.gradient:
        raise LeftOut("it does not say that it has a gradient")
    return _features(subject)


@FEATURES.check()
def inputs_unchanged(subject: Subject) -> None:
    """It does not change the images that it is given, and takes any layout of memory."""
    for shape in subject.shapes:
        images = pixels(3, shape)
        kept = images.clone()
        first = _features(subject).extract(images)
        expect_equal(images, kept, "the images were changed")
        other = images.contiguous(memory_format=torch.channels_last)
        expect_close(_features(subject).extract(other), first, "channels last give other vectors")


@FEATURES.check()
def shapes(subject: Subject) -> None:
    """`check_shape` takes the shapes that it is for; one that it refuses is a DataError."""
    for shape in subject.shapes:
        try:
            _features(subject).check_shape(shape)
        except DataError as error:
            raise ConformanceFailure(
                f"{shape} is refused: {error.what}",
                remedy="say Conformance(shapes=…) for which it is made",
            ) from error
    try:
        _features(subject).check_shape(_ODD)
    except DataError:
        return
    found = _features(subject).extract(pixels(1, _ODD))
    expect(
        found.shape[0] == 1 and bool(found.isfinite().all()),
        f"images of {_ODD} are accepted, and have no finite vectors",
    )


@FEATURES.check()
def torch_unchanged(subject: Subject) -> None:
    """Extracting changes none of torch's settings that hold for the whole process."""
    before = torch_state()
    _features(subject).extract(pixels(1, subject.shapes[0]))
    expect_torch_as_before(before, after="it extracted")


@FEATURES.check()
def autocast_changes_nothing(subject: Subject) -> None:
    """Inside the caller's autocast, vectors are those outside."""
    images = pixels(3, subject.shapes[0])
    expected = _features(subject).extract(images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = _features(subject).extract(images)
    expect_close(
        found.float(),
        expected,
        "vectors differ",
        relative=1e-5,
        remedy="extract under torch.autocast(…, enabled=False)",
    )


@FEATURES.check(once=True)
def says_what_it_was_trained_on(subject: Subject) -> None:
    """`trained_on` is the name of a data set, or None."""
    said = _features(subject).trained_on
    expect(said is None or (isinstance(said, str) and bool(said)), f"it says {said!r}")


@FEATURES.check(capability="devices")
def devices(subject: Subject) -> None:
    """Moved to a GPU it gives what it gives on the CPU, to 1e-3, on the CPU."""
    devices = list(gpus())
    images = pixels(3, subject.shapes[0])
    expected = _features(subject).extract(images)
    for device in devices:
        features: Features = subject.make()
        features.to(device)
        for given in (images, images.to(device)):
            found = features.extract(given)
            expect(found.device.type == "cpu", f"vectors are on {found.device}")
            expect_close(found, expected, f"on {device} they differ", relative=1e-3)
