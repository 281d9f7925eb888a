"""The page: everything that was gathered, and what is said where something is missing."""

import shlex
from pathlib import Path
from typing import Final, final

import jinja2
from attrs import frozen

from dddm.errors import DataError
from dddm.interfaces.dataset import Split
from dddm.recipe.model import Recipe
from dddm.run.folder import RunFolder
from dddm.scores.kinds import KINDS, ScoreKind
from dddm.scores.record import Score, read_scores
from dddm.tasks.report_page.charts import (
    LossChart,
    leak_chart,
    learning_rate_chart,
    loss_chart,
    training_score_chart,
)
from dddm.tasks.report_page.facts import Fact, facts_of, read_about, sentence_of
from dddm.tasks.report_page.history import read_history
from dddm.tasks.report_page.score_rows import (
    ScoreCurves,
    ScoreTable,
    curves_of,
    refuse_unusable,
    tables_of,
    warnings_of,
)
from dddm.tasks.report_page.showcase import (
    Compared,
    Gallery,
    ProgressGrid,
    gather_gallery,
    gather_progress,
)
from dddm.tasks.report_page.state import State, state_of
from dddm.tasks.report_page.wording import counted, number

_HERE: Final = Path(__file__).parent
_LARGEST_SMALL_PIXELS: Final = 32
_NEAREST: Final = "nearest"


@final
@frozen(kw_only=True)
class Page:
    """All that the template shows.

    Attributes:
        damage: one sentence for each file that cannot be read.
        small_images: whether pixels are to be shown as squares when they are enlarged.
        no_real: why no real images stand beside the samples; empty where they do.
        no_samples: what is said where there are none; likewise `no_scores`, `no_progress`.
        tables: of all scores but the nearest-neighbour check, which is in `nearest`.
        progress_total: grids there are; `progress` holds those that are shown.
        recipe_text: the saved recipe; empty where there is none.
        command: what repeats the run, for a shell.
    """

    name: str
    sentence: str
    state: State
    damage: tuple[str, ...]
    facts: tuple[Fact, ...]
    small_images: bool
    gallery: Gallery
    no_real: str
    no_samples: str
    tables: tuple[ScoreTable, ...]
    nearest: tuple[ScoreTable, ...]
    no_scores: str
    warnings: tuple[str, ...]
    curves: tuple[ScoreCurves, ...]
    metric: str
    loss: LossChart | None
    learning_rate: str | None
    training_scores: str | None
    training_score_steps: tuple[str, ...]
    training_score_images: int
    leak: str | None
    diagnose_every: int
    progress: tuple[ProgressGrid, ...]
    progress_total: int
    no_progress: str
    recipe_text: str
    fingerprint: str
    command: str
    versions: tuple[tuple[str, str], ...]

    @property
    def compared(self) -> tuple[tuple[str, Compared], ...]:
        """Samples beside their nearest training images, by sampler."""
        return tuple(
            (panel.sampler, panel.compared)
            for panel in self.gallery.panels
            if panel.compared is not None
        )

    @property
    def has_frechet(self) -> bool:
        """Whether there is a Fréchet distance to explain."""
        return any(table.metric == "fd" for table in self.tables)

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


def gather(recipe: Recipe, *, folder: RunFolder, real: Split | None, no_real: str = "") -> Page:
    """Read all that a run folder holds.  What is missing or damaged is said, and never raised.

    Args:
        real: the training images; None where they cannot be read.
        no_real: why not, a sentence.
    """
    about = read_about(folder)
    history = read_history(folder.events)
    gallery = gather_gallery(recipe, folder=folder, real=real)
    progress, progress_total = gather_progress(folder)
    scores, no_scores = _read_scores(folder)
    every = tables_of(scores)
    tables = tuple(table for table in every if table.metric != _NEAREST)
    state = state_of(
        history,
        missing_samples=gallery.missing,
        missing_scores=recipe.evaluate is not None and not scores and bool(recipe.sample),
    )
    damage = [about.damage, history.damage, *gallery.damage]
    return Page(
        name=recipe.name,
        sentence=sentence_of(recipe, history=history, about=about),
        state=state,
        damage=tuple(sentence for sentence in damage if sentence is not None),
        facts=facts_of(recipe, history=history, about=about),
        small_images=about.image_shape is None or max(about.image_shape) <= _LARGEST_SMALL_PIXELS,
        gallery=gallery,
        no_real=no_real,
        no_samples=_no_samples(recipe),
        tables=tables,
        nearest=tuple(table for table in every if table.metric == _NEAREST),
        no_scores=no_scores or _no_scores(recipe),
        warnings=warnings_of(scores),
        curves=curves_of(tables),
        metric=recipe.metric.component.name,
        loss=loss_chart(step=history.step, loss=history.loss),
        learning_rate=learning_rate_chart(step=history.step, learning_rate=history.learning_rate),
        training_scores=training_score_chart(history.scores),
        training_score_steps=tuple(counted(steps, "step") for steps in history.scores),
        training_score_images=recipe.train.score_images,
        leak=leak_chart(history.leak),
        diagnose_every=recipe.train.diagnose_every_epochs,
        progress=progress,
        progress_total=progress_total,
        no_progress=_no_progress(recipe),
        recipe_text=_read_recipe(folder),
        fingerprint=recipe.fingerprint,
        command=_command(folder),
        versions=tuple(about.versions.items()),
    )


def _read_scores(folder: RunFolder) -> tuple[tuple[Score, ...], str]:
    """The scores, and a sentence where they cannot be read."""
    try:
        scores = read_scores(folder.scores)
        refuse_unusable(scores, path=folder.scores)
    except DataError as error:
        return (), f"{error.what[:1].upper()}{error.what[1:]}; try: {error.remedy}."
    except OSError as error:
        return (), f"The scores cannot be read: {error}."
    return scores, ""


def _no_samples(recipe: Recipe) -> str:
    if not recipe.sample:
        return "The recipe asks for no samples; `dddm sample` draws some at any time."
    return "No samples have been drawn yet; the run draws them once training is done."


def _no_scores(recipe: Recipe) -> str:
    if recipe.evaluate is None:
        return "The recipe asks for no scores: it has no table [evaluate]."
    return "There are no scores yet; the run takes them once the samples are drawn."


def _no_progress(recipe: Recipe) -> str:
    every = recipe.train.sample_every_epochs
    if every is None:
        return "The recipe asks for no grids during training (train.sample_every_epochs)."
    return f"No grid has been drawn during training; one is due every {counted(every, 'epoch')}."


def _read_recipe(folder: RunFolder) -> str:
    try:
        return folder.recipe.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _command(folder: RunFolder) -> str:
    # `.` and `..` have no name that another folder's could be made of.
    path = folder.path if folder.path.name not in {"", ".."} else folder.path.resolve()
    anew = path.with_name(f"{path.name}-again")
    return f"dddm run {shlex.quote(str(folder.recipe))} --folder {shlex.quote(str(anew))}"


def render(page: Page) -> str:
    """The page as HTML; everything in it that comes from a file is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["counted"] = counted
    style = (_HERE / "style.css").read_text(encoding="utf-8")
    return environment.get_template("page.html.j2").render(page=page, style=style)
