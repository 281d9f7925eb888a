"""A score has its published name exactly where it was taken on what the protocol says."""

from typing import Any

import pytest
from attrs import evolve
from measures import FD, measure_of

from dddm.recipe.protocol import Protocol, Taken, warning_of

PAPER = Protocol(
    name="paper",
    features=("dddm:inception",),
    images=50_000,
    training_images=1_000_000,
    sampled_training_images=10_000,
    published_names=True,
)
KEPT = Taken(
    measure=FD,
    features="dddm:inception",
    as_they_come=True,
    images=50_000,
    training_images=1_000_000,
    sampled_training_images=None,
)
SAMPLED = evolve(KEPT, measure=measure_of("recall"), sampled_training_images=10_000)


@pytest.mark.parametrize(
    ("name_of_measure", "name"),
    [("fd", "fid"), ("is", "is"), ("kid", "kid"), ("precision", "precision"), ("recall", "recall")],
)
def test_where_it_is_kept(name_of_measure: str, name: str) -> None:
    """The score is called as papers call it, and there is nothing to warn of."""
    taken = evolve(KEPT, measure=measure_of(name_of_measure))
    assert taken.name(PAPER) == name
    assert warning_of(PAPER, taken.departures(PAPER)) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"images": 49_999}, "49,999 generated images, not 50,000"),
        ({"training_images": 50_000}, "50,000 training images, not 1,000,000"),
        ({"sampled_training_images": 50_000}, "50,000 sampled training images, not 10,000"),
        ({"features": "other:inception"}, "features other:inception, not dddm:inception"),
        ({"as_they_come": False}, "with options of one's own"),
    ],
)
def test_where_it_is_not(change: dict[str, Any], says: str) -> None:
    """Name and number of images stand in the name, and a sentence says what differs."""
    taken = evolve(SAMPLED, **change)
    assert taken.name(PAPER) == f"recall-inception@{taken.images}"
    warning = warning_of(PAPER, taken.departures(PAPER))
    assert warning is not None
    assert "the protocol paper" in warning
    assert warning.endswith(says)


def test_a_sample_of_training_images_matters_where_there_is_one() -> None:
    """FD is taken against all training images; without a number every score has to be."""
    assert KEPT.name(PAPER) == "fid"
    everywhere = evolve(PAPER, sampled_training_images=None)
    assert list(SAMPLED.departures(everywhere))
    assert evolve(SAMPLED, sampled_training_images=1_000_000).name(everywhere) == "recall"


def test_a_protocol_that_others_do_not_publish() -> None:
    """The features stay in the name, its number goes; without a protocol neither."""
    ours = Protocol(name="ours", features=("a:x", "b:y"), images=10)
    taken = evolve(KEPT, features="b:y", images=10)
    assert taken.name(ours) == "fd-y"
    assert taken.name(None) == "fd-y@10"
