"""Both components through the command line, as a user has them after `pip install`."""

import json
import subprocess
import sys
from importlib.metadata import entry_points, files
from pathlib import Path

import pytest

RECIPES = Path(__file__).parent.parent / "recipes"
SHORT = (
    "--set", "train.epochs=2", "--set", "sample.0.images=20", "--set", "sample.0.steps=[1, 3]",
    "--set", "sample.1.images=20", "--set", "sample.1.steps=[2]",
)  # fmt: skip


def dddm(*words: str | Path, cwd: Path) -> str:
    """What a command that must succeed prints."""
    done = subprocess.run(
        [sys.executable, "-m", "dddm", *map(str, words)],
        cwd=cwd, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_name_of_the_entry_point_is_the_namespace(tmp_path: Path) -> None:
    """Dddm lists both, and their options with defaults and bounds."""
    assert [point.value for point in entry_points(group="dddm", name="example")] == [
        "dddm_plugin_example"
    ]
    listed = json.loads(dddm("plugins", "--json", cwd=tmp_path))
    ours = [part for part in listed["components"] if part["id"].startswith("example:")]
    assert [part["id"] for part in ours] == ["example:dit", "example:robust"]
    assert "alpha = 1.0\n    a number, at most 2" in dddm("plugins", "show", "robust", cwd=tmp_path)


def test_it_is_typed() -> None:
    """The wheel carries py.typed, and nothing but its one package."""
    carried = {Path(file) for file in files("dddm-plugin-example") or []}
    packages = {file.parts[0] for file in carried if file.suffix in {".py", ".typed"}}
    if packages:  # installed in place it carries no file of its own
        assert Path("dddm_plugin_example/py.typed") in carried
        assert packages == {"dddm_plugin_example"}


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_its_recipes_are_right(recipe: Path, tmp_path: Path) -> None:
    """`dddm check` finds nothing in them, and imports no torch for it."""
    dddm("check", recipe, cwd=tmp_path)


def test_a_recipe_that_does_not_fit_is_refused_where_it_says_so(tmp_path: Path) -> None:
    """The check of `dit` is shown with file, line and remedy, like dddm's own."""
    recipe = tmp_path / "odd.toml"
    recipe.write_text((RECIPES / "dit.toml").read_text().replace("patch = 2", "patch = 3"))
    done = subprocess.run(
        [sys.executable, "-m", "dddm", "check", recipe],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 3
    assert "images of 8×8 pixels cannot be cut into patches of 3×3" in done.stderr
    assert "patch can be 1, 2, 4, 8" in done.stderr


def test_both_are_trained_sampled_and_scored(tmp_path: Path) -> None:
    """A short run of the transformer under the robust loss goes through to its page."""
    recipe = tmp_path / "short.toml"
    recipe.write_text(
        (RECIPES / "dit.toml").read_text()
        + '\n[metric]\nuse = "example:robust"\nalpha = 1.0\nc = 0.0043\n'
    )
    dddm("run", recipe, *SHORT, cwd=tmp_path)
    (run,) = (tmp_path / "runs").iterdir()
    assert (run / "report.html").stat().st_size > 10_000
    scores = json.loads(dddm("evaluate", "--json", cwd=tmp_path))
    assert scores
