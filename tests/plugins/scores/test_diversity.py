"""Diversity of samples, by plain loops and constructed sets."""

import itertools
import math

import attrs
import pytest
import torch
from torch import Tensor

from dddm.interfaces.features import Extraction
from dddm.interfaces.plugin import NoOptions
from dddm.interfaces.score import Reference
from dddm.support.image_statistics import image_statistics
from dddm.support.noise import generator_for
from dddm_scores.distinct_nearest import DistinctNearest, distinct_share
from dddm_scores.nearest import Nearest, nearest_images
from dddm_scores.within_class import Diversity, Spread, spread


def numbers(count: int, *, seed: int, size: int = 3) -> Tensor:
    return torch.randn(count, size, generator=generator_for("diversity", seed))


def test_nearest_images_by_a_plain_loop() -> None:
    """The index too, over several blocks; of equally near ones the first."""
    query, reference = numbers(11, seed=0), numbers(17, seed=1)
    reference[16] = reference[2]
    query[4] = reference[2]
    distance_N, index_N = nearest_images(query=query, reference=reference, block=4)
    for x, distance, index in zip(query, distance_N.tolist(), index_N.tolist(), strict=True):
        each = [math.dist(x.tolist(), y.tolist()) for y in reference]
        assert distance == pytest.approx(min(each), rel=1e-6, abs=1e-9)
        assert index == each.index(min(each))


def test_distinct_nearest_counted_by_hand() -> None:
    """Five samples near three of four training images; the floor is of two held-out ones."""
    train = torch.tensor([[0.0], [10.0], [20.0], [30.0]])
    generated = Extraction(features=torch.tensor([[1.0], [-1.0], [21.0], [9.0], [2.0]]))
    reference = Reference(train=train, held_out=torch.tensor([[1.0], [2.0]]))
    score = DistinctNearest(NoOptions())
    found = score.measure(generated=generated, reference=reference)["distinct-nearest"]
    assert found.value == 3 / 5
    (floor,) = score.floors(generated=generated, reference=reference)["distinct-nearest"]
    assert (floor.name, floor.images, floor.value, floor.generated_value) == (
        "held-out",
        2,
        0.5,
        0.5,
    )
    assert not score.floors(generated=generated, reference=Reference(train=train))
    assert distinct_share(torch.tensor([7])) == 1


def test_nearest_and_distinct_nearest_share_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counting(*, query: Tensor, reference: Tensor, block: int = 4) -> tuple[Tensor, Tensor]:
        calls.append(len(query))
        return nearest_images(query=query, reference=reference, block=block)

    monkeypatch.setattr("dddm_scores.nearest.nearest_images", counting)
    both = {"generated": Extraction(features=numbers(6, seed=2))}
    reference = Reference(train=numbers(9, seed=3))
    for score in (Nearest(NoOptions()), DistinctNearest(NoOptions())):
        score.measure(**both, reference=reference)
    assert calls == [6]


LABELS, REAL_LABELS = (
    torch.tensor([0, 1, 0, 1, 1, 2, 3, 3]),
    torch.tensor([0, 0, 1, 1, 1, 2, 2, 2, 0, 3]),
)


def variance(rows: list[list[float]]) -> float:
    """Half of the mean squared distance between two different ones."""
    squares = [math.dist(x, y) ** 2 for x, y in itertools.combinations(rows, 2)]
    return sum(squares) / len(squares) / 2


def test_spread_by_plain_loops() -> None:
    """Class 2 has one generated image and class 3 one real one: neither counts."""
    own, real = numbers(8, seed=4), 3 * numbers(10, seed=5)
    s = [variance(own[k == LABELS].tolist()) for k in (0, 1)]
    r = [variance(real[k == REAL_LABELS].tolist()) for k in (0, 1)]
    expected = math.sqrt((1 * s[0] + 2 * s[1]) / (1 * r[0] + 2 * r[1]))
    found = spread(own, LABELS, real=real, real_labels=REAL_LABELS)
    assert found == pytest.approx(expected, rel=1e-6)
    whole = math.sqrt(variance(own.tolist()) / variance(real.tolist()))
    for labels in ((None, None), (LABELS, None), (None, REAL_LABELS)):
        found = spread(own, labels[0], real=real, real_labels=labels[1])
        assert found == pytest.approx(whole, rel=1e-6)
    alone = spread(own, torch.arange(8), real=real, real_labels=REAL_LABELS)
    assert alone == pytest.approx(whole, rel=1e-6)


