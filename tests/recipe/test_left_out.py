"""Every table but `[data]` may be left out: what is chosen then, by what, and what is not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dddm.errors import DataError, RecipeError
from dddm.interfaces.plugin import DataSurvey, Kind
from dddm.recipe import choices, left_out
from dddm.recipe.model import Recipe
from dddm.recipe.read import read_recipe
from dddm.recipe.source import shipped_names
from dddm.recipe.surveys import Surveys
from dddm.recipe.sweep import Sweep, read_recipe_or_sweep
from dddm.recipe.write import to_toml, with_reasons
from dddm.registry.component import Component
from dddm.registry.loader import load_catalogue

CATALOGUE = load_catalogue()
DIGITS = 'format = 2\n[data]\nuse = "digits"\n'
FOLDER = 'format = 2\n\n[data]\nuse = "folder"\npath = "{}"\n'


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DDDM_CACHE", str(tmp_path / "cache"))


def read(folder: Path, text: str, *overrides: str) -> Recipe:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return read_recipe(path, overrides=overrides, catalogue=CATALOGUE)


def images(folder: Path, count: int, *, height: int, width: int, mode: str = "RGB") -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new(mode, (width, height), number).save(folder / f"{number:03}.png")
    return folder


def chosen(recipe: Recipe) -> dict[str, str]:
    """The values that were chosen for the recipe, with the reason."""
    origins = recipe.origins.items()
    return {key: of for key, of in origins if of.startswith("default") and of != "default"}


def test_a_data_set_is_enough(tmp_path: Path) -> None:
    """The recipe is that of its own text again, and has samples, scores and the file's name."""
    recipe = read(tmp_path, DIGITS)
    assert recipe.name == "mine"
    assert recipe.objective.component.id == "dddm:drifting"
    assert recipe.tables["objective"]["rows"] + recipe.tables["objective"]["real"] == 145
    assert recipe.tables["backbone"]["classes"] is True
    assert recipe.sample
    assert recipe.evaluate is not None
    assert chosen(recipe)["backbone.channels"].endswith("1,500 images of 1×8×8 in 10 classes")
    assert chosen(recipe)["schedule.use"] == "default, goes with drifting"
    assert read(tmp_path, to_toml(recipe)) == recipe
    assert chosen(read(tmp_path, to_toml(recipe))) == {}


@pytest.mark.parametrize("objective", [one.name for one in CATALOGUE.components(Kind.OBJECTIVE)])
@pytest.mark.parametrize("name", ["digits", "cifar10"])
def test_every_objective_is_completed(tmp_path: Path, objective: str, name: str) -> None:
    """The path, network, metric and samples fit what it needs: nothing is wrong between them."""
    text = f'format = 2\n[data]\nuse = "{name}"\n[objective]\nuse = "{objective}"\n'
    recipe = read(tmp_path, text)
    assert recipe.objective.component.name == objective
    assert (recipe.metric is not None) == recipe.needs.metric
    assert recipe.sample
    assert not {key for key in chosen(recipe) if key.startswith("objective.")}


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ("train.epochs=3", "train", {"epochs": 3, "batch_images": 128, "gradient_clip": 5.0}),
        ("train.batch_images=64", "train", {"steps": 2000, "batch_images": 64}),
        ("backbone.channels=64", "backbone", {"use": "dddm:adm", "channels": 64, "blocks": 1}),
        ("learning_rate.rate=0.5", "learning_rate", {"use": "dddm:steps", "rate": 0.5}),
        ("objective.rows=16", "objective", {"use": "dddm:drifting", "rows": 16, "real": 113}),
        ("schedule.timesteps=50", "schedule", {"use": "dddm:vp", "timesteps": 50}),
        ('evaluate.scores=["fd"]', "evaluate", {"features": {"use": "dddm:digits-classifier"}}),
        ("evaluate.features=pixels", "evaluate", {"features": {"use": "dddm:pixels"}}),
    ],
)
def test_single_keys_may_be_changed(
    tmp_path: Path, change: str, key: str, value: dict[str, Any]
) -> None:
    """Of what is chosen, in the file or by --set: the rest stays."""
    table = read(tmp_path, DIGITS, change).tables[key]
    assert {name: table[name] for name in value} == value
    assert ("steps" in table) == ("epochs" not in table and key == "train")


def test_options_of_features_alone(tmp_path: Path) -> None:
    """The features that are chosen, with that option; a folder without folders has no classes."""
    text = FOLDER.format(images(tmp_path / "faces", 40, height=16, width=16))
    recipe = read(tmp_path, text, "objective.features.epochs=2")
    assert recipe.tables["objective"]["features"]["use"] == "dddm:learned"
    assert recipe.tables["objective"]["features"]["epochs"] == 2
    assert "classes" not in recipe.tables["backbone"] or not recipe.tables["backbone"]["classes"]


