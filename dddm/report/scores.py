"""A run's scores as tables and curves, compared with what a paper reports.

Every number shown is one of `scores.json`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import final

from attrs import evolve, frozen

from dddm.errors import DataError
from dddm.evaluate.record import ScoreRecord, read_scores
from dddm.evaluate.verdicts import headline, misleading, verdicts
from dddm.interfaces.info import Measure
from dddm.interfaces.measurement import Baseline
from dddm.recipe.model import Recipe, ReportedResult
from dddm.recipe.reported import format_value, in_words
from dddm.report.charts import COLOURS, Chart, Line, line_chart
from dddm.support.quantities import counted

RESAMPLE = "resample"
"""Name of the floor shown as a dashed line: training images sampled with replacement."""


@final
@frozen(kw_only=True)
class PaperComparison:
    """What a paper reports beside one table of scores.

    Attributes:
        values: by sampler and step count.
        comparable: whether all of them were measured as the table's scores were.
        sentences: what is reported and, where that is so, why it cannot be compared.
    """

    values: Mapping[tuple[str, int], float]
    comparable: bool
    sentences: tuple[str, ...]

    def shown(self, score: ScoreRecord) -> str:
        """The figure as it is printed; empty where there is none."""
        value = self.values.get((score.sampler, score.steps))
        return "" if value is None else format_value(value)


@final
@frozen(kw_only=True)
class ScoreTable:
    """Scores of one name: of one measure, in the same features, over equally many images.

    Attributes:
        misleading: those among them that samples gain by collapse or copies.
    """

    name: str
    scores: tuple[ScoreRecord, ...]
    misleading: tuple[ScoreRecord, ...] = ()
    paper: PaperComparison | None = None

    @property
    def measure(self) -> Measure:
        """What they are values of."""
        return self.scores[0].measure

    @property
    def images(self) -> int:
        """Generated images that were scored."""
        return self.scores[0].images

    @property
    def features(self) -> str:
        """Name of the features."""
        return self.scores[0].features or self.name

    @property
    def described_features(self) -> str:
        """Name of the features, and what these were trained on."""
        about = self.scores[0].provenance.get("features")
        trained_on = about.get("trained_on") if isinstance(about, dict) else None
        return self.features if trained_on is None else f"{self.features} (trained on {trained_on})"

    @property
    def best(self) -> float | None:
        """The best of several values; None where there is none, or they are not to be ranked."""
        values = [score.value for score in self.scores if self._ranks(score)]
        return self.measure.best(values) if len(values) > 1 else None

    def is_best(self, score: ScoreRecord) -> bool:
        """Whether one of them has the best value and ranks."""
        return score.value == self.best and self._ranks(score)

    def _ranks(self, score: ScoreRecord) -> bool:
        return not score.trained_the_loss and score not in self.misleading

    @property
    def floor_names(self) -> tuple[str, ...]:
        """Names of the floors that some score has, each once."""
        return tuple(dict.fromkeys(floor.name for one in self.scores for floor in one.floors))

    @property
    def baselines(self) -> tuple[Baseline, ...]:
        """What images made without a network reach, each once."""
        return tuple({one.name: one for score in self.scores for one in score.baselines}.values())

    def has_generated(self, name: str) -> bool:
        """Whether generated images were scored at the image count of the floor called so."""
        floors = (score.floor(name) for score in self.scores)
        return any(floor is not None and floor.generated_value is not None for floor in floors)


def leading_measure(scores: Iterable[ScoreRecord]) -> Measure | None:
    """The first measure that has a better value: it is shown where there is room for one."""
    return next((s.measure for s in scores if s.measure.better != "neither"), None)


def tables_of(scores: Iterable[ScoreRecord]) -> list[ScoreTable]:
    """One table for each name, in the order in which names first occur."""
    scores = tuple(scores)
    gained = tuple(misleading(scores))
    by_name: dict[str, list[ScoreRecord]] = {}
    for score in scores:
        by_name.setdefault(score.name, []).append(score)
    return [
        ScoreTable(name=name, scores=tuple(group), misleading=gained)
        for name, group in by_name.items()
    ]


@final
@frozen(kw_only=True)
class ScoreSection:
    """All that a page shows of scores.

    Attributes:
        tables: of scores that have a better value, and of diversity.
        checks: of the others, such as the distance to the nearest training image.
        absent: what is said where there are no scores.
        warnings: what readers should know, each sentence once.
        headline: the best score in a sentence; empty where there is none.
        samplers: names of the samplers, that with the best leading score first.
        verdicts: what the scores show beside those of real images and of baselines, sentences.
        curves: scores over network evaluations.
        unmeasured: what a paper reports that was not measured here.
    """

    tables: tuple[ScoreTable, ...]
    checks: tuple[ScoreTable, ...]
    absent: str
    warnings: tuple[str, ...]
    headline: str
    samplers: tuple[str, ...]
    verdicts: tuple[str, ...]
    curves: tuple[Chart, ...]
    unmeasured: tuple[str, ...]

    @property
    def has_deviations(self) -> bool:
        """Whether some score is a mean over seeds."""
        return any(one.deviation is not None for table in self.tables for one in table.scores)

    def score_of(self, sampler: str, steps: int) -> ScoreRecord | None:
        """The one leading score of these samples; None where there is none, or several."""
        scores = [score for table in self.tables for score in table.scores]
        leading = leading_measure(scores)
        found = [
            score
            for score in scores
            if (score.measure, score.sampler, score.steps) == (leading, sampler, steps)
        ]
        return found[0] if len(found) == 1 else None


def gather_scores(recipe: Recipe, *, path: Path) -> ScoreSection:
    """The scores in a `scores.json`; what is missing or damaged is said on the page."""
    scores, damage = load_scores(path)
    if recipe.evaluate is None:
        absent = "The recipe asks for no scores: it has no table [evaluate]."
    else:
        absent = "There are no scores yet; they are measured once the samples are drawn."
    samplers = best_first(scores)
    scores = tuple(sorted(scores, key=lambda one: (samplers.index(one.sampler), one.evaluations)))
    tables = tables_of(scores)
    checks = tuple(table for table in tables if table.measure.is_check)
    compared, unmeasured = compare_with_paper(
        recipe.reported, [table for table in tables if not table.measure.is_check]
    )
    leading = leading_measure(scores)
    curves = [score_curve(table) for table in compared if table.measure == leading]
    return ScoreSection(
        tables=tuple(compared),
        checks=checks,
        absent=damage or absent,
        warnings=tuple(dict.fromkeys(text for score in scores for text in score.warnings)),
        headline=f"{said}." if (said := headline(scores)) else "",
        samplers=samplers,
        verdicts=tuple(verdicts(scores)),
        curves=tuple(curve for curve in curves if curve is not None),
        unmeasured=tuple(unmeasured),
    )


def best_first(scores: Sequence[ScoreRecord]) -> tuple[str, ...]:
    """Names of samplers, by the best that each reaches of the leading measure.

    Those without one, and all where nothing has a better value, stay in their order, at the end.
    """
    measure = leading_measure(scores)
    names = dict.fromkeys(score.sampler for score in scores)
    if measure is None:
        return tuple(names)
    features = next(score.features for score in scores if score.measure == measure)
    reached: dict[str, float] = {}
    for name in names:
        best = measure.best(
            score.value
            for score in scores
            if (score.sampler, score.measure, score.features) == (name, measure, features)
        )
        if best is not None:
            reached[name] = best
    ranked = sorted(reached, key=lambda name: reached[name], reverse=measure.better == "more")
    return (*ranked, *(name for name in names if name not in reached))


def load_scores(path: Path) -> tuple[tuple[ScoreRecord, ...], str]:
    """The scores in a file, and a sentence where they cannot be used; then there are none."""
    try:
        scores = read_scores(path)
    except DataError as error:
        sentences = (error.what, error.remedy or "")
        return (), "  ".join(f"{one[:1].upper()}{one[1:]}." for one in sentences if one)
    except OSError as error:
        return (), f"The scores cannot be read: {error}."
    return scores, ""


def compare_with_paper(
    reported: Iterable[ReportedResult], tables: Sequence[ScoreTable]
) -> tuple[list[ScoreTable], list[str]]:
    """The tables with what a paper reports beside them, and sentences on what fits none.

    Results of other methods, without a sampler, fit none.

    A result stands beside the scores that were measured as it was: in the same features, over as
    many images.  Where there are none, it stands beside others of the same measure, and a sentence
    says why the two cannot be compared.
    """
    words = {table.measure.name: table.measure.words for table in tables}
    placed: dict[str, list[tuple[ReportedResult, list[str]]]] = {}
    unmeasured = []
    for result in reported:
        fitting = [table for table in tables if table.measure.name == result.score]
        if fitting and result.sampler is not None:
            table = min(fitting, key=lambda one: len(list(_differences(result, one))))
            placed.setdefault(table.name, []).append((result, list(_differences(result, table))))
        else:
            unmeasured.append(f"{in_words(result, words=words)}.")
    compared = [
        evolve(table, paper=_comparison(placed[table.name], words=words))
        if table.name in placed
        else table
        for table in tables
    ]
    return compared, unmeasured


def _comparison(
    results: Sequence[tuple[ReportedResult, list[str]]], *, words: Mapping[str, str]
) -> PaperComparison:
    sentences = []
    for result, reasons in results:
        sentence = f"{in_words(result, words=words)}."
        if reasons:
            sentence += f"  It cannot be compared with this run: {'; '.join(reasons)}."
        sentences.append(sentence)
    return PaperComparison(
        values={
            (str(result.sampler), steps): value
            for result, _ in results
            for steps, value in zip(result.steps, result.values, strict=True)
        },
        comparable=not any(reasons for _, reasons in results),
        sentences=tuple(sentences),
    )


def _differences(result: ReportedResult, table: ScoreTable) -> Iterator[str]:
    """Why a reported result and scores cannot be compared; nothing where they can."""
    if result.features is not None and result.features != table.features:
        yield f"these scores are in the features of {table.features}"
    if result.images is not None and result.images != table.images:
        yield f"they are over {counted(table.images, 'image')}"
    if result.changed:
        yield f"this run was changed by --set {', '.join(result.changed)}"


def score_curve(table: ScoreTable) -> Chart | None:
    """Scores over network evaluations, as in the paper's figure 5: one line a sampler."""
    by_sampler: dict[str, list[ScoreRecord]] = {}
    for score in sorted(table.scores, key=lambda one: one.evaluations):
        by_sampler.setdefault(score.sampler, []).append(score)
    lines = [
        Line(
            name=sampler,
            points=[(score.evaluations, score.value) for score in scores],
            deviations={
                score.evaluations: score.deviation
                for score in scores
                if score.deviation is not None
            },
            colour=k % COLOURS + 1,
        )
        for k, (sampler, scores) in enumerate(by_sampler.items())
    ]
    floors = {floor.value for one in table.scores if (floor := one.floor(RESAMPLE)) is not None}
    comparable = table.paper is not None and table.paper.comparable
    reported = table.paper.values if table.paper is not None and comparable else {}
    bars = "Bars: one standard deviation over the seeds, up and down."
    if not any(line.deviations for line in lines):
        bars = "One seed, so there are no error bars; seeds = 3 in [[sample]] gives them."
    measure = table.measure
    return line_chart(
        lines,
        title=f"{measure.words}; {measure.better} is better",
        x_label="network evaluations",
        description=f"{measure.words} over network evaluations, with its floor",
        caption=f"{table.name}.  {bars}",
        log_x=True,
        log_y=True,
        floors=sorted(floors),
        floor="resample of the training images",
        diamonds=sorted((steps, value) for (_, steps), value in reported.items()),
        marks="the paper",
    )
