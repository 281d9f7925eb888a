"""`dddm init` writes recipes that run as they stand, for whatever images there are."""

import importlib
import tarfile
import tomllib
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from click.testing import CliRunner
from command_line import call, invoke, refused
from PIL import Image

from dddm.cli.init import init
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.recipe.choices import usable_classes
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.scaffold import new_recipe
from dddm.scaffold.new_recipe import Budget, Goal, recipe_lines
from dddm.scaffold.own_images import OwnImages
from dddm.training.build import build_backbone, build_split, plan_batches
from dddm.training.class_sets import SetPlan
from dddm.training.training_cost import preparation_flops, training_cost


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DDDM_CACHE", str(tmp_path / "cache"))


def spots(count: int, *, height: int = 16, width: int = 16) -> npt.NDArray[np.uint8]:
    """Bright spots at different places, (N, H, W)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    places = (
        rng.uniform(0.3, 0.7, (count, 2, 1, 1)) * np.array([height, width])[None, :, None, None]
    )
    squares = (y - places[:, 0]) ** 2 + (x - places[:, 1]) ** 2
    return np.asarray(np.round(255 * np.exp(-squares / 20)), np.uint8)


def save(folder: Path, images: npt.NDArray[np.uint8], mode: str | None = None) -> Path:
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image, mode).save(folder / f"{number:03}.png")
    return folder


def written(*words: str, cwd: Path) -> dict[str, Any]:
    """The tables of the recipe that the command wrote, which is short and without errors."""
    path = cwd / invoke("init", *words, cwd=cwd).strip()
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 30
    assert "no errors" in invoke("check", path.name, cwd=cwd)
    return tomllib.loads(text)


def test_a_folder_of_images_is_learned_from(tmp_path: Path) -> None:
    """One command writes the recipe, the next trains on it, samples, scores and reports."""
    save(tmp_path / "spots", spots(40))
    tables = written("spots", cwd=tmp_path)
    assert tables["data"] == {
        "use": "folder", "path": "spots", "channels": "grey", "held_out_images": 4,
    }  # fmt: skip
    assert tables["objective"]["use"] == "drifting"
    assert tables["objective"]["features"]["use"] == "learned"
    assert tables["evaluate"]["features"] == "random-convolutions"
    assert tables["objective"]["rows"] + tables["objective"]["real"] <= 36
    short = ["train.steps=2", "sample.0.images=20", "objective.features.epochs=1"]
    report = invoke(
        "run", "spots.toml", *(w for s in short for w in ("--set", s)), cwd=tmp_path
    ).strip()
    assert (tmp_path / report).is_file()
    assert (tmp_path / "runs/spots/scores.json").is_file()


def test_classes_odd_sizes_and_damage_are_seen(tmp_path: Path) -> None:
    """Two folders are classes; sizes that differ are made one; what is damaged is left out."""
    save(tmp_path / "odd/a", np.stack([spots(30, height=40, width=52)] * 3, -1))
    save(tmp_path / "odd/b", np.stack([spots(30, height=33, width=33)] * 3, -1))
    (tmp_path / "odd/b/broken.png").write_bytes(b"not an image")
    tables = written("odd", "--for", "quality", "-o", "mine.toml", cwd=tmp_path)
    data = tables["data"]
    assert data["size"] == 32
    assert (data["damaged"], data["held_out_images"]) == ("skip", 6)
    assert "classes" not in data
    assert "channels" not in data
    assert tables["backbone"]["classes"] is True
    assert tables["objective"] == {"use": "flow-matching"}
    assert (tmp_path / "mine.toml").is_file()
    error = call("init", "odd", "-o", "mine.toml", cwd=tmp_path)
    refused(error, "exists already", "-o", code=2)


def test_transparency_is_asked_about(tmp_path: Path) -> None:
    """Never silently white: without an answer there is no recipe; opaque alpha needs none."""
    image = spots(24)
    hole = np.dstack([image[0]] * 4)
    seen = np.stack([np.dstack([one, one, one, np.full_like(one, 255)]) for one in image])
    save(tmp_path / "opaque", seen)
    assert "alpha" not in written("opaque", cwd=tmp_path)["data"]
    seen[3] = hole
    save(tmp_path / "holes", seen)
    says = ("1 of 24 images have transparent pixels", "--alpha black")
    refused(call("init", "holes", cwd=tmp_path), *says, code=2)
    assert not (tmp_path / "holes.toml").exists()
    assert written("holes", "--alpha", "black", cwd=tmp_path)["data"]["alpha"] == "black"
    done = call("init", "holes", "--alpha", "refuse", "-o", "no.toml", cwd=tmp_path)
    refused(done, "transparent", code=7)


def test_a_terminal_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is what the recipe says."""
    holes = np.stack([np.dstack([one] * 4) for one in spots(24)])
    save(tmp_path / "holes", holes)
    monkeypatch.chdir(tmp_path)
    terminal = SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(importlib.import_module("dddm.cli.init"), "sys", terminal)
    done = CliRunner().invoke(init, ["holes"], input="black\n", obj={})
    assert done.exit_code == 0, done.output
    assert "24 of 24 images have transparent pixels" in done.output
    assert tomllib.loads(Path("holes.toml").read_text())["data"]["alpha"] == "black"


