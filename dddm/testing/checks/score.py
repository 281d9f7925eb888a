"""What a score promises; see `dddm.interfaces.score`.

It is tested on made-up features: images like the real ones, images far off, and one image again
and again with little noise.

Legend: N generated images, D feature dimensions.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, final, get_args

import pytest
import torch
from attrs import evolve, frozen

from dddm.interfaces.features import Extraction
from dddm.interfaces.info import Better, ScoreInfo
from dddm.interfaces.measurement import Floor, Measurement
from dddm.interfaces.score import Reference, Score
from dddm.support.image_statistics import IMAGE_STATISTICS
from dddm.testing.check import Suite
from dddm.testing.subject import Subject
from dddm.testing.tensors import assert_equal, generators_unchanged, noise, torch_unchanged

_DIMENSIONS: Final = 6
_CLASSES: Final = 4
_STATISTICS: Final = len(IMAGE_STATISTICS)
_IMAGES: Final = 48
_FAR: Final = 8.0
_NEARLY_ALIKE: Final = 0.01
_SURE: Final = 8.0
_LITTLE: Final = 0.2
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FLOORS: Final = frozenset({"resample", "training", "held-out"})


def _logits(count: int) -> torch.Tensor:
    """Confident predictions of each class in turn, (N, classes)."""
    return _SURE * torch.eye(_CLASSES)[torch.arange(count) % _CLASSES]


def _labels(count: int) -> torch.Tensor:
    return torch.arange(count) % _CLASSES


def _real(count: int, *, seed: int) -> Extraction:
    """Real images: new ones for each seed."""
    return Extraction(
        features=noise(count, _DIMENSIONS, seed=seed),
        logits=_logits(count),
        image_statistics=noise(count, _STATISTICS, seed=seed),
        labels=_labels(count),
    )


def _far_off(count: int) -> Extraction:
    """Images that look like nothing real, of which no class is sure."""
    features = noise(count, _DIMENSIONS, seed=3) * 2 + _FAR
    return Extraction(
        features=features,
        logits=torch.zeros(count, _CLASSES),
        image_statistics=_FAR * noise(count, _STATISTICS, seed=3),
        labels=_labels(count),
    )


def _collapsed(count: int) -> Extraction:
    """The first training image again and again, nearly."""
    first = noise(count, _DIMENSIONS, seed=0)[:1]
    features = first + _NEARLY_ALIKE * noise(count, _DIMENSIONS, seed=4)
    return Extraction(
        features=features,
        logits=_logits(1).expand(count, _CLASSES).clone(),
        image_statistics=_NEARLY_ALIKE * noise(count, _STATISTICS, seed=4),
        labels=_labels(count),
    )


def _reference(count: int, *, held_out: int | None = None) -> Reference:
    """Training images, and others held out."""
    train = _real(count, seed=0)
    other = None if held_out is None else _real(held_out, seed=1)
    return Reference(
        train=train.features,
        train_logits=train.logits,
        held_out=None if other is None else other.features,
        held_out_logits=None if other is None else other.logits,
        train_image_statistics=train.image_statistics,
        held_out_image_statistics=None if other is None else other.image_statistics,
        train_labels=train.labels,
        held_out_labels=None if other is None else other.labels,
    )


@final
@frozen(kw_only=True)
class _Measured:
    """A score, its facts, and how many images it is tested with."""

    score: Score
    facts: ScoreInfo
    count: int

    @property
    def generated(self) -> Extraction:
        return _real(self.count, seed=2)

    def measure(
        self, generated: Extraction, reference: Reference | None = None
    ) -> Mapping[str, Measurement]:
        against = _reference(self.count) if reference is None else reference
        return self.score.measure(generated=generated, reference=against)

    def values(self, generated: Extraction) -> dict[str, float]:
        return {name: one.value for name, one in self.measure(generated).items()}


def _cases(subject: Subject) -> Iterator[tuple[_Measured]]:
    facts = subject.facts(ScoreInfo)
    if facts is None or not facts.measures:
        pytest.skip("it does not say what it measures: see score.says-what-it-measures")
    count = max(_IMAGES, 2 * facts.fewest_images)
    yield (_Measured(score=subject.made, facts=facts, count=count),)


SCORE: Final = Suite("score", interface=Score, cases=_cases)


@SCORE.check(once=True, cases=lambda subject: [(subject.facts(ScoreInfo),)])
def says_what_it_measures(facts: ScoreInfo | None) -> None:
    """`describe` returns a `ScoreInfo` of measures with distinct names, words and a direction."""
    assert facts is not None and facts.measures, (
        "its info has no measures: register it with describe=…, which returns "
        "ScoreInfo(measures=(…,))"
    )
    names = [measure.name for measure in facts.measures]
    assert len(set(names)) == len(names), f"measures share a name: {', '.join(names)}"
    assert facts.fewest_images >= 1, f"fewest_images is {facts.fewest_images}"
    for measure in facts.measures:
        named = _NAME.fullmatch(measure.name)
        assert named, f"a measure is called {measure.name!r}: join lower-case words by hyphens"
        assert measure.better in get_args(Better), f"better is {measure.better!r}"
        explained = measure.words.strip() and measure.explained.strip()
        assert explained, f"{measure.name} has no words, or is not explained"


@SCORE.check(basis=True)
def gives_what_it_says(of: _Measured) -> None:
    """`measure` returns exactly the measures of its info, each with finite floats."""
    found = of.measure(of.generated)
    wanted = {measure.name for measure in of.facts.measures}
    same = isinstance(found, Mapping) and set(found) == wanted
    assert same, f"it gives {sorted(found)}, but says that it gives {sorted(wanted)}"
    for name, one in found.items():
        assert isinstance(one, Measurement), f"{name} is a {type(one).__name__}"
        _assert_number(one.value, f"the value of {name}")
        for detail, value in one.details.items():
            _assert_number(value, f"{detail} of {name}")
        try:
            json.dumps(one.formula, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise AssertionError(
                f"the formula of {name} cannot be written as JSON: {error}"
            ) from error


def _assert_number(value: Any, what: str) -> None:
    assert isinstance(value, float) and math.isfinite(value), f"{what} is {value!r}"


@SCORE.check()
def fewest_images(of: _Measured) -> None:
    """`fewest_images` generated and training images are enough."""
    fewest = of.facts.fewest_images
    try:
        found = of.measure(_real(fewest, seed=2), _reference(fewest))
    except Exception as error:
        raise AssertionError(
            f"{fewest} images cannot be measured: {error!r}: say in ScoreInfo(fewest_images=…) "
            "how many it takes"
        ) from error
    for name, one in found.items():
        _assert_number(one.value, f"{name} of {fewest} images")


@SCORE.check()
def real_images_are_better(of: _Measured) -> None:
    """Images like the training images score better than distant ones or one repeated."""
    good = of.values(of.generated)
    far, one = of.values(_far_off(of.count)), of.values(_collapsed(of.count))
    for measure in of.facts.measures:
        name, sign = measure.name, -1 if measure.better == "less" else 1
        better = any(sign * good[name] > sign * bad[name] for bad in (far, one))
        assert better or measure.better == "neither", (
            f"{name} is {good[name]:.4g} of images like the training images, {far[name]:.4g} of "
            f"images far off and {one[name]:.4g} of one image; {measure.better} is better: correct "
            "Measure(better=…)"
        )


@SCORE.check(cases=lambda subject: [(*case, subject) for case in _cases(subject)])
def always_the_same(of: _Measured, subject: Subject) -> None:
    """Values are deterministic, for any random state of torch."""
    first = of.values(of.generated)
    torch.manual_seed(1)
    second: Score = subject.make()
    again = second.measure(generated=of.generated, reference=_reference(of.count))
    for name, value in first.items():
        assert again[name].value == value, (
            f"a second time {name} is {again[name].value!r}, not {value!r}: draw from "
            "dddm.support.noise.generator_for, seeded by what it is for"
        )


@SCORE.check()
def order_of_images(of: _Measured) -> None:
    """The order of images changes a value by at most a fifth of its distance to noise's."""
    generated = of.generated
    assert generated.logits is not None
    assert generated.image_statistics is not None
    assert generated.labels is not None
    turned = Extraction(
        features=generated.features.flip(0),
        logits=generated.logits.flip(0),
        image_statistics=generated.image_statistics.flip(0),
        labels=generated.labels.flip(0),
    )
    here, there, far = of.values(generated), of.values(turned), of.values(_far_off(of.count))
    for name, value in here.items():
        most = _LITTLE * max(abs(value - far[name]), abs(value), 1e-6)
        assert abs(value - there[name]) <= most, (
            f"{name} is {value:.4g}, but {there[name]:.4g} in another order: sample images at "
            "random, or take all"
        )


