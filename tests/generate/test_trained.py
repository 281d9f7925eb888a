"""`dddm.load` in Python."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import dddm as command
from command_line import environment, succeeded, write_tiny

import dddm
from dddm.errors import DataError, DddmError, PluginError, UsageError


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without scores."""
    folder = tmp_path_factory.mktemp("trained")
    write_tiny(folder, ('[evaluate]\nfeatures = "pixels"\n', ""), ("epochs = 3", "epochs = 1"))
    succeeded(command("run", "tiny.toml", cwd=folder))
    return folder / "runs/tiny"


def test_python_draws_what_the_command_draws(trained: Path) -> None:
    """The same images, bit for bit, by name or from the newest run."""
    words = ("--steps", "3", "--images", "5", "--labels", "3,8", "--out", "five")
    succeeded(command("sample", *words, cwd=trained.parent.parent))
    code = (
        "import dddm, numpy as np\n"
        "trained = dddm.load()\n"
        "images = trained.sample(images=5, steps=3, labels=['3', 8], options={'clamp': True})\n"
        "np.save('five.npy', images.numpy())\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], cwd=trained.parent.parent, env=environment(), check=True
    )
    with np.load(trained.parent.parent / "five/samples.npz") as contents:
        expected = contents["arr_0"].transpose(0, 3, 1, 2)
    assert np.array_equal(np.load(trained.parent.parent / "five.npy"), expected)


def test_what_it_tells_of_itself(trained: Path) -> None:
    """Shape, classes, steps; images are uint8, another seed gives others, clamping can be off."""
    loaded = dddm.load(trained, device="cpu")
    assert (loaded.shape.channels, loaded.shape.height, loaded.shape.width) == (1, 8, 8)
    assert loaded.classes == tuple("0123456789")
    assert loaded.step == 6
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
    ],
)
def test_a_mistake_is_named(
    trained: Path, words: dict[str, object], error: type[DddmError], says: str
) -> None:
    """Before anything is drawn, with what would be right."""
    with pytest.raises(error) as caught:
        dddm.load(trained, device="cpu").sample(**words)  # type: ignore[arg-type]
    assert says in str(caught.value)


def test_a_run_that_is_not_there(trained: Path, tmp_path: Path) -> None:
    """No run, or one without a checkpoint: an error that says what to do."""
    with pytest.raises(UsageError):
        dddm.load(tmp_path)
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("recipe.toml", "run.json"):
        (bare / name).write_bytes((trained / name).read_bytes())
    with pytest.raises(DataError, match="no checkpoint yet"):
        dddm.load(bare, device="cpu")
