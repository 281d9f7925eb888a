"""All that the page shows of scores: tables, curves, the paper's figures, and their words."""

from collections.abc import Sequence
from typing import Final, final

from attrs import frozen

from dddm.errors import DataError
from dddm.recipe.model import Recipe
from dddm.run.folder import RunFolder
from dddm.scores.kinds import KINDS, ScoreKind
from dddm.scores.record import Score, read_scores
from dddm.tasks.report_page.beside_paper import PaperBeside, beside_paper
from dddm.tasks.report_page.score_curves import ScoreCurves, curves_of
from dddm.tasks.report_page.score_rows import ScoreTable, refuse_unusable, tables_of, warnings_of

_NEAREST: Final = "nearest"


@final
@frozen(kw_only=True)
class ScoresPart:
    """Scores as the page shows them.

    Attributes:
        tables: of all scores but the nearest-neighbour check, which is in `nearest`.
        absent: what is said where there are none.
        paper: what the paper prints beside them.
    """

    tables: tuple[ScoreTable, ...]
    nearest: tuple[ScoreTable, ...]
    absent: str
    warnings: tuple[str, ...]
    curves: tuple[ScoreCurves, ...]
    paper: PaperBeside

    @property
    def any(self) -> bool:
        """Whether there is any score."""
        return bool(self.tables or self.nearest)

    @property
    def has_frechet(self) -> bool:
        """Whether there is a Fréchet distance to explain."""
        return any(table.metric == "fd" for table in self.tables)

    @property
    def floor_names(self) -> frozenset[str]:
        """Names of the floors that some score has."""
        return frozenset(name for table in self.tables for name in table.floor_names)

    @property
    def over_seeds(self) -> bool:
        """Whether some score is a mean over seeds."""
        return any(row.deviation is not None for table in self.tables for row in table.rows)

    @property
    def other_kinds(self) -> tuple[ScoreKind, ...]:
        """What else is in the tables, to be explained."""
        metrics = dict.fromkeys(table.metric for table in self.tables if table.metric != "fd")
        return tuple(KINDS[metric] for metric in metrics if metric in KINDS)

    @property
    def features(self) -> str:
        """The features of all Fréchet distances, and what these were trained on."""
        names = {
            f"{table.features} (trained on {table.trained_on})"
            if table.trained_on is not None
            else table.features
            for table in self.tables
        }
        return " and ".join(sorted(names))

    def score_of(self, sampler: str, steps: int) -> Score | None:
        """The one Fréchet distance of these samples; None where there is none, or several."""
        found = [
            row.score
            for table in self.tables
            for row in table.rows
            if (row.score.metric, row.score.sampler, row.score.steps) == ("fd", sampler, steps)
        ]
        return found[0] if len(found) == 1 else None


def gather_scores(recipe: Recipe, *, folder: RunFolder) -> ScoresPart:
    """Read the scores of a run folder; what is missing or damaged is said, and never raised."""
    scores, damage = _read(folder)
    every = tables_of(scores)
    tables = tuple(table for table in every if table.metric != _NEAREST)
    paper = beside_paper(recipe.paper, tables)
    return ScoresPart(
        tables=tables,
        nearest=tuple(table for table in every if table.metric == _NEAREST),
        absent=damage or _absent(recipe),
        warnings=warnings_of(scores),
        curves=curves_of(tables, paper.tables),
        paper=paper,
    )


def _read(folder: RunFolder) -> tuple[Sequence[Score], str]:
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
