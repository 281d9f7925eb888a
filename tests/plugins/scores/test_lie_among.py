"""Precision, recall and their kin come from one comparison, against all or some training images."""

import pytest
import torch

from dddm.interfaces.features import Extraction
from dddm.interfaces.plugin import RecipeContext
from dddm.interfaces.score import Reference
from dddm_scores import neighbourhoods
from dddm_scores.neighbourhoods import (
    authenticity,
    compare_neighbourhoods,
    density_coverage,
    neighbourhoods_of,
    precision_recall,
)
from dddm_scores.options import NeighbourOptions, check_neighbours


def features(seed: int, count: int) -> torch.Tensor:
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(seed))


def test_one_comparison_serves_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same options; other options, or other images, are compared again."""
    compared = []

    def counting(*sets: object, **options: int) -> object:
        compared.append(options)
        return compare_neighbourhoods(*sets, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(neighbourhoods, "compare_neighbourhoods", counting)
    reference = Reference(train=features(0, 40), held_out=features(1, 20))
    generated = Extraction(features=features(2, 30))
    for make in (precision_recall, density_coverage, authenticity):
        score = make(NeighbourOptions())
        found = score.measure(generated=generated, reference=reference)
        floors = score.floors(generated=generated, reference=reference)
        assert set(found) == set(floors)
    assert len(compared) == 2
    precision_recall(NeighbourOptions(neighbours=5)).measure(
        generated=generated, reference=reference
    )
    other = Extraction(features=features(3, 30))
    precision_recall(NeighbourOptions()).measure(generated=other, reference=reference)
    assert len(compared) == 4


def test_some_training_images() -> None:
    """As many as the option says, and the same ones every time; the value says how many."""
    generated, train = Extraction(features=features(4, 60)), features(5, 80)
    few = precision_recall(NeighbourOptions(training_images=20))
    first, second = (
        few.measure(generated=generated, reference=Reference(train=train)) for _ in range(2)
    )
    assert first == second
    assert first["recall"].training_images == 20
    many = precision_recall(NeighbourOptions(training_images=500))
    found = many.measure(generated=generated, reference=Reference(train=train))["precision"]
    whole = compare_neighbourhoods(neighbourhoods_of(generated.features), neighbourhoods_of(train))
    assert (found.value, found.training_images) == (whole.precision, 80)


def test_too_few_training_images_for_the_neighbours() -> None:
    context = RecipeContext(data=None, tables={})
    (found,) = check_neighbours(NeighbourOptions(training_images=3), context)
    assert (found.option, found.remedy) == ("training_images", "use 4 or more")
    assert not list(check_neighbours(NeighbourOptions(training_images=4), context))
    assert not list(check_neighbours(NeighbourOptions(), context))
