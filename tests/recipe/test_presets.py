"""A preset says how samples are scored, beneath what a recipe says itself."""

from pathlib import Path

import pytest
from toy_plugins import RECIPE, TOYS

from dddm.errors import PluginError, RecipeError
from dddm.interfaces.measurement import BASELINES
from dddm.interfaces.plugin import Kind
from dddm.recipe.evaluation import preset_names, preset_summaries, read_evaluation
from dddm.recipe.model import Evaluation, Recipe
from dddm.recipe.read import read_recipe
from dddm.recipe.sweep import Sweep, read_recipe_or_sweep
from dddm.recipe.write import to_toml
from dddm.registry.loader import load_catalogue

OWN = """\
format = 2
summary = "what I measure"

[evaluate]
scores = [{ use = "kid", sampled = 9 }, "fd"]
features = "toy:pixels"

[evaluate.protocol]
name = "mine"
features = ["toy:pixels"]
images = 64
"""
WITH = RECIPE.replace('features = "toy:pixels"', 'preset = "mine.toml"')


def read(folder: Path, text: str, *overrides: str, own: str = OWN) -> Recipe:
    (folder / "mine.toml").write_text(own)
    (folder / "toy.toml").write_text(text)
    return read_recipe(folder / "toy.toml", overrides=overrides, catalogue=TOYS)


def scored(recipe: Recipe) -> Evaluation:
    assert recipe.evaluate is not None
    return recipe.evaluate


def names(recipe: Recipe) -> list[str]:
    return [use.component.name for use in scored(recipe).scores]


@pytest.mark.parametrize("name", preset_names())
def test_what_comes_with_dddm(name: str) -> None:
    """Each is right, and its protocol, if any, is about what it measures by default."""
    evaluation = read_evaluation(name, catalogue=load_catalogue())
    assert preset_summaries()[name]
    if evaluation.protocol is not None:
        assert evaluation.protocol.name == name
        ids = tuple(use.component.id for use in evaluation.features)
        assert evaluation.protocol.features == ids
        sampled = {getattr(use.options, "training_images", None) for use in evaluation.scores}
        assert evaluation.protocol.sampled_training_images in sampled


def test_which_there_are() -> None:
    """The paper's two, one that no loss has seen, and one that needs no file of weights."""
    assert preset_names() == ["cifar10-paper", "imagenet64-adm", "no-weights", "unbiased"]
    catalogue = load_catalogue()
    (cheap,) = read_evaluation("no-weights", catalogue=catalogue).features
    assert cheap.component.weights_for(cheap.options) == ()
    two = read_evaluation("unbiased", catalogue=catalogue).features
    assert [use.component.name for use in two] == ["clip-vit-b-32", "dinov2-vit-b-14"]
    assert all(use.component.kind is Kind.FEATURES for use in two)


def test_an_own_file_stands_beneath_the_recipe(tmp_path: Path) -> None:
    """Relative to the recipe; a value beside the name wins; origins tell the two apart."""
    recipe = read(tmp_path, WITH, 'evaluate.scores=["fd"]')
    assert names(recipe) == ["fd"]
    assert scored(recipe).protocol is not None
    assert recipe.origins["evaluate.scores.0.use"] == '--set evaluate.scores=["fd"]'
    assert recipe.origins["evaluate.features.use"].endswith("mine.toml:6")
    whole = read(tmp_path, WITH)
    assert whole.origins["evaluate.scores.0.sampled"].endswith("mine.toml:5")


def test_the_checked_recipe_holds_the_values_alone(tmp_path: Path) -> None:
    """Written out it reads back equal where the preset is not."""
    recipe = read(tmp_path, WITH)
    assert "preset" not in recipe.tables["evaluate"]
    (tmp_path / "run").mkdir()
    saved = tmp_path / "run" / "recipe.toml"
    saved.write_text(to_toml(recipe))
    (tmp_path / "mine.toml").unlink()
    assert read_recipe(saved, catalogue=TOYS) == recipe


@pytest.mark.parametrize(
    ("written", "own", "expected"),
    [
        (None, None, BASELINES),
        ("true", BASELINES, BASELINES),
        ("false", (), ()),
        ("[]", (), ()),
        ('["blurred-2"]', ("blurred-2",), ("blurred-2",)),
    ],
)
def test_baselines(
    tmp_path: Path, written: str | None, own: tuple[str, ...] | None, expected: tuple[str, ...]
) -> None:
    """All by default; what is written is kept in the saved recipe."""
    line = "" if written is None else f"baselines = {written}\n"
    recipe = read(tmp_path, RECIPE.replace("[evaluate]\n", f"[evaluate]\n{line}"))
    assert (scored(recipe).baselines, scored(recipe).scored_baselines) == (own, expected)
    (tmp_path / "saved.toml").write_text(to_toml(recipe))
    assert read_recipe(tmp_path / "saved.toml", catalogue=TOYS) == recipe


def test_with_a_protocol_there_are_no_baselines_unless_asked_for(tmp_path: Path) -> None:
    assert scored(read(tmp_path, WITH)).scored_baselines == ()
    asked = WITH.replace("[evaluate]\n", "[evaluate]\nbaselines = true\n")
    assert scored(read(tmp_path, asked)).scored_baselines == BASELINES


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ('["blurred-3"]', "there is no baseline 'blurred-3'"),
        ('"blurred-2"', "baselines must be an array of names"),
        ("1", "there is no baseline 1"),
        ("[[1]]", r"there is no baseline \[1\]"),
    ],
)
def test_wrong_baselines(tmp_path: Path, written: str, what: str) -> None:
    text = RECIPE.replace("[evaluate]\n", f"[evaluate]\nbaselines = {written}\n")
    with pytest.raises(RecipeError, match=what) as caught:
        read(tmp_path, text)
    assert "an array of class-gaussian" in str(caught.value)


