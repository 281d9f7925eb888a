"""What a score promises; see `dddm.interfaces.score`.

It is tried on made-up features: images like the real ones, images far off, and one image with
little noise again and again.

Legend: N generated images, M training images, K held-out ones, D feature dimensions.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final, get_args

import torch

from dddm.interfaces.features import Extraction
from dddm.interfaces.info import Better, ScoreInfo
from dddm.interfaces.measurement import Floor, Measurement
from dddm.interfaces.score import Reference, Score
from dddm.testing.check import ConformanceFailure, Suite, expect
from dddm.testing.material import expect_equal, noise
from dddm.testing.subject import LeftOut, Subject
from dddm.testing.torch_state import expect_torch_as_before, torch_state

SCORE: Final = Suite("score")

_DIMENSIONS: Final = 6
_CLASSES: Final = 4
_IMAGES: Final = 48
_FAR: Final = 8.0
_NEARLY_ALIKE: Final = 0.01
_SURE: Final = 8.0
_LITTLE: Final = 0.2
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FLOORS: Final = frozenset({"resample", "training", "held-out"})


def _score(subject: Subject) -> Score:
    score: Score = subject.made
    return score


def _facts(subject: Subject) -> ScoreInfo:
    facts = subject.component.info(ScoreInfo, subject.use.options)
    if facts is None or not facts.measures:
        raise LeftOut("it does not say what it measures: see score.says-what-it-measures")
    return facts


def _images(subject: Subject) -> int:
    return max(_IMAGES, 2 * _facts(subject).fewest_images)


def _logits(count: int) -> torch.Tensor:
    """Sure guesses of each class in turn, (N, classes)."""
    return _SURE * torch.eye(_CLASSES)[torch.arange(count) % _CLASSES]


def _real(count: int, *, seed: int) -> Extraction:
    """Real images: new ones for each seed."""
    return Extraction(features=noise(count, _DIMENSIONS, seed=seed), logits=_logits(count))


def _far_off(count: int) -> Extraction:
    """Images that look like nothing real, of which no class is sure."""
    features = noise(count, _DIMENSIONS, seed=3) * 2 + _FAR
    return Extraction(features=features, logits=torch.zeros(count, _CLASSES))


def _collapsed(count: int) -> Extraction:
    """The first training image again and again, nearly."""
    first = noise(count, _DIMENSIONS, seed=0)[:1]
    features = first + _NEARLY_ALIKE * noise(count, _DIMENSIONS, seed=4)
    return Extraction(features=features, logits=_logits(1).expand(count, _CLASSES).clone())


def _reference(count: int, *, held_out: int | None = None) -> Reference:
    """Training images, the first rows of one table of noise; and others held out."""
    train = _real(count, seed=0)
    other = None if held_out is None else _real(held_out, seed=1)
    return Reference(
        train=train.features,
        train_logits=train.logits,
        held_out=None if other is None else other.features,
        held_out_logits=None if other is None else other.logits,
    )


def _measured(
    subject: Subject, generated: Extraction, reference: Reference | None = None
) -> Mapping[str, Measurement]:
    against = _reference(_images(subject)) if reference is None else reference
    return _score(subject).measure(generated=generated, reference=against)


def _values(subject: Subject, generated: Extraction) -> dict[str, float]:
    return {name: one.value for name, one in _measured(subject, generated).items()}


@SCORE.check(once=True)
def says_what_it_measures(subject: Subject) -> None:
    """`describe` gives `ScoreInfo`: measures with names of their own, words and a direction."""
    facts = subject.component.info(ScoreInfo, subject.use.options)
    if facts is None or not facts.measures:
        raise ConformanceFailure(
            "there are no facts, or none with a measure",
            remedy="register with describe=…, which gives ScoreInfo(measures=(…,))",
        )
    names = [measure.name for measure in facts.measures]
    expect(len(set(names)) == len(names), f"measures share a name: {', '.join(names)}")
    expect(facts.fewest_images >= 1, f"fewest_images is {facts.fewest_images}")
    for measure in facts.measures:
        expect(
            _NAME.fullmatch(measure.name) is not None,
            f"a measure is called {measure.name!r}",
            remedy="join lower-case words by hyphens",
        )
        expect(measure.better in get_args(Better), f"better is {measure.better!r}")
        expect(
            bool(measure.words.strip()) and bool(measure.explained.strip()),
            f"{measure.name} has no words, or is not explained",
        )


@SCORE.check(basis=True)
def gives_what_it_says(subject: Subject) -> None:
    """`measure` gives exactly the measures of its facts, each a finite float with plain details."""
    found = _measured(subject, _real(_images(subject), seed=2))
    wanted = {measure.name for measure in _facts(subject).measures}
    expect(
        isinstance(found, Mapping) and set(found) == wanted,
        f"it gives {sorted(found)}, and says that it gives {sorted(wanted)}",
    )
    for name, one in found.items():
        expect(isinstance(one, Measurement), f"{name} is {type(one).__name__}, not a Measurement")
        _expect_number(one.value, f"the value of {name}")
        for detail, value in one.details.items():
            _expect_number(value, f"{detail} of {name}")
        try:
            json.dumps(one.formula, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ConformanceFailure(
                f"the formula of {name} cannot be written as JSON: {error}"
            ) from error


def _expect_number(value: Any, what: str) -> None:
    expect(isinstance(value, float), f"{what} is {type(value).__name__}, not a float")
    expect(math.isfinite(value), f"{what} is {value}")


@SCORE.check()
def fewest_images(subject: Subject) -> None:
    """It measures `fewest_images` generated images against as many training images."""
    fewest = _facts(subject).fewest_images
    try:
        found = _measured(subject, _real(fewest, seed=2), _reference(fewest))
    except Exception as error:
        raise ConformanceFailure(
            f"of {fewest} images it cannot be measured: {error!r}",
            remedy="say in ScoreInfo(fewest_images=…) how many it takes",
        ) from error
    for name, one in found.items():
        _expect_number(one.value, f"{name} of {fewest} images")


@SCORE.check()
def real_images_are_better(subject: Subject) -> None:
    """Images like the training images are better than images far off, or than one all the time."""
    count = _images(subject)
    good = _values(subject, _real(count, seed=2))
    bad = [_values(subject, one) for one in (_far_off(count), _collapsed(count))]
    for measure in _facts(subject).measures:
        if measure.better == "neither":
            continue
        name = measure.name
        sign = -1 if measure.better == "less" else 1
        expect(
            any(sign * good[name] > sign * one[name] for one in bad),
            f"{name} is {good[name]:.4g} of images like the training images, {bad[0][name]:.4g} "
            f"of images far off and {bad[1][name]:.4g} of one image; {measure.better} is better",
            remedy="say in Measure(better=…) which of two values speaks for the samples",
        )


@SCORE.check()
def always_the_same(subject: Subject) -> None:
    """The same sets have the same values every time, whatever torch's random state is."""
    generated = _real(_images(subject), seed=2)
    first = _values(subject, generated)
    torch.manual_seed(1)
    again: Score = subject.make()
    second = again.measure(
        generated=Extraction(features=generated.features, logits=generated.logits),
        reference=_reference(_images(subject)),
    )
    for name, value in first.items():
        expect(
            second[name].value == value,
            f"a second time {name} is {second[name].value!r}, not {value!r}",
            remedy="draw from dddm.support.noise.generator_for, seeded by what it is for",
        )


