"""A score has its published name exactly where it was taken on what the protocol says."""

from typing import Any

import pytest
from attrs import evolve

from dddm.scores.protocol import Protocol, Taken, warning_of

PAPER = Protocol(
    name="paper",
    features=("dddm:inception",),
    images=50_000,
    training_images=1_000_000,
    neighbour_images=10_000,
    published_names=True,
)
KEPT = Taken(
    metric="fd",
    features="dddm:inception",
    as_they_come=True,
    images=50_000,
    training_images=1_000_000,
    neighbour_images=10_000,
)


@pytest.mark.parametrize(
    ("metric", "name"),
    [("fd", "fid"), ("is", "is"), ("kid", "kid"), ("precision", "precision"), ("recall", "recall")],
)
def test_where_it_is_kept(metric: str, name: str) -> None:
    """The score is called as papers call it, and there is nothing to warn of."""
    taken = evolve(KEPT, metric=metric)
    assert taken.name(PAPER) == name
    assert warning_of(PAPER, taken.departures(PAPER)) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"images": 49_999}, "49,999 generated images, not 50,000"),
        ({"training_images": 50_000}, "50,000 training images, not 1,000,000"),
        ({"neighbour_images": 50_000}, "50,000 training images' neighbourhoods, not 10,000"),
        ({"features": "other:inception"}, "features other:inception, not dddm:inception"),
        ({"as_they_come": False}, "with options of one's own"),
    ],
)
def test_where_it_is_not(change: dict[str, Any], says: str) -> None:
    """Name and number of images stand in the name, and a sentence says what differs."""
    taken = evolve(KEPT, metric="precision", **change)
    assert taken.name(PAPER) == f"precision-inception@{taken.images}"
    warning = warning_of(PAPER, taken.departures(PAPER))
    assert warning is not None
    assert "the protocol paper" in warning
    assert warning.endswith(says)


def test_neighbourhoods_matter_to_their_kin_alone() -> None:
    """FID does not depend on how many training images have balls; without a number all have."""
    fewer = evolve(KEPT, neighbour_images=7)
    assert fewer.name(PAPER) == "fid"
    everywhere = evolve(PAPER, neighbour_images=None)
    assert list(evolve(fewer, metric="recall").departures(everywhere))
    assert evolve(KEPT, metric="recall", neighbour_images=1_000_000).name(everywhere) == "recall"


def test_a_protocol_that_others_do_not_publish() -> None:
    """The features stay in the name, its number goes; without a protocol neither."""
    ours = Protocol(name="ours", features=("a:x", "b:y"), images=10)
    taken = evolve(KEPT, features="b:y", images=10)
    assert taken.name(ours) == "fd-y"
    assert taken.name(None) == "fd-y@10"
