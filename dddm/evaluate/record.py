"""Measured scores, as `scores.json`, tables and reports have them.  Imports no torch."""

import json
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Final, final, get_args

import attrs
from attrs import evolve, field, frozen

from dddm.errors import DataError, printable
from dddm.interfaces.info import Better, Detail, Measure
from dddm.interfaces.measurement import Baseline, Floor
from dddm.support.json_files import (
    LIST,
    NUMBER,
    OBJECT,
    OPTIONAL,
    TEXT,
    WHOLE,
    check_object,
    check_type,
    read_json,
)

FROM_RECIPE: Final = "recipe"
"""`requested_by` of scores that the recipe's own table `[evaluate]` requests."""
DEVIATION: Final = "deviation_over_seeds"
"""Key in `details`: standard deviation of the value over seeds, with divisor n − 1."""


_RECORD: Final = {
    "measure": OBJECT, "name": TEXT, "value": NUMBER, "sampler": TEXT, "steps": WHOLE,
    "images": WHOLE, "reference_images": WHOLE, "floors": LIST, "baselines": LIST,
    "details": OBJECT, "provenance": OBJECT, "evaluations": WHOLE,
}  # fmt: skip
_MEASURE: Final = {
    "name": TEXT, "words": TEXT, "better": TEXT, "explained": TEXT, "heading": (*TEXT, *OPTIONAL),
    "times": NUMBER, "published": (*TEXT, *OPTIONAL), "details": LIST, "fidelity": (bool,),
}  # fmt: skip
_DETAIL: Final = {"name": TEXT, "words": TEXT, "explained": TEXT, "percent": (bool,)}
_REAL: Final = {
    "name": TEXT, "words": TEXT, "value": NUMBER, "images": WHOLE,
    "generated_value": (*NUMBER, *OPTIONAL),
}  # fmt: skip


@final
@frozen(kw_only=True)
class ScoreRecord:
    """One number about one sampler at one number of steps.

    Attributes:
        measure: what it measures, as its plugin described it then: records are read without it.
        name: with features and image count, as `fd-digits-classifier@1500`, or, where a protocol
            was followed, as `fid`.
        steps: of the sampler; 0 if unknown.
        evaluations: network evaluations for one image; 0 if unknown.
        images: generated images.
        reference_images: training images that they were compared with.
        floors: what real images reach.
        baselines: what images made without a network reach.
        details: further numbers; tables show those that the measure declares.
        provenance: what is needed to repeat it; its `warnings` is a list of sentences.
    """

    measure: Measure
    name: str
    value: float
    sampler: str
    steps: int
    images: int
    reference_images: int
    floors: tuple[Floor, ...]
    baselines: tuple[Baseline, ...] = ()
    details: dict[str, float] = field(factory=dict)
    provenance: dict[str, Any] = field(factory=dict)
    evaluations: int = field()

    @evaluations.default
    def _one_per_step(self) -> int:
        return self.steps

    @property
    def features(self) -> str:
        """Name of the features, without namespace."""
        features = self.provenance.get("features")
        identity = str(features.get("id", "")) if isinstance(features, dict) else ""
        return identity.rpartition(":")[2] or self.name.partition("@")[0].partition("-")[2]

    @property
    def published_name(self) -> str | None:
        """Its name in publications, where a protocol was followed; else None."""
        published = self.measure.published or self.measure.name
        return self.name if self.name == published else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What readers should know, sentences."""
        found = self.provenance.get("warnings")
        return tuple(printable(str(one)) for one in found) if isinstance(found, list) else ()

    @property
    def trained_the_loss(self) -> bool:
        """Whether the loss was computed in its features, so that it is shown and never ranked."""
        return self.provenance.get("trained_the_loss") is True

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds; None for a single set of samples."""
        return self.details.get(DEVIATION)

    @property
    def requested_by(self) -> str:
        """`recipe`, or the preset that requested it."""
        return str(self.provenance.get("requested_by", FROM_RECIPE))

    @property
    def samples(self) -> dict[str, Any]:
        """The manifest of the samples; empty if it is unknown."""
        samples = self.provenance.get("samples")
        return samples if isinstance(samples, dict) else {}

    @property
    def sample_hashes(self) -> tuple[str, ...]:
        """SHA-256 of each set of samples: several for a mean over seeds."""
        sets = self.provenance.get("sets") or [self.samples]
        return tuple(str(one.get("sha256")) for one in sets)

    def floor(self, name: str) -> Floor | None:
        """The floor of this name; None if there is none."""
        return next((floor for floor in self.floors if floor.name == name), None)

    def baseline(self, name: str) -> Baseline | None:
        """The baseline of this name; None if there is none."""
        return next((one for one in self.baselines if one.name == name), None)

    def to_json(self) -> dict[str, Any]:
        return attrs.asdict(
            self, value_serializer=lambda _of, _field, v: list(v) if isinstance(v, tuple) else v
        )

    @classmethod
    def from_json(cls, values: Any) -> "ScoreRecord":
        """The inverse of `to_json`.

        Raises:
            TypeError: if a field is missing or unknown.
            ValueError: if one has the wrong type, or `better` is none of its values.
        """
        check_object(values, _RECORD, required=("measure", "value"))
        for name, number in values.get("details", {}).items():
            check_type(number, NUMBER, name=name)
        for one in (*values.get("floors", ()), *values.get("baselines", ())):
            check_object(one, _REAL)
        measure = dict(check_object(values["measure"], _MEASURE, required=("better",)))
        shown = [values, *values.get("floors", ()), *values.get("baselines", ()), measure]
        for text in (text for one in shown for text in one.values() if isinstance(text, str)):
            if printable(text) != text:  # the file may come from anyone
                raise ValueError(f"{text!r} has characters that a terminal obeys")
        measure["details"] = tuple(
            Detail(**check_object(detail, _DETAIL)) for detail in measure.get("details", ())
        )
        if measure["better"] not in get_args(Better):
            allowed = " or ".join(get_args(Better))
            raise ValueError(f"better is {measure['better']!r}, not {allowed}")
        floors = tuple(Floor(**floor) for floor in values.get("floors", ()))
        baselines = tuple(Baseline(**baseline) for baseline in values.get("baselines", ()))
        read = {"measure": Measure(**measure), "floors": floors, "baselines": baselines}
        return cls(**{**values, **read})


