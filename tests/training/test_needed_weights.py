"""Which files of weights are needed, and that a run without them is refused before it begins."""

from pathlib import Path

import pytest
from weighty import CONTENTS, weighty_catalogue

from dddm.errors import DataError, UsageError
from dddm.recipe.model import Recipe
from dddm.recipe.read import read_recipe
from dddm.training.needed_weights import verify_weights, weights_named, weights_of

RECIPE = """\
format = 2
name = "weighty"
seed = 0

[data]
use = "plain"
[schedule]
use = "plain"
[backbone]
use = "plain"
[objective]
use = "plain"
[optimizer]
use = "plain"
[learning_rate]
use = "plain"
[targets]
use = "plain"
[train]
epochs = 1
batch_images = 1
[[sample]]
use = "plain"
steps = [1]
[metric]
use = "mix"
[metric.of]
use = "net"
"""
FEATURES = '[evaluate]\nfeatures = "deep"\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder with weights: empty at first."""
    monkeypatch.setenv("DDDM_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def recipe(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "weighty.toml"
    path.write_text(text)
    return read_recipe(str(path), catalogue=weighty_catalogue())


def test_a_part_needs_its_weights(tmp_path: Path, folder: Path) -> None:
    """What a mixed metric needs is asked for, by its options: no more, no less."""
    small = recipe(tmp_path, RECIPE)
    with pytest.raises(DataError, match=r"small\.pth were not found"):
        verify_weights(small.components)
    (folder / "small.pth").write_bytes(CONTENTS["small.pth"])
    verify_weights(small.components)
    with pytest.raises(DataError, match=r"large\.pth were not found"):
        verify_weights(recipe(tmp_path, RECIPE + "large = true\n").components)


def test_all_problems_are_shown_at_once(tmp_path: Path, folder: Path) -> None:
    """One missing and one wrong file, of metric and features, in one error with both remedies."""
    both = recipe(tmp_path, RECIPE + "large = true\n" + FEATURES)
    (folder / "small.pth").write_bytes(b"SMALL")
    with pytest.raises(DataError) as caught:
        verify_weights(both.components)
    text = str(caught.value)
    for needed in (
        "2 files", "large.pth were not found", "small.pth have the wrong hash",
        "dddm weights fetch large.pth", "dddm weights fetch small.pth",
    ):  # fmt: skip
        assert needed in text


def test_a_file_stands_once_with_all_who_need_it() -> None:
    """In order of names."""
    needed = [(one.file.name, one.components) for one in weights_of(weighty_catalogue())]
    assert needed == [
        ("large.pth", ("metric toy:net",)),
        ("small.pth", ("features toy:deep", "metric toy:net")),
    ]


def test_files_by_name() -> None:
    """Without names, all; a name that nobody needs is refused with the nearest."""
    catalogue = weighty_catalogue()
    assert len(weights_named(catalogue, ())) == 2
    assert [one.file.name for one in weights_named(catalogue, ("small.pth",))] == ["small.pth"]
    with pytest.raises(UsageError, match=r"did you mean small\.pth"):
        weights_named(catalogue, ("smal",))
