"""`dddm report`: the page one looks at, one file that needs no other and no network."""

from pathlib import Path

import jinja2
from markupsafe import Markup

from dddm.errors import DddmError
from dddm.interfaces.dataset import Split
from dddm.recipe.model import Recipe
from dddm.run.folder import RunFolder
from dddm.support.files import write_whole_text
from dddm.tasks.report_page.gather import gather
from dddm.tasks.report_page.page import Page, make_page

_ROOM = "dddm.tasks.report_page"


def report(recipe: Recipe, *, folder: RunFolder) -> Path:
    """Write `report.html` into a run folder, whole or not at all, and return its path.

    Whatever the folder lacks is left out of the page, which says so.

    Args:
        recipe: what the run was made by; its data set gives the real images.
        folder: the run's, at any stage.

    Raises:
        EnvironmentProblem: without space or the right to write.
        PluginError: if the data set's plugin cannot be loaded.
    """
    page = make_page(recipe, gather(folder), folder=folder, split=_training_images(recipe))
    write_whole_text(folder.report, render(page))
    return folder.report


def _training_images(recipe: Recipe) -> Split | None:
    """The training split; None where it cannot be read: a run's page outlives its data."""
    try:
        split: Split = recipe.data.component.load()(recipe.data.options).splits()["train"]
    except DddmError:
        return None
    return split


def render(page: Page) -> str:
    """The page as HTML."""
    loader = jinja2.PackageLoader(_ROOM, package_path="")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )
    # The style sheet is ours, and in a style element HTML knows no escapes.
    style = Markup(loader.get_source(environment, "style.css")[0])  # noqa: S704 - no user's text
    return environment.get_template("page.html.j2").render(page=page, style=style) + "\n"