@pytest.mark.parametrize("side", [8, 16])
@pytest.mark.parametrize("objective", ["", "[objective]\nuse = 'flow-matching'\n"])
def test_scores_are_not_in_what_trained(tmp_path: Path, side: int, objective: str) -> None:
    """Whatever the objective learns: the features of scores are fixed, and never its own."""
    text = FOLDER.format(images(tmp_path / "faces", 40, height=side, width=side))
    recipe = read(tmp_path, text + objective)
    assert recipe.evaluate is not None
    (scored,) = recipe.evaluate.features
    assert scored.component.id == "dddm:random-convolutions"
    assert scored.instantiate().trained_on is None
    assert all(one.component != scored.component for one in recipe.objective.nested)
    assert "no loss is computed in them" in chosen(recipe)["evaluate.features.use"]


def test_another_component_has_its_own_defaults(tmp_path: Path) -> None:
    """What was chosen for one component is not laid under another."""
    recipe = read(tmp_path, f'{DIGITS}[backbone]\nuse = "decoder"\nwidths = [8, 4]\nlatent = 8\n')
    assert recipe.tables["backbone"]["use"] == "dddm:decoder"
    assert "channels" not in recipe.tables["backbone"]
    rate = read(tmp_path, DIGITS, "learning_rate.use=constant").tables["learning_rate"]
    assert "drops" not in rate


def test_an_option_of_another_component_than_the_chosen_one(tmp_path: Path) -> None:
    """It is said that the recipe did not name it."""
    chosen_one = (
        "the backbone adm, which was chosen as the recipe names none, has no option 'widths'"
    )
    with pytest.raises(RecipeError, match=chosen_one):
        read(tmp_path, DIGITS, "backbone.widths=[8]")
    with pytest.raises(RecipeError, match="the backbone adm has no option 'widths'"):
        read(tmp_path, DIGITS, "backbone={use='adm',widths=[8]}")


def test_with_a_schedule_the_method_is_what_it_was(tmp_path: Path) -> None:
    """Directly denoising, a constant rate and no samples; a metric and a network are chosen."""
    recipe = read(tmp_path, f'{DIGITS}[schedule]\nuse = "vp"\ntimesteps = 50\n')
    assert recipe.objective.component.name == "directly-denoising"
    assert recipe.learning_rate.component.name == "constant"
    assert (recipe.sample, recipe.evaluate, recipe.parametrization) == ((), None, None)
    assert recipe.tables["metric"] == {"use": "dddm:pseudo-huber", "c": 0.0043}
    assert recipe.train.gradient_clip == 5.0
    partly = f'{DIGITS}[schedule]\nuse = "vp"\ntimesteps = 50\n[train]\nepochs = 3\n'
    train = read(tmp_path, partly).train
    assert (train.epochs, train.batch_images, train.gradient_clip) == (3, 64, None)
    assert read(tmp_path, f"{DIGITS}[metric]\nuse = 'l1'\n").objective == recipe.objective


