"""Writes docs/recipes.md: the head comment and the cost of every recipe that comes with dddm.

python docs/recipes.py
"""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from dddm.interfaces.plugin import Kind
from dddm.recipe.model import ComponentConfig, Recipe, score_info
from dddm.recipe.reported import in_words
from dddm.recipe.source import shipped_names
from dddm.recipe.sweep import read_recipe_or_sweep
from dddm.registry.catalogue import Catalogue
from dddm.registry.loader import load_catalogue
from dddm.workflow.dry_run import estimate_cost

PAGE = Path(__file__).with_suffix(".md")
FIRST = ("digits", "digits_drifting", "cifar10_small", "cifar10_small_as_printed")
HEAD = """\
# Recipes

These recipes come with dddm. Run one by its name, `dddm run digits`; change values with `--set`; or
extend it in a file of your own with `extends = "cifar10"`. The table shows what
`dddm run NAME --dry-run` computes. Each section is the comment at the head of the recipe. Published
results are those of its `[[reported]]` tables, which a [report](report.md) compares with the
measured scores. `python docs/recipes.py` writes this page.

What a recipe extends, or takes as its preset, comes with dddm or is a file in its folder or below
it. The environment variable `DDDM_RECIPES` names further folders, separated as in `PATH`.

| Recipe | Images | Parameters | GFLOP a forward pass | Epochs | Steps | Target store |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
"""


def page() -> str:
    """The text of the page."""
    catalogue = load_catalogue()
    rows, sections = [], []
    names = shipped_names()
    for name in [*FIRST, *(name for name in names if name not in FIRST)]:
        read = read_recipe_or_sweep(name, catalogue=catalogue)
        base, entries = (read, []) if isinstance(read, Recipe) else (read.base, [*read.entries])
        recipes = [entry.recipe for entry in entries]
        rows.append(_row(name, recipes or [base], swept=bool(entries)))
        reported = "".join(_reported([base, *recipes], catalogue))
        sections.append(f"## {name}\n\n" + "\n".join(_head(name)) + f"\n{reported}")
    return HEAD + "\n".join(rows) + "\n\n" + "\n".join(sections)


def _row(name: str, recipes: list[Recipe], *, swept: bool) -> str:
    name_cell = f"[{name}](#{name.lower()})" + (f", {len(recipes)} runs" if swept else "")
    if recipes[0].data.component.name == "folder":
        return f"| {name_cell} | your own | | | | | |"
    estimate = estimate_cost(recipes[0])
    epochs = sorted(
        {
            recipe.train.epochs or round(estimate.steps / estimate.steps_per_epoch)
            for recipe in recipes
        }
    )
    shape = estimate.facts.shape
    cells = [
        name_cell,
        f"{estimate.facts.train_images:,} of {shape}",
        f"{estimate.cost.parameters / 1e6:,.1f}M",
        f"{estimate.cost.network.forward / 1e9:,.2f}",
        "…".join(f"{count:,}" for count in dict.fromkeys((epochs[0], epochs[-1]))),
        f"{estimate.steps:,}" if len(epochs) == 1 else "",
        "" if estimate.store is None else f"{estimate.store.total / 1e6:,.1f} MB",
    ]
    return "| " + " | ".join(cells) + " |"


def _reported(recipes: list[Recipe], catalogue: Catalogue) -> Iterator[str]:
    """A line for each `[[reported]]` table."""
    uses = [
        ComponentConfig(component=score, options=score.options())
        for score in catalogue.components(Kind.SCORE)
    ]
    words = {one.name: one.words for use in uses for one in score_info(use).measures}
    lines = dict.fromkeys(
        in_words(one, words=words) for recipe in recipes for one in recipe.reported
    )
    if lines:
        yield "\nThe paper reports:\n\n"
    yield from (f"- {line}\n" for line in lines)


def _head(name: str) -> Iterator[str]:
    """The comment at the head of a recipe, as Markdown."""
    text = files("dddm_recipes").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    for line in text.splitlines():
        if not line.startswith("#"):
            return
        words = line.removeprefix("#").removeprefix(" ")
        # Markdown shows what is indented by four spaces unchanged.
        yield f"  {words}" if words.startswith("  ") else words


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
