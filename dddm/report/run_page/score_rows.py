"""Scores as the page's tables and chart show them; every number is one of `scores.json`."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, final

from attrs import frozen

from dddm.errors import DataError
from dddm.evaluate.over_seeds import DEVIATION
from dddm.evaluate.record import ScoreRecord
from dddm.interfaces.info import Measure
from dddm.interfaces.measurement import Floor


@final
@frozen(kw_only=True)
class Row:
    """One score, with one entry for each of the table's floors; None where it has no such floor."""

    score: ScoreRecord
    floors: tuple[Floor | None, ...]

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds; None where there is one set of samples."""
        return self.score.details.get(DEVIATION)


@final
@frozen(kw_only=True)
class ScoreTable:
    """Scores of one name: one measure, in the same features, over the same number of images.

    Attributes:
        features: name of the features.
        trained_on: what these were trained on, or None.
        best: the best value; None where none is better than another.
    """

    name: str
    measure: Measure
    features: str
    trained_on: str | None
    images: int
    reference_images: int
    floor_names: tuple[str, ...]
    rows: tuple[Row, ...]
    best: float | None

    @property
    def words(self) -> str:
        """What the score is called."""
        return self.measure.words

    def has_generated(self, floor: str) -> bool:
        """Whether generated images were scored at the smaller count of the floor called so."""
        found = (floor_of(row.score, floor) for row in self.rows)
        return any(one is not None and one.generated_value is not None for one in found)


def refuse_unusable(scores: Iterable[ScoreRecord], *, path: Path) -> None:
    """Refuse scores whose names or numbers are none, as after editing the file by hand.

    Raises:
        DataError: if there are such.
    """
    for score in scores:
        numbers = [score.value, *score.details.values()]
        for floor in score.floors:
            numbers += [
                floor.value,
                0.0 if floor.generated_value is None else floor.generated_value,
            ]
        counts = [score.steps, score.evaluations, score.images, score.reference_images]
        counts += [floor.images for floor in score.floors]
        measure = score.measure
        names = [score.name, score.sampler, *(floor.name for floor in score.floors)]
        names += [measure.name, measure.words, measure.explained]
        whole = all(type(name) is str for name in names) and all(map(_is_number, numbers))
        if not (whole and all(type(count) is int for count in counts)):
            raise DataError(
                f"the score {score.name!r} of {score.sampler!r} holds something that is no number "
                "or name",
                where=str(path),
                remedy="measure the scores again with `dddm evaluate`",
            )


def _is_number(value: object) -> bool:
    return type(value) in {int, float} and math.isfinite(float(str(value)))


def tables_of(scores: Iterable[ScoreRecord]) -> tuple[ScoreTable, ...]:
    """One table for each name, in the order in which names first stand in the file."""
    by_name: dict[str, list[ScoreRecord]] = {}
    for score in scores:
        by_name.setdefault(score.name, []).append(score)
    return tuple(_table(name, group) for name, group in by_name.items())


def _table(name: str, scores: Sequence[ScoreRecord]) -> ScoreTable:
    floor_names = tuple(dict.fromkeys(floor.name for score in scores for floor in score.floors))
    features = _table_at(scores[0].provenance, "features")
    return ScoreTable(
        name=name,
        measure=scores[0].measure,
        features=scores[0].features or name,
        trained_on=features.get("trained_on"),
        images=scores[0].images,
        reference_images=scores[0].reference_images,
        floor_names=floor_names,
        rows=tuple(
            Row(score=score, floors=tuple(floor_of(score, floor) for floor in floor_names))
            for score in scores
        ),
        best=scores[0].measure.best(score.value for score in scores),
    )


def _table_at(provenance: dict[str, Any], name: str) -> dict[str, Any]:
    found = provenance.get(name)
    return found if isinstance(found, dict) else {}


def floor_of(score: ScoreRecord, name: str) -> Floor | None:
    """The floor called `name`; None where the score has none."""
    return next((floor for floor in score.floors if floor.name == name), None)


def warnings_of(scores: Iterable[ScoreRecord]) -> tuple[str, ...]:
    """What a reader of the scores should know, each sentence once."""
    return tuple(dict.fromkeys(warning for score in scores for warning in score.warnings))


def leading_measure(scores: Iterable[ScoreRecord]) -> Measure | None:
    """What speaks for samples where there is room for one number; None where nothing does.

    It is the first measure of which one value is better than another.
    """
    return next((s.measure for s in scores if s.measure.better != "neither"), None)
