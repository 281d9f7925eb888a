"""`dddm check`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from command_line import call, invoke, refused, succeeded
from PIL import Image
from toy_plugins import RECIPE, toy_catalogue

from dddm.cli.check import check
from dddm.errors import RecipeError


def test_a_right_recipe(tmp_path: Path) -> None:
    """One line on stdout, or its name and hash as JSON."""
    file = tmp_path / "toy.toml"
    file.write_text(RECIPE)
    state = {"catalogue": toy_catalogue()}
    done = CliRunner().invoke(check, [str(file)], obj=state)
    assert (done.exit_code, done.stdout) == (0, f"{file}: no errors\n")
    done = CliRunner().invoke(check, [str(file), "--json", "--set", "name=other"], obj=state)
    shown = json.loads(done.stdout)
    assert shown["name"] == "other"
    assert len(shown["sha256"]) == 64


def test_a_wrong_recipe(tmp_path: Path) -> None:
    """Its errors are raised to the one place that shows errors."""
    file = tmp_path / "toy.toml"
    file.write_text(RECIPE.replace("epochs", "epocs"))
    done = CliRunner().invoke(check, [str(file)], obj={"catalogue": toy_catalogue()})
    assert isinstance(done.exception, RecipeError)
    assert "did you mean epochs?" in str(done.exception)


def test_every_entry_of_a_sweep_is_checked(tmp_path: Path) -> None:
    """It names the entries, or gives their hashes; one wrong entry is an error of the recipe."""
    file = tmp_path / "toy.toml"
    file.write_text(RECIPE + '[[sweep]]\nname = "a"\nseed = 1\n[[sweep]]\nname = "b"\n')
    state = {"catalogue": toy_catalogue()}
    done = CliRunner().invoke(check, [str(file)], obj=state)
    assert done.stdout == f"{file}: no errors; a sweep of 2: a, b\n"
    done = CliRunner().invoke(check, [str(file), "--json"], obj=state)
    entries = json.loads(done.stdout)["entries"]
    assert list(entries) == ["a", "b"]
    assert entries["a"] != entries["b"]
    done = CliRunner().invoke(check, [str(file), "--set", "sweep.0.seed=-1"], obj=state)
    assert "entry a: seed: expected a whole number" in str(done.exception)


RECIPE_OF_IMAGES = """\
format = 2
name = "mine"

[data]
use = "folder"
path = "images"
classes = "none"
held_out_images = 3

[schedule]
use = "vp"
timesteps = 50

[backbone]
use = "adm"
channels = 8
multipliers = [1, 2]
blocks = 1
attention = [7]
classes = true

[metric]
use = "l2"

[train]
epochs = 1
batch_images = 50

[[sample]]
use = "fixed-time"
steps = [1]
images = 1

[evaluate]
features = "resnet20"
"""


def place_of(words: str, text: str = RECIPE_OF_IMAGES) -> str:
    """Line and column of words that stand there once."""
    assert text.count(words) == 1
    before = text[: text.index(words)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def save_images(folder: Path, *sides: int) -> None:
    folder.mkdir(parents=True)
    for number, side in enumerate(sides):
        Image.new("L", (side, side), number).save(folder / f"{number:02}.png")


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DDDM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DDDM_WEIGHTS", "")
    monkeypatch.setenv("DDDM_DATA", "")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    (tmp_path / "mine.toml").write_text(RECIPE_OF_IMAGES)
    return tmp_path


def test_absent_images_are_an_error_of_the_data(empty: Path) -> None:
    """With line and column of the path; and with other errors it is one of them."""
    (empty / "mine.toml").write_text(
        RECIPE_OF_IMAGES.replace('"resnet20"', '"pixels"').replace("= 1\n", "= 2\n")
    )
    done = call("check", "mine.toml", cwd=empty)
    error = refused(done, "mine.toml:6:8: there is no such folder", "correct data.path", code=7)
    assert "an error" in error
    assert "no errors" in invoke("check", "mine.toml", "--no-data", cwd=empty)
    done = call("check", "mine.toml", "--set", "train.batch_images=0", cwd=empty)
    refused(done, "mine.toml:6:8: there is no such folder", "batch_images: 0", code=3)


def test_what_is_known_of_absent_images_is_used(empty: Path) -> None:
    """CIFAR-10 says what it is: other errors are found although its files are not there."""
    of_folder = 'use = "folder"\npath = "images"\nclasses = "none"\nheld_out_images = 3\n'
    text = RECIPE_OF_IMAGES.replace(of_folder, 'use = "cifar10"\n')
    (empty / "mine.toml").write_text(text)
    done = call("check", "mine.toml", cwd=empty)
    refused(done, "CIFAR-10 (a folder cifar", "no stage is 7 pixels high", code=3)


def test_everything_is_found_at_once(empty: Path) -> None:
    """Images, network, batch, counts, features and weights; each at its line."""
    save_images(empty / "images", *[12] * 20, 10)
    done = call("check", "mine.toml", cwd=empty)
    error = refused(done, "the recipe has 7 errors", code=3)
    for place, what in (
        ("[data]", "the images differ in size (height×width): 20 of 12×12, such as 00.png"),
        ("[7]", "attention: no stage is 7 pixels high"),
        ("true", "classes: the data have no classes"),
        ("50\n\n[[", "batch_images: 50 images are more than 18 training images can fill"),
        ("1\n\n[evaluate]", 'images: the score "fd" needs 2 images, not 1'),
        ('"resnet20"', "use: resnet20 accepts images of 3×32×32"),
        ('"resnet20"', "the weights resnet20.safetensors were not found"),
    ):
        assert f"mine.toml:{place_of(place)}: {what}" in error, what


def test_what_was_looked_at_is_said(empty: Path) -> None:
    """On stderr, or in JSON; a data set without files has nothing to look at."""
    save_images(empty / "images", *[12] * 40)
    bare = 'format = 2\n[data]\nuse = "folder"\npath = "images"\nclasses = "none"\n'
    (empty / "bare.toml").write_text(bare)
    done = call("check", "bare.toml", cwd=empty)
    assert succeeded(done) == "bare.toml: no errors\n"
    assert done.stderr == "looked at the data: listed 40 train images of 3×12×12\n"
    facts = json.loads(invoke("check", "bare.toml", "--json", cwd=empty))
    assert facts["looked_at"] == ["listed 40 train images of 3×12×12"]
    assert facts["name"] == "bare"
    assert call("check", "digits", cwd=empty).stderr == ""


def test_further_data_sets_are_looked_at(empty: Path) -> None:
    """Those that features are learned on."""
    save_images(empty / "images", *[12] * 60)
    features = '{ use = "learned", images = { use = "zip", path = "other.zip" } }'
    text = RECIPE_OF_IMAGES.replace('"resnet20"', features).replace("[7]", "[6]")
    text = text.replace("classes = true", "").replace("images = 1\n", "images = 9\n")
    (empty / "mine.toml").write_text(text)
    at = place_of('"other.zip"', text)
    said = f"mine.toml:{at}: there is no such zip archive"
    refused(call("check", "mine.toml", cwd=empty), said, code=7)
