"""All that the page shows of scores: tables, curves, the paper's figures, and their words."""

from collections.abc import Sequence
from typing import final

from attrs import frozen

from dddm.errors import DataError
from dddm.evaluate.record import ScoreRecord, read_scores
from dddm.interfaces.info import Measure
from dddm.recipe.model import Recipe
from dddm.report.run_page.paper_comparison import PaperComparison, paper_comparison
from dddm.report.run_page.score_curves import ScoreCurves, curves_of
from dddm.report.run_page.score_rows import (
    ScoreTable,
    leading_measure,
    refuse_unusable,
    tables_of,
    warnings_of,
)
from dddm.train.run_folder import RunFolder


@final
@frozen(kw_only=True)
class ScoresPart:
    """Scores as the page shows them.

    Attributes:
        tables: of all scores of which one value is better than another.
        checks: of the others, such as the distance to the nearest training image.
        leading: what speaks for samples where there is room for one; None where there is none.
        absent: what is said where there are none.
        paper: what the paper prints beside them.
    """

    tables: tuple[ScoreTable, ...]
    checks: tuple[ScoreTable, ...]
    leading: Measure | None
    absent: str
    warnings: tuple[str, ...]
    curves: tuple[ScoreCurves, ...]
    paper: PaperComparison

    @property
    def any(self) -> bool:
        """Whether there is any score."""
        return bool(self.tables or self.checks)

    @property
    def floor_names(self) -> frozenset[str]:
        """Names of the floors that some score has."""
        return frozenset(name for table in self.tables for name in table.floor_names)

    @property
    def over_seeds(self) -> bool:
        """Whether some score is a mean over seeds."""
        return any(row.deviation is not None for table in self.tables for row in table.rows)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What is in the tables, to be explained."""
        return tuple({table.measure.name: table.measure for table in self.tables}.values())

    @property
    def checked(self) -> tuple[Measure, ...]:
        """What is in the tables of checks, to be explained."""
        return tuple({table.measure.name: table.measure for table in self.checks}.values())

    @property
    def features(self) -> str:
        """The features of all scores, and what these were trained on."""
        names = {
            f"{table.features} (trained on {table.trained_on})"
            if table.trained_on is not None
            else table.features
            for table in self.tables
        }
        return " and ".join(sorted(names))

    def score_of(self, sampler: str, steps: int) -> ScoreRecord | None:
        """The one leading score of these samples; None where there is none, or several."""
        found = [
            row.score
            for table in self.tables
            for row in table.rows
            if table.measure == self.leading
            and (row.score.sampler, row.score.steps) == (sampler, steps)
        ]
        return found[0] if len(found) == 1 else None


def gather_scores(recipe: Recipe, *, folder: RunFolder) -> ScoresPart:
    """Read the scores of a run folder; what is missing or damaged is said, and never raised."""
    scores, damage = _read(folder)
    every = tables_of(scores)
    tables = tuple(table for table in every if table.measure.better != "neither")
    paper = paper_comparison(recipe.reported, tables)
    leading = leading_measure(scores)
    return ScoresPart(
        tables=tables,
        checks=tuple(table for table in every if table.measure.better == "neither"),
        leading=leading,
        absent=damage or _absent(recipe),
        warnings=warnings_of(scores),
        curves=curves_of(tables, leading, paper.tables),
        paper=paper,
    )


def _read(folder: RunFolder) -> tuple[Sequence[ScoreRecord], str]:
    """The scores, and a sentence where they cannot be read."""
    try:
        scores = read_scores(folder.scores)
        refuse_unusable(scores, path=folder.scores)
    except DataError as error:
        return (), f"{error.what[:1].upper()}{error.what[1:]}; try: {error.remedy}."
    except OSError as error:
        return (), f"The scores cannot be read: {error}."
    return scores, ""


def _absent(recipe: Recipe) -> str:
    if recipe.evaluate is None:
        return "The recipe asks for no scores: it has no table [evaluate]."
    return "There are no scores yet; the run takes them once the samples are drawn."