def test_diversity_is_a_ratio_of_distances_within_classes() -> None:
    """Real images shrunk towards the means of their classes, which may lie anywhere."""
    train, label = numbers(30, seed=6), torch.arange(30) % 3
    mean_3D = torch.stack([train[label == k].mean(dim=0) for k in range(3)])
    shrunk = Extraction(
        features=100 * label[:, None] + 0.4 * (train - mean_3D[label]), labels=label
    )
    reference = Reference(train=train, train_labels=label)
    score = Diversity(NoOptions())
    found = score.measure(generated=shrunk, reference=reference)["diversity"].value
    assert found == pytest.approx(0.4, rel=1e-4)
    unlabelled = attrs.evolve(shrunk, labels=None)
    assert score.measure(generated=unlabelled, reference=reference)["diversity"].value > 10


def test_spread_of_constructed_images() -> None:
    """Half the spread of brightness, twice that of contrast; edges follow contrast."""
    brightness, contrast = torch.tensor([50.0, 100, 150, 200]), torch.tensor([10.0, 20, 30, 40])

    def images(mean: Tensor, deviation: Tensor) -> Tensor:
        """Stripes along the columns: mean ± deviation."""
        sign = torch.tensor([1.0, 1, -1, -1])
        stripes = mean[:, None] + deviation[:, None] * sign
        return stripes.round().to(torch.uint8)[:, None, None, :].repeat(1, 1, 4, 1)

    real = images(brightness, contrast)
    made = images(125 + 0.5 * (brightness - 125), 40 + 2 * (contrast - 25))
    reference = Reference(
        train=numbers(4, seed=7),
        train_image_statistics=image_statistics(real),
        held_out=numbers(4, seed=8),
        held_out_image_statistics=image_statistics(real),
    )
    generated = Extraction(features=numbers(4, seed=9), image_statistics=image_statistics(made))
    score = Spread(NoOptions())
    found = score.measure(generated=generated, reference=reference)
    assert found["mean-spread"].value == pytest.approx(0.5, abs=0.01)
    assert found["contrast-spread"].value == pytest.approx(2, abs=0.01)
    # One of each row's edges is (2d)², the same share of all pairs in both.
    before, after = (torch.tensor(each).square().std() for each in ([1.0, 2, 3, 4], [1.0, 3, 5, 7]))
    assert found["edges-spread"].value == pytest.approx(float(after / before), rel=1e-3)
    floors = score.floors(generated=generated, reference=reference)
    assert {name: floor.value for name, (floor,) in floors.items()} == {
        name: pytest.approx(1) for name in ("mean-spread", "contrast-spread", "edges-spread")
    }


def test_images_that_do_not_differ_are_finite() -> None:
    same = torch.ones(4, 1)
    assert spread(same, None, real=same, real_labels=None) == 1
    assert spread(same, None, real=numbers(4, seed=1), real_labels=None) < 1e-5
    assert math.isfinite(spread(numbers(4, seed=1), None, real=same, real_labels=None))


def test_floors_use_the_classes_of_held_out_images() -> None:
    """Where samples have classes; else all images are one."""
    train, held_out = numbers(10, seed=5), numbers(8, seed=4)
    reference = Reference(
        train=train, train_labels=REAL_LABELS, held_out=held_out, held_out_labels=LABELS
    )
    score = Diversity(NoOptions())
    for labels in (LABELS, None):
        generated = Extraction(features=held_out, labels=labels)
        (floor,) = score.floors(generated=generated, reference=reference)["diversity"]
        value = score.measure(generated=generated, reference=reference)["diversity"].value
        assert floor.value == value
