"""What the numbers mean."""

from typing import get_args

from dddm.scores.kinds import FEWEST, KINDS, Metric, best_of, better_of


def test_every_metric_has_a_fewest_number_of_images() -> None:
    """One for each that a recipe may name."""
    assert set(FEWEST) == set(get_args(Metric))


def test_which_value_is_best() -> None:
    """The least or the most; of copies' distances neither is, nor of what is not known."""
    assert best_of("fd", [3.0, 1.0, 2.0]) == 1
    assert best_of("precision", [0.3, 0.1, 0.2]) == 0.3
    assert best_of("nearest", [1.0, 2.0]) is None
    assert best_of("fd", []) is None
    assert better_of("of a plugin to come") == "neither"
    assert {kind.better for kind in KINDS.values()} == {"less", "more", "neither"}
