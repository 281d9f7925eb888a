"""A score as it is kept: with its floors, and with what is needed to repeat it."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, final

import attrs
from attrs import field, frozen

from dddm.errors import DataError


@final
@frozen(kw_only=True)
class Floor:
    """What real images reach where generated ones are scored: no sampler needs to do better.

    Attributes:
        name: `resample`: training images drawn again, with repetition, as many as were generated;
            `training`: training images, as many as were generated, or all;
            `held-out`: real images that training never saw.
        value: of these real images.
        images: how many they are.
        generated_value: of the first `images` generated images, where a score depends on how many
            images it is taken over; otherwise None.
    """

    name: str
    value: float
    images: int
    generated_value: float | None = None


@final
@frozen(kw_only=True)
class Score:
    """One number about one sampler at one number of steps.

    Attributes:
        metric: one of `dddm.scores.kinds.KINDS`.
        name: with features and image count, as `fd-digits-classifier@1500`; without the count, as
            `fid`, where it was taken on what the protocol says that the recipe names.
        value: `KINDS` say whether less or more is better; for `nearest` see `details`.
        sampler: name of the sampler.
        steps: of the sampler; 0 for images of which nobody knows.
        evaluations: network evaluations for one image; 0 for images of which nobody knows.
        images: generated images that were scored.
        reference_images: training images that they were compared with.
        floors: what real images reach.
        details: for `kid` and `is` the deviation over subsets and splits; for `nearest`:
            `held_out_median`; `close_threshold`, below which 1 % of held-out
            images lie; `close_share`, the share of generated images that lie below it.
        provenance: what is needed to repeat it; `warnings` is a list of sentences.
    """

    metric: str
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
    def warnings(self) -> tuple[str, ...]:
        """What a reader of it should know, sentences."""
        found = self.provenance.get("warnings")
        return tuple(map(str, found)) if isinstance(found, list) else ()

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**attrs.asdict(self), "floors": [attrs.asdict(floor) for floor in self.floors]}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Score":
        """From what `to_json` gave.

        Raises:
            TypeError: if a field is missing or unknown.
        """
        floors = tuple(Floor(**floor) for floor in values.get("floors", ()))
        return cls(**{**values, "floors": floors})


def scores_to_text(scores: Iterable[Score]) -> str:
    """The contents of `scores.json`."""
    plain = [score.to_json() for score in scores]
    return json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_scores(path: Path) -> tuple[Score, ...]:
    """The scores in a `scores.json`; none where there is no such file.

    Raises:
        DataError: if the file is damaged.
    """
    if not path.exists():
        return ()
    try:
        return tuple(
            Score.from_json(values) for values in json.loads(path.read_text(encoding="utf-8"))
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"the scores cannot be read: {error}",
            where=str(path),
            remedy="measure them again with `dddm evaluate`",
        ) from error