@SCORE.check()
def inputs_unchanged(of: _Measured) -> None:
    """It does not modify the features."""
    generated, reference = of.generated, _reference(of.count, held_out=of.count)
    of.score.measure(generated=generated, reference=reference)
    of.score.floors(generated=generated, reference=reference)
    assert_equal(generated.features, of.generated.features, "the generated features were changed")
    real = _reference(of.count)
    assert_equal(reference.train, real.train, "the real ones were changed")


@SCORE.check()
def logits_only_where_said(of: _Measured) -> None:
    """It needs logits only if its info says so."""
    if of.facts.logits:
        pytest.skip("its info says that it needs logits")
    try:
        reference = _reference(of.count)
        reference.train_logits = None
        of.measure(evolve(of.generated, logits=None), reference)
    except Exception as error:
        raise AssertionError(
            f"features without logits cannot be measured: {error!r}: say ScoreInfo(logits=True)"
        ) from error


@SCORE.check()
def floors(of: _Measured) -> None:
    """`floors` returns finite floors of known names for measures of its info, or none."""
    wanted = {measure.name for measure in of.facts.measures}
    for reference in (_reference(of.count), _reference(of.count, held_out=of.count // 2)):
        found = of.score.floors(generated=of.generated, reference=reference)
        assert set(found) <= wanted, f"there are floors of {sorted(found)}, not of {sorted(wanted)}"
        for name, floor in ((name, floor) for name, those in found.items() for floor in those):
            assert isinstance(floor, Floor), f"{name} has a {type(floor).__name__} as a floor"
            assert floor.name in _FLOORS, f"{name} has a floor called {floor.name!r}"
            _assert_number(floor.value, f"the floor {floor.name} of {name}")


@SCORE.check()
def torch_unchanged_(of: _Measured) -> None:
    """Measuring leaves torch's global settings unchanged."""
    with torch_unchanged("measuring"):
        of.measure(of.generated)


@SCORE.check()
def generators_unchanged_(of: _Measured) -> None:
    """`measure` neither draws from a global generator nor seeds it."""
    with generators_unchanged("measuring"):
        of.measure(of.generated)
