"""Scores of several sets of samples that differ in their seed alone: mean and standard deviation.

The mean, and never the least: the best of three runs is no property of a method.
"""

import json
from collections import Counter
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any, Final

from attrs import evolve

from dddm.evaluate.record import ScoreRecord
from dddm.interfaces.measurement import Floor

DEVIATION: Final = "deviation_over_seeds"
"""In `details`: of the value, with divisor n − 1."""
_MAY_DIFFER: Final = frozenset({
    "seed", "sha256", "seconds", "images_in_these_seconds", "evaluations_of_an_image",
    "change_of_estimate", "saved", "processes", "machine",
})  # fmt: skip


def over_seeds(scores: Sequence[ScoreRecord]) -> tuple[ScoreRecord, ...]:
    """Scores in their order, those that differ in the seed alone as one."""
    groups: dict[tuple[str, int], list[ScoreRecord]] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for score in scores:
        about, seed = _but_for_seed(score), str(_samples_of(score).get("seed"))
        # A set that was drawn twice counts once: the second belongs to a group of its own.
        groups.setdefault((about, seen[about, seed]), []).append(score)
        seen[about, seed] += 1
    return tuple(group[0] if len(group) == 1 else _mean_of(group) for group in groups.values())


def _but_for_seed(score: ScoreRecord) -> str:
    samples = _samples_of(score)
    known = {name: fact for name, fact in samples.items() if name not in _MAY_DIFFER}
    about = [score.measure.name, score.name, score.sampler, score.steps, known]
    return json.dumps(about, sort_keys=True, default=str)


def _samples_of(score: ScoreRecord) -> dict[str, Any]:
    samples = score.provenance.get("samples")
    return samples if isinstance(samples, dict) else {}


def _mean_of(group: Sequence[ScoreRecord]) -> ScoreRecord:
    first = group[0]
    sets = [
        {
            "seed": _samples_of(score).get("seed"),
            "sha256": _samples_of(score).get("sha256"),
            "value": score.value,
        }
        for score in group
    ]
    details = {name: fmean(score.details[name] for score in group) for name in first.details}
    floors = [
        _floor([score.floors[place] for score in group]) for place in range(len(first.floors))
    ]
    return evolve(
        first,
        value=fmean(score.value for score in group),
        floors=tuple(floors),
        details={**details, DEVIATION: stdev(score.value for score in group)},
        provenance={**first.provenance, "sets": sets},
    )


def _floor(same: Sequence[Floor]) -> Floor:
    """Floors that real images reach are the same for all; what was generated beside them is not."""
    generated = [floor.generated_value for floor in same if floor.generated_value is not None]
    return evolve(
        same[0],
        value=fmean(floor.value for floor in same),
        generated_value=fmean(generated) if generated else None,
    )
