"""What features promise; see `dddm.interfaces.features`.

Legend: B images, C channels, H rows, W columns; D features, K logits.
"""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import torch
from torch import Tensor

from dddm.data.in_memory_split import InMemorySplit
from dddm.errors import DataError, EnvironmentProblem
from dddm.interfaces.data_report import no_progress
from dddm.interfaces.features import Features
from dddm.interfaces.info import FeaturesInfo, ImageShape
from dddm.support.images import from_uint8
from dddm.testing.check import Suite
from dddm.testing.subject import Subject
from dddm.testing.tensors import (
    BATCHES,
    assert_close,
    assert_equal,
    assert_tensor,
    cache_in,
    generators_unchanged,
    gpus,
    pixels,
    torch_unchanged,
)

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MAP_DIMENSIONS: Final = 4
_ODD: Final = ImageShape(channels=2, height=3, width=5)
_LEARNED_ON: Final = 24
"""Images, for features that learn."""


def _each_shape(subject: Subject) -> Iterator[tuple[Features, Tensor]]:
    """The features, and images (5, C, H, W), uint8, of each shape."""
    for shape in subject.shapes:
        yield _prepared(subject.made, subject, shape), pixels(5, shape)


def _first_shape(subject: Subject) -> Iterator[tuple[Features, Features, FeaturesInfo | None]]:
    """The features twice, and what is said of them."""
    made, other = (
        _prepared(features, subject, subject.shapes[0])
        for features in (subject.made, subject.make())
    )
    yield made, other, subject.facts(FeaturesInfo)


def _prepared(
    features: Features,
    subject: Subject,
    shape: ImageShape,
    *,
    images: int = _LEARNED_ON,
    cache: Path | None = None,
) -> Features:
    """The features, once they have learned from a few images, if they do."""
    with cache_in(cache):
        features.prepare(
            images=_split(subject, shape, images=images),
            flips=False,
            device=torch.device("cpu"),
            progress=no_progress,
        )
    return features


def _split(subject: Subject, shape: ImageShape, *, images: int) -> InMemorySplit:
    return InMemorySplit(
        all_images=pixels(images, shape),
        all_labels=torch.arange(images) % subject.classes,
        class_names=tuple(map(str, range(subject.classes))),
    )


def _with_gradient(subject: Subject) -> Iterator[tuple[Features, Tensor]]:
    facts = subject.facts(FeaturesInfo)
    if facts is None or not facts.gradient:
        pytest.skip("it does not say that it has a gradient")
    yield from _each_shape(subject)


FEATURES: Final = Suite(
    "features",
    interface=Features,
    cases=_each_shape,
    capabilities={"devices": "on a GPU they are what they are on the CPU, to 1e-3"},
)


@FEATURES.check(basis=True)
def one_vector_for_each_image(features: Features, images: Tensor) -> None:
    """`extract` returns (B, D), float32, finite, on the CPU, for odd batches of every shape."""
    lengths = set()
    for count in BATCHES:
        found = features.extract(images[:count])
        length = found.shape[-1] if isinstance(found, Tensor) and found.ndim else 0
        lengths.add(length)
        what = f"what {count} images {tuple(images.shape[1:])} give"
        assert_tensor(found, shape=(count, length), dtype=torch.float32, what=what)
        assert found.device.type == "cpu", f"{what} is on {found.device}"
    assert len(lengths) == 1, f"vectors are {sorted(lengths)} long"


@FEATURES.check()
def no_gradient(features: Features, images: Tensor) -> None:
    """Vectors carry no gradient, whatever the caller's grad mode is."""
    with torch.enable_grad():
        found = features.extract(images)
    assert not found.requires_grad, "they carry one: extract under torch.no_grad()"


@FEATURES.check()
def dimensions(features: Features, images: Tensor) -> None:
    """`dimensions` is D if that is the same for all shapes, or None."""
    said, length = features.dimensions, features.extract(images[:1]).shape[1]
    assert said in {None, length}, f"it says {said}, but vectors are {length} long"


@FEATURES.check(cases=_first_shape)
def fingerprint(features: Features, other: Features, _: FeaturesInfo | None) -> None:
    """`fingerprint` is a SHA-256 in hexadecimal that depends only on options and images."""
    said = features.fingerprint
    assert isinstance(said, str) and _SHA256.fullmatch(said), f"it is {said!r}"
    assert other.fingerprint == said, f"a second time it is {other.fingerprint!r}, not {said!r}"


