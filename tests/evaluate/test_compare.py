"""What may be compared is compared, and of the rest it is said why not."""

from typing import Any

import attrs
import pytest
from measures import measure_of

from dddm.evaluate.compare import compare
from dddm.evaluate.record import ScoreRecord

PROVENANCE: dict[str, Any] = {
    "features": {"id": "dddm:pixels", "fingerprint": "f" * 64, "precision": "float32"},
    "reference": {"manifest": "m" * 64},
    "score": {"options": {"k": 3}},
    "formula": {"ddof": 1},
    "samples": {
        "rounding": "uint8, rounded",
        "images_of_each_class": [5, 5],
        "sampler_options": {"clamp": True},
        "checkpoint": {"sha256": "a" * 64},
        "seed": 0,
    },
}


def score(name: str = "fd", steps: int = 1, value: float = 2.0, **changes: Any) -> ScoreRecord:
    """A score; changes name a table of the provenance, or a field."""
    provenance = {
        name: {**table, **changes.pop(name, {})} if isinstance(table, dict) else table
        for name, table in PROVENANCE.items()
    }
    fields = {
        "measure": measure_of(name),
        "name": f"{name}-pixels@10",
        "value": value,
        "sampler": "fixed-time",
        "steps": steps,
        "images": 10,
        "reference_images": 100,
        "floors": (),
        "provenance": provenance,
    }
    return ScoreRecord(**{**fields, **changes})


def test_like_scores_of_other_weights_and_seeds_are_compared() -> None:
    """Checkpoint and seed are what one compares; order does not matter."""
    one = [score(), score(steps=2, value=1.0), score("nearest")]
    other = [
        score(steps=2, value=3.0, samples={"seed": 1, "checkpoint": {"sha256": "b" * 64}}),
        score(value=4.0),
    ]
    found = compare(one, other)
    assert [(pair.first.value, pair.second.value, pair.differences) for pair in found.pairs] == [
        (2.0, 4.0, ()),
        (1.0, 3.0, ()),
    ]
    assert found.unpaired == ((0, one[2]),)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"images": 20}, "generated images: 10 and 20"),
        ({"reference_images": 50}, "training images: 100 and 50"),
        ({"features": {"options": {"c": 1}}}, "the features' options: unknown and {'c': 1}"),
        ({"features": {"package": "x 2"}}, "the features' package: unknown and x 2"),
        ({"score": {"options": {"k": 5}}}, "the score's options: {'k': 3} and {'k': 5}"),
        ({"features": {"fingerprint": "e" * 64}}, "the features' weights and layer: ffff"),
        ({"reference": {"manifest": "n" * 64}}, "the training images' contents: mmmm"),
        ({"formula": {"ddof": 0}}, "the formula: {'ddof': 1} and {'ddof': 0}"),
        ({"samples": {"rounding": "truncated"}}, "rounding: uint8, rounded and truncated"),
        ({"samples": {"images_of_each_class": [10, 0]}}, "images of each class: [5, 5] and"),
        ({"samples": {"sampler_options": None}}, "the sampler's options: {'clamp': True} and unk"),
    ],
)
def test_what_differs_is_named(changed: dict[str, Any], says: str) -> None:
    (pair,) = compare([score()], [score(**changed)]).pairs
    (sentence,) = pair.differences
    assert sentence.startswith(says)
    assert len(sentence) < 180


def test_scores_from_before_are_not_known_to_be_alike() -> None:
    """Without provenance on one side nothing is taken for equal."""
    bare = attrs.evolve(score(), provenance={})
    (pair,) = compare([score()], [bare]).pairs
    assert len(pair.differences) == 9
    assert all("unknown" in sentence for sentence in pair.differences)
