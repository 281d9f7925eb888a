"""Features of many images: in batches, of some of them, and from the cache."""

from pathlib import Path
from typing import Any, final

import numpy as np
import pytest
import torch
from attrs import evolve, frozen
from together import together
from torch import Tensor

from dddm.evaluate import extract as extraction
from dddm.evaluate.extract import (
    EvaluationContext,
    RealFeatures,
    extract,
    extract_together,
    real_features,
)
from dddm.interfaces.dataset import Split
from dddm.interfaces.features import Extraction, Features
from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import Kind, NoOptions, option
from dddm.recipe.model import ComponentConfig
from dddm.registry.component import Component
from dddm.support.moments import statistics_of
from dddm.training.events import EventBus
from dddm.training.stopping import StopRequest
from dddm_datasets.digits import Digits
from dddm_features.digits_classifier import DigitsClassifier

CPU = EvaluationContext(events=EventBus(), device=torch.device("cpu"), stop=StopRequest())
IDENTITY: dict[str, Any] = {"id": "toy:features"}


@final
class Counting(Features):
    dimensions = 64
    fingerprint = "counting"

    def __init__(self) -> None:
        self.seen = 0

    def check_shape(self, shape: ImageShape) -> None:
        pass

    def extract(self, images: Tensor) -> Tensor:
        self.seen += len(images)
        return images.flatten(1).float()


def reference(*given: Any, **named: Any) -> RealFeatures:
    """In the only process."""
    found = real_features(*given, **named)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def train() -> Split:
    return Digits(NoOptions()).splits()["train"]


