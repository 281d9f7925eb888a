"""What the paper prints of a recipe: typed, checked, and without any effect on the run."""

from pathlib import Path

import attrs
import pytest
from toy_plugins import RECIPE, TOYS, error_of_toy, read_toy

from dddm.recipe.model import ReportedResult
from dddm.recipe.reported import format_value, in_words
from dddm.recipe.sweep import Sweep, read_recipe_or_sweep
from dddm.recipe.write import to_toml

FIGURES = """
[[reported]]
source = "table 1"
score = "fd"
sampler = "steps"
features = "inception"
images = 50000
steps = [1, 1000]
values = [2.90, 2]
"""
SAYS = """
[[reported]]
source = "figure 2"
says = "a < b"
"""


def test_figures_are_typed_and_read_back(tmp_path: Path) -> None:
    """A whole number becomes a float, a list a tuple; what is resolved reads back to the same."""
    recipe = read_toy(tmp_path, RECIPE + FIGURES + SAYS)
    figures, words = recipe.reported
    assert figures == ReportedResult(
        source="table 1",
        score="fd",
        sampler="steps",
        features="inception",
        images=50000,
        steps=(1, 1000),
        values=(2.9, 2.0),
    )
    assert words == ReportedResult(source="figure 2", says="a < b")
    assert recipe.tables["reported"][1] == {"source": "figure 2", "says": "a < b"}
    assert read_toy(tmp_path, to_toml(recipe)) == recipe


def test_they_are_no_part_of_the_fingerprint(tmp_path: Path) -> None:
    """A figure that is put right does not make another recipe of it."""
    plain = read_toy(tmp_path, RECIPE)
    assert read_toy(tmp_path, RECIPE + FIGURES).fingerprint == plain.fingerprint
    assert plain.reported == ()
    assert "reported" not in plain.tables


def test_a_recipe_that_extends_another_does_not_inherit_them(tmp_path: Path) -> None:
    """Figures are of the file they stand in: neither of another file, nor of a sweep's entries."""
    (tmp_path / "base.toml").write_text(RECIPE + FIGURES, encoding="utf-8")
    above = 'extends = "base.toml"\nformat = 2\nname = "above"\n'
    assert read_toy(tmp_path, above).reported == ()
    assert [one.source for one in read_toy(tmp_path, above + SAYS).reported] == ["figure 2"]
    entries = '[[sweep]]\nname = "a"\n[[sweep]]\nname = "b"\n'
    (tmp_path / "sweep.toml").write_text(
        above + SAYS + entries + FIGURES.replace("[[reported]]", "[[sweep.reported]]"),
        encoding="utf-8",
    )
    sweep = read_recipe_or_sweep(tmp_path / "sweep.toml", catalogue=TOYS)
    assert isinstance(sweep, Sweep)
    assert [one.source for one in sweep.base.reported] == ["figure 2"]
    assert [[one.source for one in entry.recipe.reported] for entry in sweep.entries] == [
        [],
        ["table 1"],
    ]


def test_what_the_command_line_changes_is_noted(tmp_path: Path) -> None:
    """What is trained is named beside the figures and stays there; a seed or a name is not."""
    recipe = read_toy(tmp_path, RECIPE + FIGURES, "train.epochs=2", "seed=5", "name=other")
    assert [one.changed for one in recipe.reported] == [("train.epochs=2",)]
    again = read_toy(tmp_path, to_toml(recipe), "metric.rate=0.25")
    assert [one.changed for one in again.reported] == [("train.epochs=2", "metric.rate=0.25")]


@pytest.mark.parametrize(
    ("change", "message", "line"),
    [
        (("values = [2.90, 2]", "values = [2.90]"), "1 values for 2 step counts", 9),
        (("values = [2.90, 2]", 'values = ["2.90"]'), "expected a number, found '2.90'", 9),
        (('score = "fd"', "score = 1"), "expected text", 4),
        (('score = "fd"\n', ""), "has values, but no score", 2),
        (('source = "table 1"\n', ""), "needs the option 'source'", 2),
        (("steps = [1, 1000]\nvalues = [2.90, 2]\n", ""), "[[reported]] is empty", 2),
        (("steps = [1, 1000]", "steps = [0, 1000]"), "0 is not at least 1", 8),
        (("images", "image"), "has no option 'image'", 7),
        (("[[reported]]", "[reported]"), "reported must be an array", 2),
    ],
)
def test_mistakes_are_shown_where_they_stand(
    tmp_path: Path, change: tuple[str, str], message: str, line: int
) -> None:
    """Each names the line in the file, as any other mistake of a recipe."""
    shown = error_of_toy(tmp_path, RECIPE + FIGURES.replace(*change))
    assert message in shown
    assert f"toy.toml:{RECIPE.count(chr(10)) + line}:" in shown


def test_a_figure_is_written_as_a_paper_prints_it() -> None:
    """Two decimals, or as many as there are; in a sentence with all that it depends on."""
    assert tuple(map(format_value, (2.9, 71, 0.1234))) == ("2.90", "71.00", "0.1234")
    figures = ReportedResult(
        source="table 1", score="is", sampler="steps", images=50000, steps=(1,), values=(9.81,)
    )
    assert (
        in_words(figures, words={"is": "Inception Score"})
        == "table 1: Inception Score 9.81 at 1 step (50,000 images)"
    )
    assert in_words(ReportedResult(source="figure 2", says="a < b"), words={}) == "figure 2: a < b"


def test_results_of_another_method_are_told_by_evaluations() -> None:
    """They have no sampler, whose steps they could be of."""
    one = ReportedResult(source="table 1, CD", score="fd", steps=(1,), values=(3.55,))
    several = attrs.evolve(one, steps=(1, 2), values=(3.55, 2.93))
    assert in_words(one, words={}) == "table 1, CD: fd 3.55 at 1 evaluation"
    assert in_words(several, words={}) == "table 1, CD: fd 3.55 / 2.93 at 1 / 2 evaluations"
