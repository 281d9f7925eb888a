"""How an image changes over the steps: rows of single images, and how far estimates move."""

from collections.abc import Iterator, Sequence
from typing import final

from attrs import frozen

from dddm.report.run_page.changes import Change
from dddm.report.run_page.showcase import Panel
from dddm.report.run_page.step_charts import change_chart
from dddm.report.run_page.strips import Strip


@final
@frozen(kw_only=True)
class OverSteps:
    """What is shown of one sampler.

    Attributes:
        steps: on the way to so many `change` was noted.
        chart: of `change`; None where fewer than two steps are noted.
    """

    sampler: str
    steps: int
    strip: Strip | None
    change: Change | None
    chart: str | None


def gather_over_steps(panels: Sequence[Panel]) -> tuple[OverSteps, ...]:
    """Samplers of which there is something to show."""
    return tuple(_each(panels))


def _each(panels: Sequence[Panel]) -> Iterator[OverSteps]:
    for k, panel in enumerate(panels, start=1):
        change = panel.change
        chart = None
        if change is not None:
            chart = change_chart(
                steps=change.steps,
                median=change.median,
                largest=change.largest,
                name=f"change-{k}",
            )
        if panel.strip is not None or chart is not None:
            yield OverSteps(
                sampler=panel.sampler,
                steps=panel.shown[-1].steps,
                strip=panel.strip,
                change=change,
                chart=chart,
            )