@pytest.mark.parametrize("images", [100, 256, 257, 1500])
@pytest.mark.parametrize("count", [2, 3])
def test_several_processes_extract_what_one_does(train: Split, images: int, count: int) -> None:
    """In the first of them, in order, however few batches there are; the others need none."""
    expected = extract(DigitsClassifier(NoOptions()), train, index=torch.arange(images))
    seen = [0] * count

    def work(processes: Any) -> Extraction | None:
        features = DigitsClassifier(NoOptions())
        return extract_together(
            features,
            train,
            index=torch.arange(images),
            processes=processes,
            progress=lambda done: seen.__setitem__(processes.rank, done),
        )

    first, *others = together(work, count=count)
    assert others == [None] * (count - 1)
    for name in ("features", "logits", "image_statistics", "labels"):
        assert torch.equal(getattr(first, name), getattr(expected, name)), name
    batches = -(-images // extraction.BATCH_IMAGES)
    assert sum(done > 0 for done in seen) == min(batches, count)


def test_several_processes_share_the_reference(train: Split) -> None:
    """Mean and covariance over all images, those whose features are not kept among them."""
    alone = reference(Counting(), train, identity=IDENTITY, context=CPU, max_kept=100)
    counting = [Counting() for _ in range(3)]

    def work(processes: Any) -> Any:
        context = evolve(CPU, processes=processes)
        features = counting[processes.rank]
        return real_features(features, train, identity=IDENTITY, context=context, max_kept=100)

    first, *others = together(work, count=3)
    assert others == [None, None]
    assert torch.equal(first.kept.features, alone.kept.features)
    np.testing.assert_allclose(first.statistics.mean, alone.statistics.mean, rtol=1e-12)
    np.testing.assert_allclose(
        first.statistics.covariance, alone.statistics.covariance, rtol=1e-9, atol=1e-9
    )
    assert sum(one.seen for one in counting) == len(train)
    assert all(one.seen >= 256 for one in counting)


def test_a_split_and_its_images_give_the_same(train: Split) -> None:
    """In order, beyond one batch, with logits; chosen images are those of the whole."""
    features = DigitsClassifier(NoOptions())
    images = train.images(torch.arange(1500))
    whole = extract(features, train)
    assert torch.equal(whole.features, extract(features, images).features)
    assert whole.logits is not None
    assert whole.logits.shape == (1500, 10)
    some = extract(features, train, index=torch.tensor([700, 3]))
    assert torch.equal(some.features, whole.features[[700, 3]])


def test_of_a_large_set_some_features_are_kept(train: Split) -> None:
    """Statistics are over all images, to 1e-9; the kept ones are drawn by lot, in order."""
    features = DigitsClassifier(NoOptions())
    whole = extract(features, train).features
    found = reference(features, train, identity=IDENTITY, context=CPU, max_kept=300)
    expected = statistics_of(whole)
    np.testing.assert_allclose(found.statistics.mean, expected.mean, rtol=1e-9)
    np.testing.assert_allclose(found.statistics.covariance, expected.covariance, atol=1e-9)
    assert found.images == 1500
    assert len(found.kept.features) == 300
    rows = (found.kept.features[:, None] == whole[None]).all(-1).nonzero()[:, 1]
    assert len(rows) >= 300
    again = reference(features, train, identity=IDENTITY, context=CPU, max_kept=300)
    assert torch.equal(again.kept.features, found.kept.features)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, in which everything is worth keeping."""
    monkeypatch.setenv("DDDM_CACHE", str(tmp_path))
    monkeypatch.setattr(extraction, "_CACHE_FROM_SECONDS", 0.0)
    return tmp_path / "features"


def assert_equal(one: Extraction, other: Extraction) -> None:
    assert torch.equal(one.features, other.features)
    assert (one.logits is None) == (other.logits is None)


def test_what_took_long_is_computed_once(train: Split, cache: Path) -> None:
    """The second time nothing is looked at; another count, or damage, makes it anew."""
    features = Counting()
    first = reference(features, train, identity=IDENTITY, context=CPU)
    assert features.seen == 1500
    (file,) = cache.iterdir()
    second = reference(features, train, identity=IDENTITY, context=CPU)
    assert features.seen == 1500
    assert_equal(first.kept, second.kept)
    np.testing.assert_array_equal(first.statistics.covariance, second.statistics.covariance)
    reference(features, train, identity=IDENTITY, context=CPU, max_kept=100)
    assert features.seen == 3000
    contents = file.read_bytes()
    file.write_bytes(contents[:-1] + bytes([contents[-1] ^ 1]))
    third = reference(features, train, identity=IDENTITY, context=CPU)
    assert features.seen == 4500
    assert_equal(first.kept, third.kept)
    assert file.read_bytes() == contents


@final
class Scaled(Features):
    """Pixels times an option that its fingerprint leaves out."""

    dimensions = None
    fingerprint = "a" * 64

    def __init__(self, options: "ScaledOptions") -> None:
        self._scale = options.scale

    def check_shape(self, shape: ImageShape) -> None:
        pass

    def extract(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1).float() * self._scale


@frozen(kw_only=True)
class ScaledOptions:
    scale: float = option(1.0, above=0, help="How much.")


def test_an_option_that_a_fingerprint_leaves_out_is_in_the_key(train: Split, cache: Path) -> None:
    """So is the package's version: another option's features are never taken from the cache."""
    component = Component(
        kind=Kind.FEATURES,
        name="scaled",
        namespace="toy",
        target="nowhere:X",
        options=ScaledOptions,
        summary="",
        plugin="toy",
        package="toys",
        version="1",
    )
    uses = [
        ComponentConfig(component=component, options=ScaledOptions(scale=scale))
        for scale in (1.0, 3.0)
    ]
    uses.append(ComponentConfig(component=evolve(component, version="2"), options=ScaledOptions()))
    found = [
        reference(Scaled(use.options), train, identity=use.identity, context=CPU) for use in uses
    ]
    assert torch.equal(3 * found[0].kept.features, found[1].kept.features)
    assert len(list(cache.iterdir())) == 3
    again = reference(Scaled(uses[1].options), train, identity=uses[1].identity, context=CPU)
    assert_equal(again.kept, found[1].kept)
    assert len(list(cache.iterdir())) == 3


def test_a_cache_that_cannot_be_written_to_is_none(
    train: Split, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then features are computed each time, and nothing is said."""
    cache.parent.joinpath("features").write_text("in the way")
    features = Counting()
    reference(features, train, identity=IDENTITY, context=CPU)
    reference(features, train, identity=IDENTITY, context=CPU)
    assert features.seen == 3000


def test_what_is_quick_is_not_kept(
    train: Split, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "_CACHE_FROM_SECONDS", 3600.0)
    reference(Counting(), train, identity=IDENTITY, context=CPU)
    assert not cache.exists()
