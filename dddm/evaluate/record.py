"""A score as it is kept: with its floors, and with what is needed to repeat it."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, final, get_args

import attrs
from attrs import field, frozen

from dddm.errors import DataError
from dddm.interfaces.info import Better, Detail, Measure
from dddm.interfaces.measurement import Floor


@final
@frozen(kw_only=True)
class ScoreRecord:
    """One number about one sampler at one number of steps.

    Attributes:
        measure: what it is a value of, in the words that its score said when it was taken: so a
            record is read where the plugin that measured it is absent.
        name: with features and image count, as `fd-digits-classifier@1500`; without the count, as
            `fid`, where it was taken on what the protocol says that the recipe names.
        value: `measure.better` says whether less or more is better.
        sampler: name of the sampler.
        steps: of the sampler; 0 for images of which nobody knows.
        evaluations: network evaluations for one image; 0 for images of which nobody knows.
        images: generated images that were scored.
        reference_images: training images that they were compared with.
        floors: what real images reach.
        details: further numbers; those that the measure declares are shown beside the value.
        provenance: what is needed to repeat it; `warnings` is a list of sentences.
    """

    measure: Measure
    name: str
    value: float
    sampler: str
    steps: int
    images: int
    reference_images: int
    floors: tuple[Floor, ...]
    details: dict[str, float] = field(factory=dict)
    provenance: dict[str, Any] = field(factory=dict)
    evaluations: int = field()

    @evaluations.default
    def _one_a_step(self) -> int:
        return self.steps

    @property
    def features(self) -> str:
        """Name of the features, without its namespace; that in its own name where none is said."""
        about = self.provenance.get("features")
        known = str(about.get("id", "") if isinstance(about, dict) else "").rpartition(":")[2]
        return known or self.name.partition("@")[0].partition("-")[2]

    @property
    def published_name(self) -> str | None:
        """What others call it, where it was taken on what their protocol says; else None."""
        known = self.measure.published or self.measure.name
        return self.name if self.name == known else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of it should know, sentences."""
        found = self.provenance.get("warnings")
        return tuple(map(str, found)) if isinstance(found, list) else ()

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return attrs.asdict(
            self, value_serializer=lambda _of, _field, v: list(v) if isinstance(v, tuple) else v
        )

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "ScoreRecord":
        """From what `to_json` gave.

        Raises:
            TypeError: if a field is missing or unknown.
            ValueError: if `better` is not one of the three words.
        """
        about = dict(values["measure"])
        about["details"] = tuple(Detail(**detail) for detail in about.get("details", ()))
        if about["better"] not in get_args(Better):
            raise ValueError(f"better is {about['better']!r}, not {' or '.join(get_args(Better))}")
        floors = tuple(Floor(**floor) for floor in values.get("floors", ()))
        return cls(**{**values, "measure": Measure(**about), "floors": floors})


def scores_to_text(scores: Iterable[ScoreRecord]) -> str:
    """The contents of `scores.json`."""
    plain = [score.to_json() for score in scores]
    return json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_scores(path: Path) -> tuple[ScoreRecord, ...]:
    """The scores in a `scores.json`; none where there is no such file.

    Raises:
        DataError: if the file is damaged.
    """
    if not path.exists():
        return ()
    try:
        return tuple(
            ScoreRecord.from_json(values) for values in json.loads(path.read_text(encoding="utf-8"))
        )
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise DataError(
            f"the scores cannot be read: {error}",
            where=str(path),
            remedy="measure them again with `dddm evaluate`",
        ) from error