@FEATURES.check(cases=lambda subject: [(subject,)])
def fingerprint_of_the_options(subject: Subject) -> None:
    """`fingerprint` differs between options that give different vectors."""
    shape = subject.shapes[0]
    images = pixels(3, shape)
    mine = _prepared(subject.make(), subject, shape)
    for other in subject.variations():
        try:
            features = _prepared(other.make(), other, shape)
            if features.fingerprint != mine.fingerprint:
                continue
            found, expected = features.extract(images), mine.extract(images)
        except (DataError, EnvironmentProblem):  # such as weights that are not here
            continue
        assert found.shape == expected.shape and torch.equal(found, expected), (
            f"with {other.example} vectors differ from those with {subject.example}, and the "
            "fingerprint is the same: compute it of every option too, or features are mixed up "
            "that were cached with others"
        )


@FEATURES.check()
def generators_unchanged_(features: Features, images: Tensor) -> None:
    """`extract` neither draws from a global generator nor seeds it."""
    with generators_unchanged("extracting"):
        features.extract(images[:1])


@FEATURES.check()
def always_the_same(features: Features, images: Tensor) -> None:
    """Vectors are deterministic, for any random state of torch."""
    first = features.extract(images)
    torch.manual_seed(1)
    again = features.extract(images)
    assert_equal(again, first, "vectors differ the second time: put the network in eval mode")


@FEATURES.check()
def images_on_their_own(features: Features, images: Tensor) -> None:
    """An image's vector does not depend on the rest of the batch, up to rounding."""
    images = torch.cat([images[:3], torch.zeros_like(images[:2])])
    assert_close(
        features.extract(images),
        torch.cat([features.extract(image[None]) for image in images]),
        "an image's vector depends on the rest of the batch: put the network in eval mode, and "
        "normalise each image by itself",
    )


@FEATURES.check()
def tells_images_apart(features: Features, images: Tensor) -> None:
    """Clearly different images have different vectors."""
    found = features.extract(images[:2])
    assert not torch.equal(found[0], found[1]), "two random images have the same"


@FEATURES.check()
def logits(features: Features, images: Tensor) -> None:
    """`extract_with_logits` returns the features of `extract`, and any logits as float32 (B, K)."""
    found = features.extract_with_logits(images)
    assert_equal(found.features, features.extract(images), "its features are not those of extract")
    assert features.has_logits == (found.logits is not None), (
        f"has_logits is {features.has_logits}, but there are "
        f"{'no logits' if found.logits is None else 'logits'}"
    )
    if found.logits is not None:
        shape = (len(images), found.logits.shape[-1])
        assert_tensor(
            found.logits, shape=shape, dtype=torch.float32, what="what it gives as logits"
        )
        assert not found.logits.requires_grad, "logits carry a gradient"


@FEATURES.check(cases=_first_shape)
def facts(features: Features, _: Features, said: FeaturesInfo | None) -> None:
    """Its info, if it has any, states whether it has logits and a gradient."""
    if said is None:
        pytest.skip("its registration does not describe it")
    assert said.logits in {None, features.has_logits}, (
        f"logits is {said.logits}, but has_logits is {features.has_logits}"
    )
    overridden = type(features).embed is not Features.embed
    assert said.gradient == overridden, (
        f"gradient is {said.gradient}, but embed is {'there' if overridden else 'not there'}: "
        "register it with describe=…, which gives FeaturesInfo(gradient=…)"
    )


@FEATURES.check(cases=_with_gradient)
def embed_equals_extract(features: Features, images: Tensor) -> None:
    """`embed` of images in [-1, 1] equals `extract` of the same images in 0…255, to 1e-4."""
    expected = features.extract(images)
    found = features.embed(from_uint8(images)).detach().cpu()
    assert_tensor(found, shape=tuple(expected.shape), dtype=torch.float32, what="a vector")
    assert_close(found, expected, "embed and extract differ")


@FEATURES.check(cases=_with_gradient)
def embed_has_a_gradient(features: Features, images: Tensor) -> None:
    """The gradient of `embed` is finite and reaches every image."""
    given = from_uint8(images).requires_grad_()
    before = given.detach().clone()
    found = features.embed(given)
    assert found.requires_grad, (
        "vectors carry no gradient: compute without torch.no_grad() and without detach()"
    )
    (gradient,) = torch.autograd.grad(found.square().sum(), given)
    assert gradient.isfinite().all(), "the gradient has values that are not finite"
    reached = int((gradient.flatten(1).abs().amax(dim=1) > 0).sum())
    assert reached == len(images), f"it reaches {reached} of {len(images)} images"
    assert_equal(given.detach(), before, "the images were changed")


