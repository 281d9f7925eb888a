"""The table of a sweep: a row for each entry, a column for each score at each step count."""

from collections.abc import Sequence
from statistics import median
from typing import Final, final

from attrs import frozen

from dddm.evaluate.over_seeds import DEVIATION
from dddm.evaluate.record import ScoreRecord
from dddm.interfaces.info import Measure
from dddm.recipe.model import ReportedResult
from dddm.recipe.reported import in_words
from dddm.report.run_page.paper_comparison import paper_comparison
from dddm.report.run_page.score_rows import leading_measure, tables_of
from dddm.report.run_page.wording import number
from dddm.report.sweep_page.results import EntryResult
from dddm.support.quantities import counted_steps

_FLOOR: Final = "resample"


@final
@frozen(kw_only=True)
class Column:
    """One score of one sampler at one step count, of every entry.

    Attributes:
        measure: what it is a value of.
        title: such as `fd`, with features and image count where entries differ in these.
        score_name: with features and image count in any case, as `fd-pixels@70`.
        evaluations: network evaluations for one image.
        values: one for each entry; None where it has no such score.
        deviations: over seeds, one for each entry; None where there is one set of samples.
        printed: what the paper prints of each entry, where it can be compared; else empty.
        best: the best value, where two entries or more have one and one is better than another;
            otherwise None.
        floor: what a resample of the training images reaches; None where that is not known.
    """

    measure: Measure
    title: str
    score_name: str
    sampler: str
    steps: int
    evaluations: int
    values: tuple[float | None, ...]
    deviations: tuple[float | None, ...]
    printed: tuple[str, ...]
    best: float | None
    floor: float | None

    @property
    def name(self) -> str:
        """`fd@fixed-time-10`."""
        return f"{self.title}@{self.sampler}-{self.steps}"

    @property
    def counted_steps(self) -> str:
        """`5 steps (9 evaluations)`."""
        return counted_steps(self.steps, self.evaluations)

    def is_best(self, row: int) -> bool:
        """Whether an entry has the best score, or one that is shown by the same figures."""
        value = self.values[row]
        if self.best is None or value is None:
            return False
        return number(value) == number(self.best)


@final
@frozen(kw_only=True)
class SweepTable:
    """All entries of a sweep with their scores.

    Attributes:
        name: of the sweep.
        rows: one for each entry.
        columns: in the order in which entries first have them, each score's together.
        paper: what the paper says of the whole sweep, in sentences.
        leading: the measure that entries are ranked by; None where there is none.
    """

    name: str
    rows: tuple[EntryResult, ...]
    columns: tuple[Column, ...]
    paper: tuple[str, ...] = ()
    leading: Measure | None = None

    @property
    def groups(self) -> tuple[tuple[Column, ...], ...]:
        """Columns of each score; a group without columns where there are no scores."""
        of_each = [
            tuple(column for column in self.columns if column.score_name == name)
            for name in self.score_names
        ]
        return tuple(of_each) or ((),)

    @property
    def score_names(self) -> tuple[str, ...]:
        """Names of the scores, with features and image count, each once."""
        return tuple(dict.fromkeys(column.score_name for column in self.columns))

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """Entries that are not finished, each with a sentence."""
        return tuple(
            (row.name, row.sentence or f"{row.state}.".capitalize())
            for row in self.rows
            if _open(row)
        )


def _open(row: EntryResult) -> bool:
    return row.state != "finished" or bool(row.sentence)


def table_of(
    name: str, results: Sequence[EntryResult], *, paper: Sequence[ReportedResult] = ()
) -> SweepTable:
    """The table of a sweep called `name`, of which the paper prints `paper`."""
    keys: dict[tuple[str, str, int], None] = {}
    for result in results:
        keys.update((_key(score), None) for score in result.scores)
    names = list(dict.fromkeys(key[0] for key in keys))
    together = sorted(keys, key=lambda key: names.index(key[0]))
    columns = [_column(key, results) for key in together]
    words = {column.measure.name: column.measure.words for column in columns}
    return SweepTable(
        name=name,
        rows=tuple(results),
        columns=tuple(columns),
        paper=tuple(in_words(printed, words=words) for printed in paper),
        leading=leading_measure(score for result in results for score in result.scores),
    )


def _printed(result: EntryResult, score: ScoreRecord | None) -> str:
    """What the paper prints of this very score."""
    if score is None:
        return ""
    (table,) = tables_of([score])
    beside = paper_comparison(result.entry.recipe.reported, [table]).tables.get(table.name)
    if beside is None or not beside.comparable:
        return ""
    return beside.shown(score.sampler, score.steps)


def _key(score: ScoreRecord) -> tuple[str, str, int]:
    return (score.name, score.sampler, score.steps)


def _column(key: tuple[str, str, int], results: Sequence[EntryResult]) -> Column:
    found = [next((s for s in result.scores if _key(s) == key), None) for result in results]
    scores = [score for score in found if score is not None]
    measure = scores[0].measure
    values = [score.value for score in scores]
    floors = [f.value for score in scores for f in score.floors if f.name == _FLOOR]
    alike = {s.name for r in results for s in r.scores if s.measure.name == measure.name}
    return Column(
        measure=measure,
        title=measure.name if len(alike) == 1 else key[0],
        score_name=key[0],
        sampler=key[1],
        steps=key[2],
        evaluations=scores[0].evaluations,
        values=tuple(None if score is None else score.value for score in found),
        deviations=tuple(None if s is None else s.details.get(DEVIATION) for s in found),
        printed=tuple(map(_printed, results, found)),
        best=measure.best(values) if len(values) > 1 else None,
        floor=median(floors) if floors else None,
    )
