"""Which scores of two runs can be compared, and why others cannot.

Weights, seed and training may differ; images, features, formula and sampler options may not.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, final

from attrs import frozen

from dddm.evaluate.record import ScoreRecord


@final
@frozen(kw_only=True)
class Pair:
    """The same score of two runs.

    Attributes:
        why_not: why they cannot be compared; empty if they can.
    """

    one: ScoreRecord
    other: ScoreRecord
    why_not: tuple[str, ...]


@final
@frozen(kw_only=True)
class Comparison:
    """Scores of two runs.

    Attributes:
        pairs: scores of the same measure, sampler and number of steps.
        alone: scores that only one run has, with its number, 0 or 1.
    """

    pairs: tuple[Pair, ...]
    alone: tuple[tuple[int, ScoreRecord], ...]


def compare(one: Sequence[ScoreRecord], other: Sequence[ScoreRecord]) -> Comparison:
    """Pair the scores of two runs, in the order of the first's."""
    left = list(other)
    pairs: list[Pair] = []
    alone: list[tuple[int, ScoreRecord]] = []
    for score in one:
        partner = next((each for each in left if _key(each) == _key(score)), None)
        if partner is None:
            alone.append((0, score))
            continue
        left.remove(partner)
        pairs.append(Pair(one=score, other=partner, why_not=tuple(_differences(score, partner))))
    return Comparison(pairs=tuple(pairs), alone=(*alone, *((1, score) for score in left)))


def _key(score: ScoreRecord) -> tuple[str, str, int]:
    return (score.measure.name, score.sampler, score.steps)


_MUST_BE_EQUAL: Final[tuple[tuple[str, Callable[[ScoreRecord], Any]], ...]] = (
    ("generated images", lambda score: score.images),
    ("training images", lambda score: score.reference_images),
    ("features", lambda score: _at(score, "features", "id")),
    ("the features' options", lambda score: _at(score, "features", "options")),
    ("the features' parts", lambda score: _at(score, "features", "parts")),
    ("the features' package", lambda score: _at(score, "features", "package")),
    ("the features' weights and layer", lambda score: _at(score, "features", "fingerprint")),
    ("the precision of features", lambda score: _at(score, "features", "precision")),
    ("the training images' contents", lambda score: _at(score, "reference", "manifest")),
    ("the score", lambda score: _at(score, "score", "id")),
    ("the score's options", lambda score: _at(score, "score", "options")),
    ("the score's parts", lambda score: _at(score, "score", "parts")),
    ("the score's package", lambda score: _at(score, "score", "package")),
    ("the formula", lambda score: _at(score, "formula")),
    ("rounding", lambda score: _at(score, "samples", "rounding")),
    ("images of each class", lambda score: _at(score, "samples", "images_of_each_class")),
    ("the sampler's options", lambda score: _at(score, "samples", "sampler_options")),
)


def _differences(one: ScoreRecord, other: ScoreRecord) -> Iterable[str]:
    for what, value in _MUST_BE_EQUAL:
        here, there = value(one), value(other)
        if here != there:
            yield f"{what}: {_short(here)} and {_short(there)}"


def _at(score: ScoreRecord, *keys: str) -> Any:
    found: Any = score.provenance
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _short(value: Any) -> str:
    text = "unknown" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:28]}…{text[-28:]}"  # noqa: PLR2004 - a line
