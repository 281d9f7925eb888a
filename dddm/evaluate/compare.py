"""Which scores of two runs can be compared, and why others cannot.

Weights, seed and training may differ; images, features, formula and sampler options may not.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, final

from attrs import frozen

from dddm.evaluate.record import ScoreRecord
from dddm.evaluate.verdicts import misleading


@final
@frozen(kw_only=True)
class ScorePair:
    """The same score of two runs; comparable if there are no differences.

    Attributes:
        ranks: whether the better one is; not in features that trained the loss, nor where
            samples gain by collapse or copies.
    """

    first: ScoreRecord
    second: ScoreRecord
    differences: tuple[str, ...]
    ranks: bool


@final
@frozen(kw_only=True)
class Comparison:
    """Scores of two runs.

    Attributes:
        pairs: scores of the same measure, sampler and number of steps.
        unpaired: scores that only one run has, with its number, 0 or 1.
    """

    pairs: tuple[ScorePair, ...]
    unpaired: tuple[tuple[int, ScoreRecord], ...]


def compare(first: Sequence[ScoreRecord], second: Sequence[ScoreRecord]) -> Comparison:
    """Pair the scores of two runs, in the order of the first's."""
    left = list(second)
    gained = [*misleading(first), *misleading(second)]
    pairs: list[ScorePair] = []
    unpaired: list[tuple[int, ScoreRecord]] = []
    for score in first:
        partner = next((other for other in left if _key(other) == _key(score)), None)
        if partner is None:
            unpaired.append((0, score))
        else:
            left.remove(partner)
            differences = tuple(_differences(score, partner))
            ranks = not any(one.trained_the_loss or one in gained for one in (score, partner))
            pairs.append(
                ScorePair(first=score, second=partner, differences=differences, ranks=ranks)
            )
    return Comparison(pairs=tuple(pairs), unpaired=(*unpaired, *((1, score) for score in left)))


def _key(score: ScoreRecord) -> tuple[str, str, int]:
    return (score.measure.name, score.sampler, score.steps)


# What must be equal, with its keys in the provenance.
_CONDITIONS: Final[dict[str, tuple[str, ...]]] = {
    "features": ("features", "id"),
    "the features' options": ("features", "options"),
    "the features' parts": ("features", "parts"),
    "the features' package": ("features", "package"),
    "the features' weights and layer": ("features", "fingerprint"),
    "the precision of features": ("features", "precision"),
    "the training images' contents": ("reference", "manifest"),
    "the score": ("score", "id"),
    "the score's options": ("score", "options"),
    "the score's parts": ("score", "parts"),
    "the score's package": ("score", "package"),
    "the formula": ("formula",),
    "rounding": ("samples", "rounding"),
    "images of each class": ("samples", "images_of_each_class"),
    "the sampler's options": ("samples", "sampler_options"),
}


def _conditions(score: ScoreRecord) -> dict[str, Any]:
    found = {"generated images": score.images, "training images": score.reference_images}
    for name, keys in _CONDITIONS.items():
        value: Any = score.provenance
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        found[name] = value
    return found


def _differences(first: ScoreRecord, second: ScoreRecord) -> Iterator[str]:
    others = _conditions(second)
    for name, value in _conditions(first).items():
        if value != others[name]:
            yield f"{name}: {_short(value)} and {_short(others[name])}"


def _short(value: Any) -> str:
    text = "unknown" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:28]}…{text[-28:]}"  # noqa: PLR2004 - a line
