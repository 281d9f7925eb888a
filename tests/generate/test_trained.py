"""`dddm.load` in Python."""

from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import invoke

import dddm
from dddm.errors import DataError, DddmError, PluginError, UsageError


@pytest.fixture
def run(trained: Path) -> Path:
    return trained / "runs/tiny"


def test_python_generates_what_the_command_generates(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same images, bit for bit; without a name from the newest run."""
    words = ("--steps", "3", "--images", "5", "--labels", "3,8", "--out", "five")
    invoke("sample", *words, cwd=trained)
    monkeypatch.chdir(trained)
    images = dddm.load().sample(images=5, steps=3, labels=["3", 8], options={"clamp": True})
    with np.load("five/samples.npz") as contents:
        assert np.array_equal(images.numpy(), contents["arr_0"].transpose(0, 3, 1, 2))


def test_what_a_loaded_run_offers(run: Path) -> None:
    """Shape, classes, steps; images are uint8, another seed gives others, clamping can be off."""
    loaded = dddm.load(run, device="cpu")
    assert (loaded.shape.channels, loaded.shape.height, loaded.shape.width) == (1, 8, 8)
    assert loaded.classes == tuple("0123456789")
    assert loaded.step == 12
    images = loaded.sample(images=3)
    assert images.dtype == torch.uint8
    assert images.shape == (3, 1, 8, 8)
    assert torch.equal(loaded.sample(images=2), images[:2])
    assert not torch.equal(loaded.sample(images=3, seed=1), images)
    annealed = loaded.sample(images=3, steps=4, sampler="annealed", options={"clamp": False})
    assert annealed.shape == images.shape


@pytest.mark.parametrize(
    ("words", "error", "says"),
    [
        ({"images": 0}, UsageError, "images is 0"),
        ({"steps": -1}, UsageError, "steps is -1"),
        ({"labels": ["ten"]}, UsageError, "no class 'ten'"),
        ({"sampler": "fixedtime"}, PluginError, "fixed-time"),
        ({"options": {"clam": True}}, UsageError, "clam"),
        ({"sampler": "annealed", "steps": 51}, UsageError, "steps"),
        ({"sampler": "jump"}, UsageError, "passes a second time"),
    ],
)
def test_a_mistake_is_named(
    run: Path, words: dict[str, object], error: type[DddmError], says: str
) -> None:
    """Before anything is drawn, with what would be right."""
    with pytest.raises(error) as caught:
        dddm.load(run, device="cpu").sample(**words)  # type: ignore[arg-type]
    assert says in str(caught.value)


def test_a_run_that_is_not_there(run: Path, tmp_path: Path) -> None:
    """No run, or one without a checkpoint: an error that says what to do."""
    with pytest.raises(UsageError):
        dddm.load(tmp_path)
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("recipe.toml", "run.json"):
        (bare / name).write_bytes((run / name).read_bytes())
    with pytest.raises(DataError, match="no checkpoint yet"):
        dddm.load(bare, device="cpu")
