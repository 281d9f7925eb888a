"""The report of a run: one page of HTML that needs nothing beside itself."""

from pathlib import Path

from dddm.errors import DddmError
from dddm.interfaces.dataset import Split
from dddm.recipe.model import Recipe
from dddm.report.run_page.page import gather, render
from dddm.support.files import atomic_write_text
from dddm.train.build import build_split
from dddm.train.run_folder import RunFolder


def report(recipe: Recipe, *, folder: RunFolder) -> Path:
    """Write `report.html`, whole or not at all, and return its path.

    It shows whatever the folder holds by now; what is missing or damaged is said on the page.

    Args:
        recipe: what the run was made by; its data set is opened for real images.
        folder: the run's.

    Raises:
        EnvironmentProblem: if the page cannot be written.
    """
    real: Split | None = None
    no_real = ""
    try:
        real = build_split(recipe)
    except DddmError as error:
        no_real = f"Real images to compare with are missing: {error.what}."
    page = gather(recipe, folder=folder, real=real, no_real=no_real)
    atomic_write_text(folder.report, render(page))
    return folder.report
