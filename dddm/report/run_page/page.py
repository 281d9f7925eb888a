"""The page: everything that was gathered, and what is said where something is missing."""

import shlex
from pathlib import Path
from typing import Final, final

import jinja2
from attrs import frozen

from dddm.interfaces.dataset import Split
from dddm.interfaces.info import DiagnosisInfo, Measure
from dddm.recipe.model import Recipe, score_info
from dddm.report.run_page.charts import (
    LossChart,
    diagnosis_chart,
    learning_rate_chart,
    loss_chart,
    training_score_chart,
)
from dddm.report.run_page.facts import Fact, facts_of, read_about, sentence_of
from dddm.report.run_page.history import read_history
from dddm.report.run_page.over_steps import OverSteps, gather_over_steps
from dddm.report.run_page.progress_grids import ProgressGrid, gather_progress
from dddm.report.run_page.scores_part import ScoresPart, gather_scores
from dddm.report.run_page.showcase import Gallery, gather_gallery
from dddm.report.run_page.state import State, state_of
from dddm.report.run_page.strips import Compared
from dddm.report.run_page.wording import counted, number, spread
from dddm.support.quantities import evaluations_note
from dddm.train.run_folder import RunFolder

_HERE: Final = Path(__file__).parent
_LARGEST_SMALL_PIXELS: Final = 32


@final
@frozen(kw_only=True)
class Page:
    """All that the template shows.

    Attributes:
        damage: one sentence for each file that cannot be read.
        small_images: whether pixels are to be shown as squares when they are enlarged.
        no_real: why no real images stand beside the samples; empty where they do.
        no_samples: what is said where there are none; likewise `no_progress`.
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
    over_steps: tuple[OverSteps, ...]
    scores: ScoresPart
    objective: str
    metric: str | None
    loss: LossChart | None
    learning_rate: str | None
    training_scores: str | None
    training_score_steps: tuple[str, ...]
    training_score_images: int
    diagnosis: str | None
    diagnosis_facts: DiagnosisInfo | None
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
    scores = gather_scores(recipe, folder=folder)
    state = state_of(
        history,
        missing_samples=gallery.missing,
        missing_scores=recipe.evaluate is not None and not scores.any and bool(recipe.sample),
    )
    facts = recipe.needs.diagnosis
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
        scores=scores,
        over_steps=gather_over_steps(gallery.panels),
        objective=recipe.objective.component.name,
        metric=None if recipe.metric is None else recipe.metric.component.name,
        loss=loss_chart(step=history.step, loss=history.loss),
        learning_rate=learning_rate_chart(step=history.step, learning_rate=history.learning_rate),
        training_scores=training_score_chart(history.scores, measure=_deciding(recipe)),
        training_score_steps=tuple(counted(steps, "step") for steps in history.scores),
        training_score_images=recipe.train.score_images,
        diagnosis=None if facts is None else diagnosis_chart(history.diagnosis, facts=facts),
        diagnosis_facts=facts,
        diagnose_every=recipe.train.diagnose_every_epochs,
        progress=progress,
        progress_total=progress_total,
        no_progress=_no_progress(recipe),
        recipe_text=_read_recipe(folder),
        fingerprint=recipe.fingerprint,
        command=_command(folder),
        versions=tuple(about.versions.items()),
    )


def _deciding(recipe: Recipe) -> Measure | None:
    """What is measured during training; None where the recipe asks for no scores."""
    if recipe.evaluate is None:
        return None
    return score_info(recipe.evaluate.scores[0]).measures[0]


def _no_samples(recipe: Recipe) -> str:
    if not recipe.sample:
        return "The recipe asks for no samples; `dddm sample` draws some at any time."
    return "No samples have been drawn yet; the run draws them once training is done."


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
    environment.filters["spread"] = spread
    environment.filters["counted"] = counted
    environment.globals["evaluations_note"] = evaluations_note
    style = (_HERE / "style.css").read_text(encoding="utf-8")
    return environment.get_template("page.html.j2").render(page=page, style=style)
