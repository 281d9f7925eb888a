"""The paper's figures beside our scores, and whether the two may be compared.

A figure stands beside the scores that were measured as it was: in the same features, over as many
images.  Where there are none, it stands beside others of the same measure, and a sentence says why
that is no comparison.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import final

from attrs import field, frozen

from dddm.recipe.model import ReportedResult
from dddm.recipe.reported import format_value, in_words
from dddm.report.run_page.score_rows import ScoreTable
from dddm.report.run_page.wording import counted


@final
@frozen(kw_only=True)
class Beside:
    """What the paper prints beside one table of scores.

    Attributes:
        values: by sampler and step count.
        comparable: whether all of them were measured as the table's scores were.
        sentences: what is printed and, where that is so, why it is no comparison.
    """

    values: Mapping[tuple[str, int], float]
    comparable: bool
    sentences: tuple[str, ...]

    def shown(self, sampler: str, steps: int) -> str:
        """The figure as it is printed; empty where there is none."""
        value = self.values.get((sampler, steps))
        return "" if value is None else format_value(value)

    @property
    def points(self) -> Mapping[int, float]:
        """Figures by step count for a chart; none where they cannot be compared."""
        if not self.comparable:
            return {}
        return {steps: value for (_, steps), value in self.values.items()}


@final
@frozen(kw_only=True)
class PaperComparison:
    """What the paper prints of a run's recipe.

    Attributes:
        tables: by the names of tables that it stands beside.
        elsewhere: in sentences, what stands beside none.
    """

    tables: Mapping[str, Beside] = field(factory=dict)
    elsewhere: tuple[str, ...] = ()


def paper_comparison(
    paper: Sequence[ReportedResult], tables: Sequence[ScoreTable]
) -> PaperComparison:
    """Find for each figure the table that it belongs to."""
    words = {table.measure.name: table.measure.words for table in tables}
    placed: dict[str, list[tuple[ReportedResult, tuple[str, ...]]]] = {}
    elsewhere = []
    for printed in paper:
        alike = [table for table in tables if table.measure.name == printed.score]
        if not alike:
            elsewhere.append(f"{in_words(printed, words=words)}.")
            continue
        # The first of those against which least speaks.
        table = min(alike, key=lambda one: len(tuple(_against(printed, one))))
        placed.setdefault(table.name, []).append((printed, tuple(_against(printed, table))))
    return PaperComparison(
        tables={name: _beside(those, words=words) for name, those in placed.items()},
        elsewhere=tuple(elsewhere),
    )


def _beside(
    those: Sequence[tuple[ReportedResult, tuple[str, ...]]], *, words: Mapping[str, str]
) -> Beside:
    return Beside(
        values={
            (str(printed.sampler), steps): value
            for printed, _ in those
            for steps, value in zip(printed.steps, printed.values, strict=True)
        },
        comparable=not any(reasons for _, reasons in those),
        sentences=tuple(_sentence(printed, reasons, words=words) for printed, reasons in those),
    )


def _sentence(printed: ReportedResult, reasons: Sequence[str], *, words: Mapping[str, str]) -> str:
    said = in_words(printed, words=words)
    if not reasons:
        return f"{said}."
    return f"{said}.  It cannot be compared with ours: {'; '.join(reasons)}."


def _against(printed: ReportedResult, table: ScoreTable) -> Iterator[str]:
    """Why figures and scores cannot be compared; nothing where they can."""
    if printed.features is not None and printed.features != table.features:
        yield f"these scores are in the features of {table.features}"
    if printed.images is not None and printed.images != table.images:
        yield f"they are over {counted(table.images, 'image')}"
    if printed.changed:
        yield f"this run was changed by --set {', '.join(printed.changed)}"