@pytest.mark.parametrize("name", shipped_names())
def test_nothing_is_chosen_for_recipes_that_come_with_dddm(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They say what they are: no images are asked about, and no value depends on them."""
    monkeypatch.setattr(left_out.LeftOut, "_look", pytest.fail)
    found = read_recipe_or_sweep(name, catalogue=CATALOGUE)
    recipes = (
        [found.base, *(run.recipe for run in found.runs)] if isinstance(found, Sweep) else [found]
    )
    assert [chosen(recipe) for recipe in recipes] == [{}] * len(recipes)


def test_a_folder_is_looked_at_where_it_must_be(tmp_path: Path) -> None:
    """Size, number and classes decide; a recipe that says all is read without its images."""
    images(tmp_path / "faces/a", 30, height=32, width=32)
    images(tmp_path / "faces/b", 25, height=32, width=32)
    text = FOLDER.format(tmp_path / "faces")
    recipe = read(tmp_path, text)
    assert recipe.tables["backbone"]["widths"] == [128, 64, 32, 16]
    assert recipe.tables["objective"]["rows"] + recipe.tables["objective"]["real"] == 25
    assert recipe.evaluate is not None
    assert recipe.evaluate.features[0].component.name == "random-convolutions"
    assert chosen(recipe)["train.batch_images"].endswith("55 images of 3×32×32 in 2 classes")
    whole = to_toml(recipe)
    (tmp_path / "faces").rename(tmp_path / "gone")
    assert read(tmp_path, whole) == recipe
    with pytest.raises(DataError, match=r"mine\.toml:5:8: there is no such folder") as caught:
        read(tmp_path, text)
    assert "error" in str(caught.value)
    assert "missing" not in str(caught.value)


def test_the_smallest_class_limits_sets(tmp_path: Path) -> None:
    """A set that it cannot fill is refused by name, before anything is packed."""
    images(tmp_path / "faces/a", 30, height=32, width=32)
    images(tmp_path / "faces/b", 25, height=32, width=32)
    with pytest.raises(RecipeError, match="compared with 22 others, and the class b has 25"):
        read(tmp_path, FOLDER.format(tmp_path / "faces"), "objective.real=22")


def test_few_images_of_a_class_are_no_class(tmp_path: Path) -> None:
    """As `dddm init` has it."""
    images(tmp_path / "faces/a", 30, height=32, width=32)
    images(tmp_path / "faces/b", 19, height=32, width=32)
    recipe = read(tmp_path, FOLDER.format(tmp_path / "faces"))
    assert recipe.tables["backbone"]["classes"] is False
    assert choices.usable_classes([20, 20])
    assert not choices.usable_classes([20, 19])


def test_images_that_cannot_be_halved(tmp_path: Path) -> None:
    """The error names the way out; with a network of the user's own there is none."""
    images(tmp_path / "odd", 30, height=35, width=35)
    text = FOLDER.format(tmp_path / "odd") + 'classes = "none"\n'
    with pytest.raises(DataError, match="cannot be halved often enough") as caught:
        read(tmp_path, text)
    assert "data.size" in str(caught.value)
    assert read(tmp_path, text, "data.size=32").tables["backbone"]["use"] == "dddm:decoder"
    assert read(tmp_path, text, "backbone={use='decoder',widths=[8]}").sample


def test_other_mistakes_are_said_and_nothing_is_said_to_be_missing(tmp_path: Path) -> None:
    """Tables that could not be chosen because of a mistake are not asked for."""
    with pytest.raises(RecipeError) as caught:
        read(tmp_path, f"{DIGITS}[objective]\nuse = 'driftin'\n[train]\nema = 2\n")
    assert "2 errors" in str(caught.value)
    assert "mine.toml:5:7: there is no objective called 'driftin'" in str(caught.value)
    assert "mine.toml:7:7: ema: 2 is not below 1" in str(caught.value)
    with pytest.raises(RecipeError) as caught:
        read(tmp_path, "format = 2\n[schedule]\nuse = 'vp'\n")
    assert "the table [data] is missing" in str(caught.value)
    assert "[backbone] is missing" not in str(caught.value)


def test_a_sweep_is_completed_entry_by_entry(tmp_path: Path) -> None:
    """Each has the path and samples of its objective, and a name after that of the file."""
    path = tmp_path / "mine.toml"
    entries = "".join(
        f'[[sweep]]\nname = "{name}"\nobjective = {{ use = "{name}" }}\n'
        for name in ("denoising", "mean-flow")
    )
    path.write_text(DIGITS + entries, encoding="utf-8")
    sweep = read_recipe_or_sweep(path, catalogue=CATALOGUE)
    assert isinstance(sweep, Sweep)
    found = [(one.recipe.name, one.recipe.schedule.component.name) for one in sweep.entries]
    assert found == [("mine-denoising", "karras"), ("mine-mean-flow", "linear")]


def test_each_folder_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For all entries of a sweep together."""
    images(tmp_path / "faces", 40, height=16, width=16)
    path = tmp_path / "mine.toml"
    entries = "".join(f'[[sweep]]\nname = "{k}"\nseed = {k}\n' for k in range(3))
    path.write_text(
        FOLDER.format(tmp_path / "faces") + 'classes = "none"\n' + entries, encoding="utf-8"
    )
    looked = []

    def look(component: Component, options: Any) -> DataSurvey | None:
        looked.append(component.id)
        return once(component, options)

    once = Component.look
    monkeypatch.setattr(Component, "look", look)
    surveys = Surveys(every=True)
    read_recipe_or_sweep(path, catalogue=CATALOGUE, surveys=surveys)
    assert looked == ["dddm:folder"]
    assert surveys.looked_at == ["listed 40 train images of 3×16×16"]


def test_reasons_are_comments(tmp_path: Path) -> None:
    """At the values that were chosen, and no others; without them the text is the same."""
    recipe = read(tmp_path, f"{DIGITS}[backbone]\nchannels = 16\n")
    text = with_reasons(to_toml(recipe), recipe)
    lines = {line.partition("  # ")[0]: line.partition("  # ")[2] for line in text.splitlines()}
    assert lines["blocks = 1"].startswith("default for 1,500 images")
    assert lines["multipliers = [1, 2]"].startswith("default for 1,500 images")
    assert lines["steps = 2000"].startswith("default: a first impression")
    assert lines["channels = 16"] == lines["dropout = 0.0"] == ""
    assert read(tmp_path, text) == read(tmp_path, to_toml(recipe))


@pytest.mark.parametrize("side", [8, 12, 16, 28, 32, 40, 64, 128])
@pytest.mark.parametrize("count", [1, 7, 20, 500])
@pytest.mark.parametrize("classes", [0, 2])
def test_choices_fit_any_images(tmp_path: Path, side: int, count: int, classes: int) -> None:
    """However large, and however few: the recipe is right, or says that there are too few."""
    array = np.zeros((count, side, side, 3), np.uint8)
    labels = {"labels": np.arange(count) % classes} if classes else {}
    np.savez(tmp_path / "a.npz", images=array, **labels)  # type: ignore[arg-type]
    text = f'format = 2\n[data]\nuse = "npz"\npath = "{tmp_path / "a.npz"}"\n'
    if count < 20:
        with pytest.raises(DataError, match=r":2:1: there are \d training images, too few"):
            read(tmp_path, text)
        return
    recipe = read(tmp_path, text)
    sets = recipe.needs.sets
    assert sets is not None
    assert sets.rows + sets.real <= count
