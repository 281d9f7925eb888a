"""New scores merged with those taken before, so that no question loses its answer to another.

Who asked stands with each score: the recipe, or a preset by its name.  Imports no torch.
"""

import json
from collections.abc import Container, Iterable, Sequence
from typing import Any, Final

from dddm.evaluate.record import ScoreRecord

RECIPE: Final = "recipe"
"""Who asked, where it was the recipe's own table `[evaluate]`."""


def merge_scores(
    before: Iterable[ScoreRecord],
    new: Sequence[ScoreRecord],
    *,
    asked_by: str,
    samples: Container[str],
) -> tuple[ScoreRecord, ...]:
    """`new` with those of `before` that others asked for, the recipe's first.

    What `asked_by` asked for before goes, and so do scores that were taken again, and those of
    samples that are no longer there.

    Args:
        samples: SHA-256 of each set of samples that is there.
    """
    anew = {_what(score) for score in new}
    kept = [
        score
        for score in before
        if _asker(score) != asked_by
        and _what(score) not in anew
        and all(sha256 in samples for sha256 in _samples_of(score))
    ]
    return tuple(sorted((*kept, *new), key=lambda score: _asker(score) != RECIPE))


def _asker(score: ScoreRecord) -> str:
    return str(score.provenance.get("asked_by", RECIPE))


def _samples_of(score: ScoreRecord) -> list[str]:
    """The sets that it was taken over: several where it is a mean over seeds."""
    sets = score.provenance.get("sets") or [score.provenance.get("samples", {})]
    return [str(one.get("sha256")) for one in sets]


def _what(score: ScoreRecord) -> str:
    """What it measures: equal for two scores that must have the same value."""
    provenance: dict[str, Any] = score.provenance
    about = [score.measure.name, score.sampler, score.steps, sorted(_samples_of(score))]
    with_what = [provenance.get(name) for name in ("score", "formula", "features", "reference")]
    return json.dumps([*about, *with_what], sort_keys=True, default=str)
