"""Which scores there are, and what their numbers mean.  Imports no torch."""

from typing import Final, Literal, final

from attrs import frozen

Better = Literal["less", "more", "neither"]

IS_SPLITS: Final = 10
"""Parts that an Inception Score is averaged over."""
NEIGHBOURS: Final = 3
"""k: a ball reaches to the k-th nearest neighbour."""


@final
@frozen(kw_only=True)
class ScoreKind:
    """One number that is measured.

    Attributes:
        words: what it is called in tables.
        better: which of two values speaks for the samples.
        explained: a sentence for people who read the number.
    """

    words: str
    better: Better
    explained: str


KINDS: Final[dict[str, ScoreKind]] = {
    "fd": ScoreKind(
        words="Fréchet distance",
        better="less",
        explained="compares mean and covariance of generated and training images",
    ),
    "kid": ScoreKind(
        words="Kernel distance",
        better="less",
        explained="compares all moments up to the third, and does not depend on how many images "
        "there are; about 0 cannot be told from the training images",
    ),
    "is": ScoreKind(
        words="Inception Score",
        better="more",
        explained="how surely classes are recognised and how evenly they occur; it knows nothing "
        "of the training images",
    ),
    "precision": ScoreKind(
        words="Precision",
        better="more",
        explained="share of generated images that lie among training images",
    ),
    "recall": ScoreKind(
        words="Recall",
        better="more",
        explained="share of training images that lie among generated ones",
    ),
    "density": ScoreKind(
        words="Density",
        better="more",
        explained="how many training images have a generated one near them, on average; about 1 "
        "for new images of the same kind",
    ),
    "coverage": ScoreKind(
        words="Coverage",
        better="more",
        explained="share of training images with a generated one near them",
    ),
    "authenticity": ScoreKind(
        words="Authenticity",
        better="more",
        explained="share of generated images that are farther from their nearest training image "
        "than that one is from the others; copies have 0",
    ),
    "nearest": ScoreKind(
        words="Nearest",
        better="neither",
        explained="median distance to the nearest training image; copies have 0",
    ),
}
"""By the name that a score carries in `scores.json`."""

Metric = Literal[
    "fd", "kid", "is", "precision-recall", "density-coverage", "authenticity", "nearest"
]
"""What `evaluate.metrics` may name; two of them are pairs of scores."""

FEWEST: Final[dict[Metric, int]] = {
    "fd": 2,
    "kid": 2,
    "is": IS_SPLITS,
    "precision-recall": NEIGHBOURS + 1,
    "density-coverage": NEIGHBOURS + 1,
    "authenticity": NEIGHBOURS + 1,
    "nearest": 1,
}
"""Images without which there is no such score."""


def better_of(metric: str) -> Better:
    """Which of two values of a score speaks for the samples; `neither` for an unknown one."""
    kind = KINDS.get(metric)
    return "neither" if kind is None else kind.better


def best_of(metric: str, values: list[float]) -> float | None:
    """The best of some values; None where none is better than another."""
    better = better_of(metric)
    if better == "neither" or not values:
        return None
    return min(values) if better == "less" else max(values)
