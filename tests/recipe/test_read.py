"""Recipes are read, merged and checked, and all that is wrong is shown where it stands."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_plugins import RECIPE, TOYS, error_of_toy, read_toy

from dddm.errors import DddmError, PluginError, RecipeError, UsageError
from dddm.interfaces.plugin import Kind
from dddm.recipe.read import read_component, read_recipe
from dddm.recipe.write import to_toml
from dddm.registry.loader import load_catalogue


def line_of(key: str) -> int:
    return next(k for k, line in enumerate(RECIPE.split("\n"), 1) if line.startswith(key))


def test_a_right_recipe_becomes_typed_objects(tmp_path: Path) -> None:
    """Components are found, options typed, defaults filled in, ids made full."""
    recipe = read_toy(tmp_path)
    assert recipe.backbone.options.size == 2
    assert recipe.learning_rate.options.rate == 1e-3
    assert [job.steps for job in recipe.sample] == [(1, 2), (3,)]
    assert recipe.sample[1].images == 64
    assert recipe.tables["data"] == {"use": "toy:images"}
    assert recipe.tables["evaluate"]["features"] == {"use": "toy:pixels"}
    assert "maybe" not in recipe.tables["backbone"]
    assert recipe.observe is None


@given(
    epochs=st.integers(1, 10**9),
    # Not 0.5, which the backbone has: its check refuses the same rate in both.
    rate=st.floats(min_value=0, max_value=1, exclude_min=True, exclude_max=True).filter(
        lambda rate: rate != 0.5
    ),
    text=st.text(max_size=9).filter(lambda s: s.isprintable()),
    steps=st.lists(st.integers(1, 99), min_size=1, max_size=4),
)
def test_written_out_it_reads_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, epochs: int, rate: float, text: str, steps: list[int]
) -> None:
    """A run folder's recipe is equal, with the same fingerprint, to the one that was checked."""
    folder = tmp_path_factory.mktemp("recipe")
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    one = read_toy(
        folder,
        RECIPE,
        f"train.epochs={epochs}",
        f"metric.rate={rate!r}",
        f"backbone.text={quoted}",
        f"sample.0.steps={steps}",
        "backbone.maybe=2",
    )
    again = read_toy(folder, to_toml(one))
    assert again == one
    assert again.fingerprint == one.fingerprint


def test_any_changed_value_changes_the_fingerprint(tmp_path: Path) -> None:
    """The fingerprint tells recipes apart, also by what was a default."""
    plain = read_toy(tmp_path).fingerprint
    changes = ["seed=4", "train.ema=0.5", "backbone.flag=true", "sample.1.images=65"]
    others = {read_toy(tmp_path, RECIPE, change).fingerprint for change in changes}
    assert len(others | {plain}) == len(changes) + 1


def test_order_is_default_base_file_set(tmp_path: Path) -> None:
    """Each later layer wins, tables merge deeply, arrays are replaced whole."""
    (tmp_path / "base.toml").write_text(RECIPE + "scores = ['fd']\n")
    text = (
        'extends = "base.toml"\n[train]\nepochs = 6\n[backbone]\nlist = [1, 2]\n'
        '[[sample]]\nuse = "steps"\nsize = 1\nsteps = [9]\n'
    )
    recipe = read_toy(tmp_path, text, "train.batch_images=10", "backbone.list=[3]")
    assert (recipe.train.epochs, recipe.train.batch_images) == (6, 10)
    assert recipe.learning_rate.options.rate == 1e-3
    assert recipe.backbone.options.list == (3,)
    assert len(recipe.sample) == 1
    origins = recipe.origins
    assert origins["train.epochs"].endswith("toy.toml:3")
    assert origins["learning_rate.rate"].endswith(f"base.toml:{line_of('rate = 1e-3')}")
    assert origins["train.batch_images"] == "--set train.batch_images=10"
    assert origins["train.ema"] == "default"
    assert origins["evaluate.features.use"].endswith(f"base.toml:{line_of('features')}")


def test_a_table_whose_use_changes_is_replaced(tmp_path: Path) -> None:
    """Options of the old component do not leak into the new one, in files and by --set."""
    (tmp_path / "base.toml").write_text(RECIPE)
    recipe = read_toy(
        tmp_path, 'extends = "base.toml"\n[metric]\nuse = "far"\n', "backbone.rate=0.75"
    )
    assert recipe.tables["metric"] == {"use": "other:far"}