@FEATURES.check(cases=_with_gradient)
def maps(features: Features, images: Tensor) -> None:
    """`maps`, if any, are finite, (B, C, h, w), float32, of each image alone, with a gradient."""
    given = from_uint8(images).requires_grad_()
    found = features.maps(given)
    alone = features.maps(given[:1])
    for one, first in zip(found, alone, strict=True):
        what = f"the map {tuple(one.shape)}"
        assert one.ndim == _MAP_DIMENSIONS, f"{what} is not (B, C, h, w)"
        assert_tensor(
            one.detach(), shape=(len(images), *one.shape[1:]), dtype=torch.float32, what=what
        )
        assert_close(first.detach(), one[:1].detach(), f"{what} depends on the rest of the batch")
        assert one.requires_grad, f"{what} carries no gradient"
        (gradient,) = torch.autograd.grad(one[0].square().sum(), given, retain_graph=True)
        reached = gradient.flatten(1).abs().amax(dim=1) > 0
        assert reached[0] and not reached[1:].any(), f"the gradient of {what} is of other images"


@FEATURES.check()
def inputs_unchanged(features: Features, images: Tensor) -> None:
    """It does not modify the images, and accepts any memory layout."""
    kept = images.clone()
    first = features.extract(images)
    assert_equal(images, kept, "the images were changed")
    other = images.contiguous(memory_format=torch.channels_last)
    assert_close(features.extract(other), first, "channels last give other vectors")


@FEATURES.check(cases=lambda subject: [(subject,)])
def prepares_once(subject: Subject) -> None:
    """`prepare` in the same cache, as in another process, changes no vector and no fingerprint."""
    for shape in subject.shapes:
        with tempfile.TemporaryDirectory() as folder:
            first, second = (
                _prepared(subject.make(), subject, shape, cache=Path(folder)) for _ in range(2)
            )
        images = pixels(3, shape)
        message = "vectors differ: read what was prepared before from the cache"
        assert_equal(second.extract(images), first.extract(images), message)
        assert second.fingerprint == first.fingerprint, "the fingerprint differs the second time"


@FEATURES.check(cases=lambda subject: [(subject,)])
def learns_what_it_says(subject: Subject) -> None:
    """`identify` tells by `trained_on` and `fingerprint` which images are learned from."""
    shape = subject.shapes[0]
    before, other = subject.make(), subject.make()
    before.identify(_split(subject, shape, images=_LEARNED_ON), flips=False)
    other.identify(_split(subject, shape, images=_LEARNED_ON + 1), flips=False)
    told_apart = before.fingerprint != other.fingerprint
    assert told_apart == (before.trained_on != other.trained_on), "one tells them apart, one not"
    trained_on = before.trained_on
    assert _prepared(before, subject, shape).trained_on == trained_on, "`prepare` changes it"
    if told_apart:
        _prepared(other, subject, shape, images=_LEARNED_ON + 1)
        assert before.fingerprint != other.fingerprint, "once learned they cannot be told apart"


@FEATURES.check(cases=lambda subject: [(subject.made, subject.shapes)])
def shapes(features: Features, promised: tuple[ImageShape, ...]) -> None:
    """`check_shape` accepts supported shapes and raises a DataError for others."""
    for shape in promised:
        try:
            features.check_shape(shape)
        except DataError as error:
            raise AssertionError(
                f"{shape} is refused: {error.what}: say Conformance(shapes=…) for which it is made"
            ) from error
    try:
        features.check_shape(_ODD)
    except DataError:
        return
    found = features.extract(pixels(1, _ODD))
    finite = len(found) == 1 and found.isfinite().all()
    assert finite, f"images of {_ODD} are accepted, but have no finite vectors"


@FEATURES.check()
def torch_unchanged_(features: Features, images: Tensor) -> None:
    """Extracting leaves torch's global settings unchanged."""
    with torch_unchanged("extracting"):
        features.extract(images[:1])


@FEATURES.check()
def autocast_changes_nothing(features: Features, images: Tensor) -> None:
    """Vectors are the same inside autocast."""
    expected = features.extract(images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = features.extract(images)
    message = "vectors differ: extract under torch.autocast(…, enabled=False)"
    assert_close(found.float(), expected, message, relative=1e-5)


@FEATURES.check(once=True)
def says_what_it_was_trained_on(features: Features, _: Tensor) -> None:
    """`trained_on` is the name of a data set, or None."""
    said = features.trained_on
    assert said is None or (isinstance(said, str) and said), f"it says {said!r}"


@FEATURES.check(capability="devices", cases=lambda subject: [(subject,)])
def devices(subject: Subject) -> None:
    """On a GPU, vectors equal those on the CPU, to 1e-3, and are returned on the CPU."""
    for device in gpus():
        images = pixels(3, subject.shapes[0])
        with tempfile.TemporaryDirectory() as folder:
            made, features = (
                _prepared(subject.make(), subject, subject.shapes[0], cache=Path(folder))
                for _ in range(2)
            )
        expected = made.extract(images)
        features.to(device)
        for given in (images, images.to(device)):
            found = features.extract(given)
            assert found.device.type == "cpu", f"vectors are on {found.device}"
            assert_close(found, expected, f"vectors on {device} differ", relative=1e-3)