def scores_to_text(scores: Iterable[ScoreRecord]) -> str:
    """The contents of `scores.json`."""
    plain = [score.to_json() for score in scores]
    return json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_scores(path: Path) -> tuple[ScoreRecord, ...]:
    """The scores in a `scores.json`; none where there is no such file.

    Raises:
        DataError: if the file is damaged.
    """
    try:
        entries = read_json(path)
        check_type(entries, LIST, name="the whole")
        return tuple(ScoreRecord.from_json(entry) for entry in entries)
    except FileNotFoundError:
        return ()
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise DataError(
            f"the scores cannot be read: {error}",
            where=str(path),
            remedy="measure them again with `dddm evaluate`",
        ) from error


def merge_scores(
    before: Iterable[ScoreRecord],
    new: Sequence[ScoreRecord],
    *,
    requested_by: str,
    samples: Container[str],
) -> tuple[ScoreRecord, ...]:
    """`new` and those of `before` that were requested otherwise, the recipe's first.

    Scores that were measured again, and those of samples that no longer exist, are dropped.

    Args:
        samples: SHA-256 of each existing set of samples.
    """
    measured_again = {_subject(score) for score in new}
    kept = [
        score
        for score in before
        if score.requested_by != requested_by
        and _subject(score) not in measured_again
        and all(sha256 in samples for sha256 in score.sample_hashes)
    ]
    return tuple(sorted((*kept, *new), key=lambda score: score.requested_by != FROM_RECIPE))


def _subject(score: ScoreRecord) -> str:
    """Equal for two scores that must have the same value."""
    conditions = [score.provenance.get(n) for n in ("score", "formula", "features", "reference")]
    samples = [score.sampler, score.steps, sorted(score.sample_hashes)]
    return json.dumps([score.measure.name, *samples, *conditions], sort_keys=True, default=str)


_MAY_DIFFER_BETWEEN_SEEDS: Final = frozenset({
    "seed", "sha256", "seconds", "images_in_these_seconds", "evaluations_of_an_image",
    "change_of_estimate", "saved", "processes", "machine",
})  # fmt: skip


def mean_over_seeds(scores: Sequence[ScoreRecord]) -> tuple[ScoreRecord, ...]:
    """Scores in their order; those that differ only in the seed become one, their mean.

    The mean and not the best: the best of three runs is not a property of a method.
    """
    groups: dict[tuple[str, int], list[ScoreRecord]] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for score in scores:
        key, seed = _all_but_seed(score), str(score.samples.get("seed"))
        # A set that was generated twice counts once: the second starts a group of its own.
        groups.setdefault((key, seen[key, seed]), []).append(score)
        seen[key, seed] += 1
    return tuple(group[0] if len(group) == 1 else _mean(group) for group in groups.values())


def _all_but_seed(score: ScoreRecord) -> str:
    samples = {n: v for n, v in score.samples.items() if n not in _MAY_DIFFER_BETWEEN_SEEDS}
    key = [score.measure.name, score.name, score.sampler, score.steps, samples]
    return json.dumps(key, sort_keys=True, default=str)


def _mean(group: Sequence[ScoreRecord]) -> ScoreRecord:
    first = group[0]
    sets = [
        {"seed": one.samples.get("seed"), "sha256": one.samples.get("sha256"), "value": one.value}
        for one in group
    ]
    details = {name: fmean(one.details[name] for one in group) for name in first.details}
    floors = zip(*(one.floors for one in group), strict=True)
    return evolve(
        first,
        value=fmean(one.value for one in group),
        floors=tuple(_mean_floor(alike) for alike in floors),
        details={**details, DEVIATION: stdev(one.value for one in group)},
        provenance={**first.provenance, "sets": sets},
    )


def _mean_floor(alike: Sequence[Floor]) -> Floor:
    """Real images are the same for all seeds; the generated ones beside them differ."""
    generated = [floor.generated_value for floor in alike if floor.generated_value is not None]
    return evolve(
        alike[0],
        value=fmean(floor.value for floor in alike),
        generated_value=fmean(generated) if generated else None,
    )