def test_features_of_the_preset_may_be_said_more_of(tmp_path: Path) -> None:
    """Options alone are laid over its features; other features take their place."""
    text = RECIPE.replace('[evaluate]\nfeatures = "toy:pixels"\n', "")
    two = "[evaluate.features]\nuse = 'other:pixels'\n[evaluate]\npreset = 'mine.toml'\n"
    found = scored(read(tmp_path, text + two)).features
    assert [use.component.id for use in found] == ["other:pixels"]
    with pytest.raises(RecipeError, match="pixels has no option 'more'"):
        read(tmp_path, text + "[evaluate]\npreset = 'mine.toml'\n[evaluate.features]\nmore = 1\n")


def test_a_preset_replaces_what_stood_there(tmp_path: Path) -> None:
    """By `extends`, by `--set`, in a sweep and as `--preset`: nothing of the old table is left."""
    (tmp_path / "base.toml").write_text(
        RECIPE.replace("[evaluate]", "[evaluate]\nscores=['nearest']")
    )
    expected = scored(read(tmp_path, WITH))
    extending = 'extends = "base.toml"\n[evaluate]\npreset = "mine.toml"\n'
    assert scored(read(tmp_path, extending)) == expected
    mine = tmp_path / "mine.toml"
    assert scored(read(tmp_path, RECIPE, f'evaluate.preset="{mine}"')) == expected
    by_option = read_recipe(tmp_path / "base.toml", preset=str(mine), catalogue=TOYS)
    assert scored(by_option) == expected
    swept = 'extends = "base.toml"\n[[sweep]]\nname = "a"\nevaluate = { preset = "mine.toml" }\n'
    (tmp_path / "swept.toml").write_text(swept)
    sweep = read_recipe_or_sweep(tmp_path / "swept.toml", catalogue=TOYS)
    assert isinstance(sweep, Sweep)
    (entry,) = sweep.entries
    assert scored(entry.recipe) == expected
    kept = 'extends = "with.toml"\n[evaluate]\nfeatures = "other:pixels"\n'
    (tmp_path / "with.toml").write_text(WITH)
    assert names(read(tmp_path, kept)) == ["kid", "fd"]


@pytest.mark.parametrize(
    ("own", "says"),
    [
        (OWN.replace("format = 2", "format = 1"), "does not name its format"),
        (OWN.replace("summary", "sumary"), "did you mean summary?"),
        ("format = 2\n", "has no table [evaluate]"),
        (OWN.replace("[evaluate]", '[evaluate]\npreset = "x"'), "cannot use another"),
        (OWN.replace("sampled = 9", "sampled = 3"), "mine.toml:5:36"),
        (OWN.replace("images = 64", "images = 0"), "mine.toml:11:10"),
        (OWN.replace('name = "mine"\n', ""), "[evaluate.protocol] needs the option 'name'"),
        (OWN.split("[evaluate.protocol]", maxsplit=1)[0] + "protocol = 3", "must be a table"),
        (OWN.replace("format = 2", "format ="), "mine.toml:1:"),
    ],
)
def test_a_wrong_preset_is_shown_where_it_is_wrong(tmp_path: Path, own: str, says: str) -> None:
    """In its own file, with line and column."""
    with pytest.raises(RecipeError) as refused:
        read(tmp_path, WITH, own=own)
    assert says in str(refused.value)
    assert "mine.toml" in str(refused.value)


def test_an_unknown_preset_is_refused(tmp_path: Path) -> None:
    """Once, at its place, with the nearest name; also where it is no text, or no features fit."""
    text = WITH.replace("mine.toml", "cifar10-papers")
    with pytest.raises(RecipeError, match="did you mean cifar10-paper") as refused:
        read(tmp_path, text)
    line = text.split("\n").index('preset = "cifar10-papers"') + 1
    assert f"toy.toml:{line}:10: there is no preset 'cifar10-papers'" in str(refused.value)
    assert "an error" in str(refused.value)
    with pytest.raises(RecipeError, match="no preset 3"):
        read(tmp_path, WITH.replace('"mine.toml"', "3"))
    with pytest.raises(RecipeError, match="--preset unbiasd"):
        read_evaluation("unbiasd", catalogue=TOYS)
    with pytest.raises(PluginError, match="clip-vit-b-32"):
        read_evaluation("unbiased", catalogue=TOYS)


def test_several_features(tmp_path: Path) -> None:
    """An array of names and tables; the same twice, or none, is refused."""
    both = '["toy:pixels", { use = "other:pixels" }]'
    recipe = read(tmp_path, RECIPE, f"evaluate.features={both}")
    assert [use.component.id for use in scored(recipe).features] == ["toy:pixels", "other:pixels"]
    (tmp_path / "again.toml").write_text(to_toml(recipe))
    assert read_recipe(tmp_path / "again.toml", catalogue=TOYS) == recipe
    assert recipe.origins["evaluate.features.1.use"].startswith("--set")
    assert recipe.components.count(scored(recipe).features[1]) == 1
    with pytest.raises(RecipeError, match="is listed twice"):
        read(tmp_path, RECIPE, 'evaluate.features=["toy:pixels", "toy:pixels"]')
    with pytest.raises(RecipeError, match="in which features"):
        read(tmp_path, RECIPE, "evaluate.features=[]")