@SCORE.check()
def order_of_images(subject: Subject) -> None:
    """The order of generated images matters by less than a fifth of how far off noise is."""
    count = _images(subject)
    generated, backwards = _real(count, seed=2), torch.arange(count - 1, -1, -1)
    assert generated.logits is not None
    turned = Extraction(features=generated.features[backwards], logits=generated.logits[backwards])
    here, there = _values(subject, generated), _values(subject, turned)
    far = _values(subject, _far_off(count))
    for name, value in here.items():
        most = _LITTLE * max(abs(value - far[name]), abs(value), 1e-6)
        expect(
            abs(value - there[name]) <= most,
            f"{name} is {value:.4g}, and {there[name]:.4g} in another order",
            remedy="sample images at random, or take all",
        )


@SCORE.check()
def inputs_unchanged(subject: Subject) -> None:
    """It changes neither the generated images' features nor the real ones'."""
    count = _images(subject)
    generated, reference = _real(count, seed=2), _reference(count, held_out=count)
    _score(subject).measure(generated=generated, reference=reference)
    _score(subject).floors(generated=generated, reference=reference)
    expect_equal(
        generated.features, _real(count, seed=2).features, "the generated features were changed"
    )
    expect_equal(reference.train, _real(count, seed=0).features, "the real ones were changed")


@SCORE.check()
def logits_only_where_said(subject: Subject) -> None:
    """Without `probabilities` in its facts it needs no logits."""
    if _facts(subject).probabilities:
        raise LeftOut("it says that it needs logits")
    count = _images(subject)
    try:
        _measured(
            subject,
            Extraction(features=_real(count, seed=2).features),
            Reference(train=_real(count, seed=0).features),
        )
    except Exception as error:
        raise ConformanceFailure(
            f"features without logits cannot be measured: {error!r}",
            remedy="say ScoreInfo(probabilities=True)",
        ) from error


@SCORE.check()
def floors(subject: Subject) -> None:
    """`floors` gives finite floors of known names for measures of its facts, or none."""
    count = _images(subject)
    wanted = {measure.name for measure in _facts(subject).measures}
    for reference in (_reference(count), _reference(count, held_out=count // 2)):
        found = _score(subject).floors(generated=_real(count, seed=2), reference=reference)
        expect(
            set(found) <= wanted, f"there are floors of {sorted(found)}, not of {sorted(wanted)}"
        )
        for name, those in found.items():
            for floor in those:
                expect(isinstance(floor, Floor), f"{name} has a {type(floor).__name__} as a floor")
                expect(floor.name in _FLOORS, f"{name} has a floor called {floor.name!r}")
                _expect_number(floor.value, f"the floor {floor.name} of {name}")


@SCORE.check()
def torch_unchanged(subject: Subject) -> None:
    """Measuring changes none of torch's settings that hold for the whole process."""
    before = torch_state()
    _measured(subject, _real(_images(subject), seed=2))
    expect_torch_as_before(before, after="it measured")