def test_archives_arrays_and_data_sets(tmp_path: Path) -> None:
    """A zip file, an npz file with labels, and a data set by its name; DDDM as printed."""
    folder = save(tmp_path / "spots", spots(24))
    with zipfile.ZipFile(tmp_path / "Some Spots.zip", "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    assert written("Some Spots.zip", cwd=tmp_path)["name"] == "Some-Spots"
    images = spots(50, height=12, width=12)[..., None]
    np.savez(tmp_path / "arrays.npz", images=images, labels=np.arange(50) % 2)
    tables = written("arrays.npz", cwd=tmp_path)
    assert tables["backbone"]["classes"] is True
    assert tables["objective"].keys() == {"use", "rows", "real"}
    tables = written("digits", "--for", "paper", cwd=tmp_path)
    assert tables["objective"] == {"use": "directly-denoising"}
    assert tables["metric"] == {"use": "pseudo-huber", "c": 0.0043}
    assert "classes" not in tables["backbone"]
    assert tables["learning_rate"].keys() == {"rate"}


def test_a_folder_of_shards(tmp_path: Path) -> None:
    """Its archives are read, not taken for a folder of images that holds none."""
    images = save(tmp_path / "images", spots(24))
    (tmp_path / "shards").mkdir()
    for number in range(2):
        with tarfile.open(tmp_path / f"shards/{number}.tar", "w") as archive:
            for file in sorted(images.iterdir())[number::2]:
                archive.add(file, file.name)
    (tmp_path / "shards/about.json").write_text("{}")
    data = written("shards", cwd=tmp_path)["data"]
    assert (data["use"], data["path"]) == ("webdataset", "shards")
    assert data["held_out_images"] == 2


def test_learning_is_part_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of it at most, by fewer passes; what is left is for the steps; all is announced."""
    save(tmp_path / "spots", spots(40))
    monkeypatch.setattr(new_recipe, "network_speed", lambda *_, **__: 1e9)
    monkeypatch.chdir(tmp_path)
    found = {}
    for minutes in (5, 200):
        done = CliRunner().invoke(
            init, ["spots", "--minutes", str(minutes), "-o", f"{minutes}.toml"]
        )
        assert done.exit_code == 0, done.output
        recipe = read_recipe(tmp_path / f"{minutes}.toml", catalogue=load_catalogue())
        facts = DatasetInfo(shape=ImageShape(channels=1, height=16, width=16), train_images=36)
        learning = 1.2 * preparation_flops(recipe, facts=facts) / 2.5e9
        each = 1.2 * training_cost(recipe, facts=facts).flops * recipe.train.batch_images / 1e9
        assert recipe.train.steps is not None
        found[minutes] = recipe.tables["objective"]["features"]["epochs"]
        assert learning <= 0.2 * 60 * minutes, found
        assert learning + recipe.train.steps * each == pytest.approx(60 * minutes, rel=0.1)
        assert "features are learned first, about " in done.output
        assert "minutes on this machine, the first picture after about" in done.output
    assert found[5] < found[200] == 200


@pytest.mark.parametrize(
    ("source", "says", "code"),
    [
        ("empty", "contains no images", 7),
        ("few", "3 images can be read, too few", 7),
        ("words", "none of the 1 images can be read", 7),
        ("notes.txt", "neither a folder", 2),
        ("absent", "neither a folder", 2),
        ("digit", "did you mean digits", 2),
        ("folder", "name these", 2),
    ],
)
def test_what_cannot_be_learned_from_is_refused(
    tmp_path: Path, source: str, says: str, code: int
) -> None:
    (tmp_path / "empty").mkdir()
    save(tmp_path / "few", spots(3))
    (tmp_path / "words").mkdir()
    (tmp_path / "words/a.png").write_text("words")
    (tmp_path / "notes.txt").write_text("words")
    refused(call("init", source, cwd=tmp_path), says, code=code)
    assert not list(tmp_path.glob("*.toml"))


@pytest.mark.parametrize("goal", ["speed", "quality", "paper"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [8, 16, 20, 28, 30, 64])
@pytest.mark.parametrize("counts", [(20,), (23, 20), (500, 400, 450)])
def test_every_choice_fits_the_images(
    tmp_path: Path, goal: Goal, channels: int, side: int, counts: tuple[int, ...]
) -> None:
    """The recipe is valid, its network takes images of that size, its sets fit each class."""
    classes = dict(zip("abc", counts, strict=False))
    uses = usable_classes(counts)
    shape = ImageShape(channels=channels, height=side, width=side)
    array = np.zeros((sum(counts), channels, side, side), np.uint8)
    labels = np.repeat(np.arange(len(counts)), counts)
    np.savez(tmp_path / "a.npz", images=array, **({"labels": labels} if uses else {}))  # type: ignore[arg-type]
    images = OwnImages(
        name="made",
        options={
            "use": ("npz", ""),
            "path": (str(tmp_path / "a.npz"), ""),
            "layout": ("nchw", ""),
        },
        facts=DatasetInfo(
            shape=shape, train_images=sum(counts), classes=tuple(classes) if uses else ()
        ),
        fewest=min(counts) if uses else sum(counts),
        uses_classes=uses,
        remarks=("made",),
    )
    catalogue = load_catalogue()
    lines = recipe_lines(
        images,
        goal=goal,
        budget=Budget(steps=20, seconds=60.0),
        catalogue=catalogue,
        device=torch.device("cpu"),
    )
    assert len(lines) < 30
    (tmp_path / "made.toml").write_text("\n".join(lines), encoding="utf-8")
    recipe = read_recipe(tmp_path / "made.toml", catalogue=catalogue)
    split = build_split(recipe)
    with torch.device("meta"):
        backbone = build_backbone(recipe, split=split, device=torch.device("meta"))
    plan = plan_batches(recipe, split=split, labels=backbone.uses_labels)
    assert isinstance(plan, SetPlan) == (goal == "speed")
    assert plan.batches_per_epoch >= 1
    assert backbone.uses_labels == (uses and goal != "paper")