def test_all_errors_are_shown_at_once_in_order(tmp_path: Path) -> None:
    """Eight mistakes give all their messages, each with line, column and the line itself."""
    text = (
        RECIPE.replace('name = "toy"', 'nme = "toy"')
        .replace('use = "images"', 'use = "image"')
        .replace("size = 2", "size = 2.0\nrate = 1\nwrd = 'left'")
        .replace("epochs = 5", "epochs = true")
        .replace("steps = [3]", "steps = [0]")
        .replace('"toy:pixels"', '"pixels"')
    )
    message = error_of_toy(tmp_path, text)
    assert "the recipe has 8 errors" in message
    for part in (
        ":2:1: a recipe has no key 'nme'",
        "did you mean name?",
        ":6:7: there is no dataset called 'image'",
        "did you mean images",
        ":16:8: size: expected a whole number, found 2.0",
        ":17:8: rate: 1 is not below 1",
        ":18:1: the backbone net has no option 'wrd'",
        "did you mean word?",
        "    16 | size = 2.0\n       |        ^",
        "epochs: expected a whole number, found true",
        "steps: 0 is not at least 1",
        "'pixels' is the name of several features components",
        "write one of other:pixels, toy:pixels",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('[metric]\nuse = "near"\nsize = 1\nrate = 0.25\n', ""), "the table [metric] is missing"),
        (('[metric]\nuse = "near"\n', "[metric]\n"), "[metric] does not say which metric to use"),
        (("format = 2\n", ""), "format = 2"),
        (("format = 2", "format = 1"), "train.learning_rate… became the table [learning_rate]"),
        (('name = "toy"', 'name = "../toy"'), "also names its run folder"),
        (("seed = 3", 'seed = "3"'), "expected a whole number"),
        (("seed = 3", 'requires = "x"'), "a list of requirements"),
        (("seed = 3", 'requires = ["a b c"]'), "is not a valid requirement"),
        (("size = 2\n", ""), "needs the option 'size'"),
        (("size = 2", "size = 2\nword = 'up'"), 'one of "left", "right"'),
        (("size = 2", "size = 2\nlist = [1, -1]"), "-1 is not at least 0"),
        (("size = 2", "size = 2\ntext = {}"), "expected text, found a table"),
        (("size = 2", "size = 5"), "size: larger than the image"),
        (("size = 2", "size = 2\nrate = 0.25"), "the same as the metric's"),
        (("batch_images = 20", "batch_images = 101"), "are more than 100 training images"),
        (("batch_images = 20", "batch_images = 20\nshards = 3"), "divided equally among 3 shards"),
        (("batch_images = 20", "batch_images = 20\naccumulation_steps = 3"), "into 3 equal micro"),
        (("epochs = 5", "epochs = 5\nextra_ema_decays = [0.9999]"), "or equals `ema`"),
        (('[[sample]]\nuse = "steps"', '[sample]\nuse = "steps"'), "sample"),
        (("steps = [3]", "steps = []"), "no step count"),
        (('features = "toy:pixels"', ""), "in which features"),
        (("[evaluate]", "[evaluate]\nmetrics = ['fd']"), "from baselines, features, protocol"),
        (("[evaluate]", "[evaluate]\nscores = ['fid']"), "no score called 'fid'"),
        (("[evaluate]", "[evaluate]\nscores = 'fd'"), "scores must list what is measured"),
        (("[evaluate]", "[evaluate]\nscores = ['fd', 'toy:fd']"), "scores: toy:fd is listed twice"),
        (
            ("steps = [3]", "steps = [3]\nimages = 1"),
            'the score "fd" needs 2 images, not 1',
        ),
        (
            ("[evaluate]", "[evaluate]\nscores = [{use = 'kid', sampled = 3}]"),
            "3 is not at least 4",
        ),
        (("[evaluate]", "[[observe]]\nuse = 'ear'\n[evaluate]"), "no observer called 'ear'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    """Each mistake gets its own message that says what is expected."""
    text = RECIPE.replace(*change, 1) if change[0] != "[[sample]]" else RECIPE
    if change[1].startswith("[sample]"):
        text = RECIPE.replace('[[sample]]\nuse = "toy:steps"\nsize = 8\nsteps = [3]\n', "").replace(
            *change
        )
    with pytest.raises(DddmError) as caught:
        read_toy(tmp_path, text)
    assert words in str(caught.value)
    assert caught.value.exit_code in {3, 4}


def test_what_is_wrong_between_tables_is_shown_beside_the_rest(tmp_path: Path) -> None:
    """A mistyped option does not hide that the batch is too large and the network does not fit."""
    text = RECIPE.replace("epochs = 5", "epochs = 5\nshards = 3").replace("size = 2", "size = 5")
    message = error_of_toy(tmp_path, text.replace("rate = 0.25", "rat = 0.25"))
    for part in ("did you mean rate?", "divided equally among 3 shards", "larger than the image"):
        assert part in message


def test_plugins_alone_at_fault_is_a_plugin_error(tmp_path: Path) -> None:
    """A missing component or package exits as a plugin's fault, mixed with others as a recipe's."""
    missing = RECIPE.replace('use = "net"', 'use = "nett"')
    assert "did you mean net" in error_of_toy(tmp_path, missing, kind=PluginError)
    needs = RECIPE.replace("seed = 3", 'requires = ["no-such-package>=1", "click<0.1"]')
    message = error_of_toy(tmp_path, needs, kind=PluginError)
    assert "no-such-package is not installed" in message
    assert "python -m pip install 'click<0.1'" in message
    error_of_toy(tmp_path, missing.replace("epochs = 5", "epochs = 0"))


@pytest.mark.parametrize("name", ["mixer", "mixer:mixer"])
def test_a_component_of_a_missing_package_is_one_error(tmp_path: Path, name: str) -> None:
    """That the package is not installed says why its component is not there."""
    missing = RECIPE.replace('use = "net"', f'use = "{name}"')
    alone = error_of_toy(tmp_path, missing, kind=PluginError)
    assert f"there is no backbone called '{name}'" in alone
    needs = missing.replace("seed = 3", 'requires = ["Dddm_Mixer>=1"]')
    message = error_of_toy(tmp_path, needs, kind=PluginError)
    assert "the recipe has an error" in message
    assert "Dddm_Mixer is not installed" in message
    other = missing.replace("seed = 3", 'requires = ["dddm-elsewhere"]')
    assert "the recipe has 2 errors" in error_of_toy(tmp_path, other, kind=PluginError)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train.epocs=2", "did you mean epochs?"),
        ("train.epochs", "not written KEY=VALUE"),
        ("train..epochs=2", "not written KEY=VALUE"),
        ("train.epochs=two words", "expected a whole number, found 'two words'"),
        ("train.epochs=many", "expected a whole number, found 'many'"),
        ("sample.5.steps=[1]", "no place sample.5.steps"),
        ("name.x=1", "no place name.x"),
        ("sample.0=1", "sample must be an array"),
    ],
)
def test_mistakes_on_the_command_line_are_shown_as_such(
    tmp_path: Path, words: str, said: str
) -> None:
    """The place of such a mistake is the option itself."""
    message = error_of_toy(tmp_path, RECIPE, words)
    assert said in message
    assert words.partition("=")[0].split(".")[0] in message


def test_set_takes_bare_words_and_makes_tables(tmp_path: Path) -> None:
    """`--set metric.use=far` needs no quotes, and tables that are not there are made."""
    text = RECIPE.replace('[evaluate]\nfeatures = "toy:pixels"\n', "")
    recipe = read_toy(tmp_path, text, "metric.use=far", "evaluate.features=toy:pixels", "seed=0x10")
    assert recipe.tables["metric"] == {"use": "other:far"}
    assert recipe.evaluate is not None
    assert recipe.seed == 16


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("format = 2\nname = \n", "toy.toml:2:8"),
        ("format = 2\n[data\n", "toy.toml:2"),
        ('format = 2\nname = "x', "invalid TOML"),
        ("a = 1\na = 2\n", "toy.toml:2"),
    ],
)
def test_syntax_errors_show_their_line(tmp_path: Path, text: str, words: str) -> None:
    """What is no TOML is shown with file, line and column."""
    assert words in error_of_toy(tmp_path, text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """No such file, a folder, bytes that are no text: each says so and what to do."""
    catalogue = TOYS
    with pytest.raises(RecipeError, match="did you mean digits"):
        read_recipe("digit", catalogue=catalogue)
    with pytest.raises(RecipeError, match="is a folder"):
        read_recipe(tmp_path, catalogue=catalogue)
    (tmp_path / "b.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(RecipeError, match="UTF-8"):
        read_recipe(tmp_path / "b.toml", catalogue=catalogue)


@pytest.mark.parametrize(
    ("extends", "words"),
    [('"toy.toml"', "in a circle"), ('"gone.toml"', "no recipe gone.toml"), ("3", "as text")],
)
def test_extends_that_lead_nowhere(tmp_path: Path, extends: str, words: str) -> None:
    """A circle, a missing base and a wrong type are named at the line of `extends`."""
    message = error_of_toy(tmp_path, f"format = 2\nextends = {extends}\n")
    assert words in message
    assert "toy.toml:2:" in message


def test_a_component_from_the_command_line() -> None:
    """`--sampler steps --option size=3`: typed and checked like a table."""
    catalogue = TOYS
    options: Any = read_component(
        Kind.SAMPLER, "steps", options=["size=3", "word=right"], catalogue=catalogue
    ).options
    assert (options.size, options.word) == (3, "right")
    with pytest.raises(PluginError, match="did you mean steps"):
        read_component(Kind.SAMPLER, "step", catalogue=catalogue)
    with pytest.raises(UsageError, match="--option sze=3"):
        read_component(Kind.SAMPLER, "steps", options=["size=1", "sze=3"], catalogue=catalogue)


def test_a_name_alone_is_short_for_a_table(tmp_path: Path) -> None:
    """Where features are named alone, an extending file or `--set` may say more of them."""
    (tmp_path / "base.toml").write_text(RECIPE)
    one = read_toy(tmp_path, 'extends = "base.toml"\n[evaluate.features]\nuse = "toy:pixels"\n')
    other = read_toy(tmp_path, RECIPE, 'evaluate.features.use="toy:pixels"')
    assert one == other == read_toy(tmp_path)
    message = error_of_toy(tmp_path, RECIPE, "evaluate.features.more=1")
    assert "the features pixels has no option 'more'" in message


def test_several_seeds_are_several_jobs(tmp_path: Path) -> None:
    """One table, a job for each seed; the table itself stays as it was written."""
    text = RECIPE.replace("steps = [3]", "steps = [3]\nseed = 4\nseeds = 3")
    found = read_toy(tmp_path, text)
    assert [job.seed for job in found.sample] == [0, 4, 5, 6]
    assert [(table["seed"], table["seeds"]) for table in found.tables["sample"]] == [(0, 1), (4, 3)]


def test_a_folder_does_not_hide_a_recipe_of_its_name(tmp_path: Path) -> None:
    """`extends = "digits"` means the recipe that comes with dddm, beside a folder `digits` too."""
    (tmp_path / "digits").mkdir()
    file = tmp_path / "mine.toml"
    file.write_text('format = 2\nextends = "digits"\nname = "mine"\n', encoding="utf-8")
    assert read_recipe(file, catalogue=load_catalogue()).name == "mine"


def test_a_check_does_not_decide_during_training(tmp_path: Path) -> None:
    """The first score must tell better weights from worse ones."""
    scored = RECIPE.replace("[evaluate]", "[evaluate]\nscores = ['nearest', 'fd']")
    assert read_toy(tmp_path, scored).evaluate is not None
    with pytest.raises(RecipeError, match="neither is better"):
        read_toy(tmp_path, scored.replace("epochs = 5", "epochs = 5\nscore_every_epochs = 1"))
    few = RECIPE.replace("[evaluate]", "[evaluate]\nscores = ['kid']")
    with pytest.raises(RecipeError, match='score_images: the score "kid" needs 4 images, not 3'):
        read_toy(tmp_path, few, "train.score_every_epochs=1", "train.score_images=3")


def test_scores_are_names_or_tables(tmp_path: Path) -> None:
    """In an array, or as tables of their own; without any, the default ones are taken."""
    named = "[evaluate]\nscores = ['fd', { use = 'kid', sampled = 5 }]"
    tables = "[[evaluate.scores]]\nuse = 'fd'\n[[evaluate.scores]]\nuse = 'kid'\nsampled = 5\n"
    one = read_toy(tmp_path, RECIPE.replace("[evaluate]", named))
    assert read_toy(tmp_path, RECIPE + tables).fingerprint == one.fingerprint
    assert one.evaluate is not None
    assert [use.component.name for use in one.evaluate.scores] == ["fd", "kid"]
    assert one.evaluate.scores[1].options.sampled == 5
    by_default = read_toy(tmp_path).evaluate
    assert by_default is not None
    assert [use.component.name for use in by_default.scores] == ["fd", "nearest"]
