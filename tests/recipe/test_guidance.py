"""Label dropout and guidance in a recipe: what they change, and what is refused."""

from pathlib import Path

import pytest
from attrs import evolve
from command_line import write_tiny
from toy_plugins import RECIPE, error_of_toy, read_toy

from dddm.errors import RecipeError, UsageError
from dddm.interfaces.info import ImageShape
from dddm.recipe.model import Guidance, Recipe
from dddm.recipe.read import read_recipe
from dddm.recipe.write import to_toml
from dddm.registry.loader import load_catalogue
from dddm.training.network import instantiate_backbone

DROPPING = RECIPE.replace("batch_images = 20", "batch_images = 20\nlabel_dropout = 0.1")
GUIDED = DROPPING.replace("size = 7\n", "size = 7\nguidance = 2.0\nguidance_interval = [0.25, 5]\n")


def place_of(text: str, words: str) -> str:
    """`line:column: ` of the words."""
    start = text.index(words)
    return f"{text[:start].count(chr(10)) + 1}:{start - text.rfind(chr(10), 0, start)}: "


def test_guidance_is_part_of_what_is_sampled(tmp_path: Path) -> None:
    """Of the one table that asks for it, in its name and in the tables that are kept."""
    recipe = read_toy(tmp_path, GUIDED)
    first, second = recipe.sample
    assert first.guidance == Guidance(scale=2.0, interval=(0.25, 5.0))
    assert first.name == "steps-guidance-2-from-0.25-to-5"
    assert second.guidance is None
    assert second.name == "steps"
    assert recipe.train.label_dropout == 0.1
    again = read_toy(tmp_path, to_toml(recipe))
    assert again == recipe
    assert again.fingerprint == recipe.fingerprint


def test_a_recipe_without_them_is_what_it_was(tmp_path: Path) -> None:
    """They are in none of its tables, of which fingerprints are made and runs are compared."""
    recipe = read_toy(tmp_path)
    assert "label_dropout" not in recipe.tables["train"]
    assert not any("guidance" in key for table in recipe.tables["sample"] for key in table)


def test_each_value_tells_recipes_apart(tmp_path: Path) -> None:
    other = ("train.label_dropout=0.2", "sample.0.guidance=3", "sample.0.guidance_interval=[1, 5]")
    changed = {read_toy(tmp_path, GUIDED, change).fingerprint for change in other}
    assert len(changed | {read_toy(tmp_path, GUIDED).fingerprint}) == 4


@pytest.mark.parametrize(
    ("change", "at", "says"),
    [
        (("= 0.1", "= 1.0"), "1.0", "label_dropout: 1 is not below 1"),
        (("= 0.1", "= -0.1"), "-0.1", "label_dropout: -0.1 is not at least 0"),
        (("= 2.0", "= -2.0"), "-2.0", "guidance: -2 is not at least 0"),
        (("[0.25, 5]", "[5, 0.25]"), "[5, 0.25]", "guidance_interval is [5, 0.25]; it must be two"),
        (("[0.25, 5]", "[2, 2]"), "[2, 2]", "guidance_interval is [2, 2]; it must be two"),
        (("[0.25, 5]", "[2]"), "[2]\n", "guidance_interval is [2]; it must be two noise levels"),
        (("[0.25, 5]", "[-1, 2]"), "[-1, 2]", "guidance_interval: -1 is not at least 0"),
        (("guidance = 2.0\n", ""), "[0.25", "guidance_interval has no effect without guidance"),
        (("label_dropout = 0.1\n", ""), "2.0", "guidance: it needs label_dropout in [train]"),
        (("= 0.1", "= 0"), "2.0", "guidance: it needs label_dropout in [train]"),
    ],
)
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, change: tuple[str, str], at: str, says: str
) -> None:
    assert GUIDED.count(change[0]) == 1
    text = GUIDED.replace(*change)
    message = error_of_toy(tmp_path, text)
    assert f"toy.toml:{place_of(text, at)}" in message
    assert says in message


def test_a_scale_of_one_is_no_guidance(tmp_path: Path) -> None:
    """As an entry of a sweep over scales says it; it needs no label dropout."""
    text = GUIDED.replace("label_dropout = 0.1\n", "").replace("= 2.0", "= 1.0")
    assert [spec.name for spec in read_toy(tmp_path, text).sample] == ["steps", "steps"]


@pytest.mark.parametrize(
    ("scale", "interval", "says"),
    [
        (-1.0, None, "guidance is -1"),
        (float("nan"), None, "guidance is nan"),
        (float("inf"), None, "guidance is inf"),
        (2.0, (0.5, float("nan")), "guidance_interval is [0.5, nan]"),
        (2.0, (-0.5, 1.0), "guidance_interval is [-0.5, 1]"),
        (None, (0.5, 1.0), "guidance_interval has no effect"),
    ],
)
def test_what_commands_and_python_may_not_ask_for(
    scale: float | None, interval: tuple[float, float] | None, says: str
) -> None:
    with pytest.raises(UsageError) as caught:
        Guidance.make(scale, interval)
    assert says in caught.value.what


def test_close_scales_have_different_names() -> None:
    """Every digit that tells two numbers apart is shown."""
    names = [str(Guidance(scale=scale)) for scale in (0.0, 1.5, 2.0, 2.0000001, 100000.5)]
    assert names[:3] == ["guidance-0", "guidance-1.5", "guidance-2"]
    assert len(set(names)) == len(names)


def tiny(folder: Path, *changes: tuple[str, str], overrides: tuple[str, ...]) -> Recipe:
    """The tiny recipe, of digits, by ADM with classes."""
    path = write_tiny(folder, *changes)
    return read_recipe(path, overrides=overrides, catalogue=load_catalogue())


WITHOUT = ("classes = true", "classes = false")


@pytest.mark.parametrize(
    ("changes", "overrides", "says"),
    [
        (
            (WITHOUT,),
            ("train.label_dropout=0.1",),
            "label_dropout: the backbone adm uses no classes",
        ),
        ((WITHOUT,), ("sample.0.guidance=2",), "guidance: the backbone adm uses no classes"),
        ((), ("sample.0.guidance=2",), "write label_dropout = 0.1 there, or remove guidance"),
    ],
)
def test_a_network_without_classes(
    tmp_path: Path, changes: tuple[tuple[str, str], ...], overrides: tuple[str, ...], says: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        tiny(tmp_path, *changes, overrides=overrides)
    assert says in str(caught.value)
    assert f"--set {overrides[0]}" in str(caught.value)


def test_the_network_has_one_class_more(tmp_path: Path) -> None:
    """The first classes stay what they are; a network that takes none is refused when built."""
    shape = ImageShape(channels=1, height=8, width=8)
    plain = tiny(tmp_path, overrides=())
    dropping = tiny(tmp_path, overrides=("train.label_dropout=0.1",))
    for recipe, rows in ((plain, 10), (dropping, 11)):
        network = instantiate_backbone(recipe, shape=shape, classes=10)
        tables = [p for p in network.parameters() if p.ndim == 2 and len(p) == rows]
        assert len(tables) == 1
    assert dropping.network_classes(0) == 0, "images without classes have no class more"
    options = evolve(dropping.backbone.options, classes=False)
    unfit = evolve(dropping, backbone=evolve(dropping.backbone, options=options))
    for classes in (0, 10):
        with pytest.raises(RecipeError, match="the backbone adm uses no classes"):
            instantiate_backbone(unfit, shape=shape, classes=classes)
