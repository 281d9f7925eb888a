"""What a user can do wrong: exit code, place, remedy, and never a traceback."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import call, command, environment, refused, succeeded, write_tiny

UNSCORED = ('[evaluate]\nfeatures = "pixels"\n', "")


RECIPES = [
    # (change of the tiny recipe, exit code, what the message must say: the place and the remedy)
    (('use = "digits"', 'use = "digit"'), 4, ("tiny.toml:6:7", "did you mean digits")),
    (('use = "adm"', 'use = "nobody:adm"'), 4, ("tiny.toml:13:7", "nobody:adm")),
    (("channels = 8", "chanels = 8"), 3, ("tiny.toml:14:1", "did you mean channels?")),
    (("channels = 8", 'channels = "8"'), 3, ("tiny.toml:14:12", "a whole number")),
    (("epochs = 3", "epochs = true"), 3, ("tiny.toml:34:10", "found true")),
    (("batch_images = 250", "batch_images = 2000"), 3, ("tiny.toml:35:16", "use 1500 or fewer")),
    (("batch_images = 250", "batch_images = 250\nshards = 7"), 3, ("tiny.toml:36:10", "divisor")),
    (("multipliers = [1, 2]", "multipliers = [1, 2, 2, 2, 2]"), 3,
     ("tiny.toml:15:15", "use no more stages than 4")),
    (("attention = [4]", "attention = [3]"), 3, ("tiny.toml:17:13", "8, 4 pixels high")),
    (("attention = [4]", ""), 3, ("attention", "concatenation")),
    (("channels = 8", "channels = 9\nheads = 2"), 3, ("tiny.toml:15:9", "heads = 1 or 3 or 9")),
    (("timesteps = 50", "timesteps = 15"), 3, ("tiny.toml", "use more than 20 timesteps")),
    (("c = 0.0043", ""), 3, ("tiny.toml:20:1", "add c")),
    (("rate = 2e-3", "rate = inf"), 3, ("tiny.toml:31:8", "not finite")),
    (("steps = [1, 2]", "steps = [0]"), 3, ("tiny.toml:42:9", "at least 1")),
    (('features = "pixels"', 'features = "fid"'), 4, ("tiny.toml:46:12", "pixels")),
    (('features = "pixels"', 'preset = "cifar10"'), 3, ("tiny.toml:46:10", "cifar10-paper")),
    (("batch_images = 250", "batch_images = 250\naccumulation_steps = 3"), 3,
     ("tiny.toml:36:22", "a divisor of 250")),
    (("ema = 0.9", "extra_ema_decays = [0.5, 0.9]\nema = 0.9"), 3,
     ("tiny.toml:36:20", "listed twice")),
    (("epochs = 3", 'epochs = 3\nprecision = "float8"'), 3, ("tiny.toml:35:13", "bfloat16")),
    (("epochs = 3", "epochs = 3\nscore_every_epochs = 1\nscore_steps = []"), 3,
     ("tiny.toml:36:15", "score_steps = [1, 2]")),
    (("seed = 5", 'seed = 5\nrequires = ["dddm-focal>=1.2"]'), 4,
     ("tiny.toml:4:13", "python -m pip install 'dddm-focal>=1.2'")),
    (("format = 2", "format = 1"), 3, ("tiny.toml:1:10", "write format = 2; train.learning")),
    (("[schedule]", "[shedule]"), 3, ("tiny.toml:8:1", "did you mean schedule?")),
    (("[targets]", "[targets"), 3, ("tiny.toml:24", "TOML")),
    (('name = "tiny"', 'name = "../../tiny"'), 3, ("tiny.toml:2:8", "letters")),
    (("seed = 5", 'seed = 5\nextends = "nowhere.toml"'), 3, ("tiny.toml:4:11", "relative")),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code", "says"), RECIPES)
def test_a_wrong_recipe(
    tmp_path: Path, change: tuple[str, str], code: int, says: tuple[str, ...]
) -> None:
    """`dddm check` names the line and column and what to write instead."""
    write_tiny(tmp_path, change)
    refused(call("check", "tiny.toml", cwd=tmp_path), *says, code=code)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["check", "nothing.toml"], 3, ("nothing.toml", "digits")),
        (["check", "digit"], 3, ("digit", "did you mean digits?")),
        (["check", "."], 3, ("is a folder", "name a .toml file")),
        (["chek", "digits"], 2, ("'chek'", "Did you mean check")),
        (["check"], 2, ("RECIPE",)),
        (["check", "digits", "--sett", "seed=1"], 2, ("--sett", "--set")),
        (["check", "digits", "--set", "train.epocs=2"], 3, ("--set train.epocs=2", "epochs")),
        (["check", "digits", "--set", "sample.7.images=2"], 3, ("sample.7.images", "from 0")),
        (["check", "digits", "--set", "seed"], 3, ("KEY=VALUE", "train.epochs=2")),
        (["-p", "dddm.metrics", "plugins"], 2, ("no:NAME",)),
        (
            ["-p", "no:dddm.metrisc", "check", "digits"],
            2,
            ("-p no:dddm.metrisc", "did you mean dddm.metrics"),
        ),
        (["-p", "no:xyzzy", "plugins"], 2, ("'xyzzy'", "dddm plugins")),
        (["-p", "no:dddm.metrics", "check", "digits"], 4, ("dddm.metrics disabled",)),
        (["plugins", "show", "amd"], 4, ("amd", "adm")),
        (["sample", "--steps", "0"], 2, ("--steps", "x>=1")),
        (["sample", "nowhere"], 2, ("nowhere",)),
    ],
)
def test_a_wrong_command(
    tmp_path: Path, words: list[str], code: int, says: tuple[str, ...]
) -> None:
    """Commands, options and names that do not exist get the nearest ones that do."""
    refused(call(*words, cwd=tmp_path), *says, code=code)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """A recipe that is not UTF-8 says at which byte."""
    (tmp_path / "b.toml").write_bytes(b'name = "\xfc"')
    refused(call("check", "b.toml", cwd=tmp_path), "byte 8", "UTF-8", code=3)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_recipe_without_the_right_to_read_it(tmp_path: Path) -> None:
    """Permissions are named as such."""
    write_tiny(tmp_path).chmod(0)
    refused(call("check", "tiny.toml", cwd=tmp_path), "permissions", code=3)


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may damage."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))


def test_a_run_folder_of_another_recipe(copy: Path) -> None:
    """It is refused with the difference and with two ways out, and nothing in it changes."""
    before = (copy / "runs/tiny/recipe.toml").read_bytes()
    done = call("run", "tiny.toml", "--set", "train.batch_images=125", cwd=copy)
    refused(done, "train.batch_images: 250 → 125", "--folder", "runs/tiny/recipe.toml", code=3)
    assert "nothing was trained" not in done.stderr
    assert (copy / "runs/tiny/recipe.toml").read_bytes() == before


def test_a_checkpoint_of_another_network(copy: Path) -> None:
    """It is refused, and with the same versions the network's code is said to have changed."""
    recipe = copy / "runs/tiny/recipe.toml"
    text = recipe.read_text()
    recipe.write_text(re.sub(r"^channels = (\d+)$", r"channels = \g<1>0", text, flags=re.MULTILINE))
    assert recipe.read_text() != text
    done = call("sample", "runs/tiny", "--steps", "1", "--images", "2", cwd=copy)
    refused(done, "does not fit the recipe's network", "code has changed since", code=7)


def test_a_run_folder_of_a_recipe_that_trained_nothing(copy: Path) -> None:
    """A run that failed before its first checkpoint may be removed for the recipe put right."""
    shutil.rmtree(copy / "runs/tiny/checkpoints")
    done = call("run", "tiny.toml", "--set", "train.batch_images=125", cwd=copy)
    refused(done, "nothing was trained there yet: remove", "runs/tiny", code=3)
    assert (copy / "runs/tiny/recipe.toml").exists()


def test_a_first_try_that_came_to_nothing(tmp_path: Path) -> None:
    """It failed before its first checkpoint: its folder serves the recipe put right."""
    write_tiny(tmp_path)
    often = ("--set", "train.checkpoint_every_epochs=1", "--set", "train.epochs=1")
    failed = call("run", "tiny.toml", *often, "--set", "learning_rate.rate=1e30", cwd=tmp_path)
    assert failed.returncode != 0
    folder = tmp_path / "runs/tiny"
    assert not list(folder.glob("checkpoints/step-*"))
    (folder / "memory").mkdir(exist_ok=True)
    (folder / "memory/of-the-first").touch()
    done = call("run", "tiny.toml", *often, "--set", "train.batch_images=125", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (folder / "memory/of-the-first").exists()
    assert "batch_images = 125" in (folder / "recipe.toml").read_text()


def test_a_folder_that_is_not_a_run(tmp_path: Path) -> None:
    """Nothing is written among somebody else's files."""
    write_tiny(tmp_path)
    done = call("run", "tiny.toml", "--folder", "tiny.toml", cwd=tmp_path)
    refused(done, "tiny.toml is a file", "--folder", code=2)
    (tmp_path / "runs/tiny").mkdir(parents=True)
    (tmp_path / "runs/tiny/thesis.tex").write_text("x")
    done = call("run", "tiny.toml", cwd=tmp_path)
    refused(done, "runs/tiny", "is not a run folder", "--folder", code=2)


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    """An unknown device is a mistake of usage, one that this machine lacks is the machine's."""
    write_tiny(tmp_path)
    done = call("run", "tiny.toml", "--device", "toaster", cwd=tmp_path)
    refused(done, "toaster", "auto, cpu, cuda", code=2)
    done = call("run", "tiny.toml", "--device", "cuda:63", cwd=tmp_path)
    refused(done, "cuda:63", "--device cpu", code=6)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--labels", "10"], 2, ("at: labels", "0, 1, 2", "from 0 to 9")),
        (["--labels", "cat"], 2, ("'cat'", "use one of")),
        (["--sampler", "anealed"], 4, ("did you mean annealed",)),
        (["--sampler", "annealed", "--steps", "51"], 2, ("51 steps", "1…50", "fewer steps")),
        (["--option", "clmp=false"], 2, ("clmp", "clamp")),
        (["--option", "clamp=3"], 2, ("clamp", "true or false")),
        (["--out", "tiny.toml"], 2, ("tiny.toml", "--out")),
    ],
)
def test_samples_that_cannot_be_drawn(
    trained: Path, words: list[str], code: int, says: tuple[str, ...]
) -> None:
    """Unknown labels, samplers, options and places are refused before anything is drawn."""
    refused(call("sample", *words, cwd=trained), *says, code=code)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path) -> None:
    contents = bytearray(path.read_bytes())
    contents[-50] ^= 4
    path.write_bytes(contents)


@pytest.mark.parametrize("damage", [_cut, _flip, Path.unlink])
def test_a_damaged_newest_checkpoint(copy: Path, damage: Callable[[Path], None]) -> None:
    """Sampling names the damaged file and uses the checkpoint before it."""
    damage(copy / "runs/tiny/checkpoints/step-00000012/ema.safetensors")
    done = call("sample", "--images", "1", cwd=copy)
    succeeded(done)
    assert "ema.safetensors of checkpoint step-00000012 is damaged" in done.stderr
    assert "the one before it is used" in done.stderr
    facts = json.loads((copy / "runs/tiny/drawn/fixed-time-1-seed0/manifest.json").read_text())
    assert facts["checkpoint"]["step"] == 6


def test_only_damaged_checkpoints(copy: Path) -> None:
    """Training does not silently start over where there were checkpoints."""
    for path in (copy / "runs/tiny/checkpoints").iterdir():
        (path / "manifest.json").write_text("{")
    for words in (["run", "tiny.toml"], ["sample"]):
        done = call(*words, cwd=copy)
        refused(done, "no checkpoint of this run can be resumed from", "--folder", code=7)


def test_a_saved_recipe_that_is_damaged(copy: Path) -> None:
    """The run's own copy of its recipe is named when it cannot be read."""
    (copy / "runs/tiny/recipe.toml").write_text("format = \n")
    done = call("run", "tiny.toml", cwd=copy)
    refused(done, "saved recipe", "runs/tiny/recipe.toml", code=7)


def test_a_number_that_is_not_finite(tmp_path: Path) -> None:
    """A learning rate that is far too large stops the run; the last checkpoint is whole."""
    write_tiny(
        tmp_path, UNSCORED, ("rate = 2e-3", "rate = 1e30"),
        ("checkpoint_every_epochs = 2", "checkpoint_every_epochs = 1"),
    )  # fmt: skip
    done = call("run", "tiny.toml", cwd=tmp_path)
    refused(done, "finite", "step ", "images ", "learning_rate.rate", "t = ", code=5)
    events = (tmp_path / "runs/tiny/events.jsonl").read_text().splitlines()
    assert json.loads(events[-1])["reason"] == "failed"


def test_no_space_left_on_the_device(tmp_path: Path) -> None:
    """A disk that is full while a checkpoint is saved leaves no part of it, and says so."""
    write_tiny(tmp_path, UNSCORED)
    # The kernel refuses every file that grows beyond 100 kB, as a full disk refuses all.
    script = "import resource, sys, os; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000,) * 2); "
    script += "os.execv(sys.argv[1], sys.argv[1:])"
    words = command("run", "tiny.toml")
    done = subprocess.run(
        [words[0], "-c", script, *words],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    refused(done, "no space", "step-00000012", "files written before are complete", code=6)
    assert list((tmp_path / "runs/tiny/checkpoints").iterdir()) == []


def test_ctrl_c_before_anything_is_there(tmp_path: Path) -> None:
    """While modules are still being imported Ctrl-C ends with 75 and a sentence."""
    write_tiny(tmp_path)
    process = subprocess.Popen(
        command("run", "tiny.toml"),
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "runs/tiny/run.json").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 75
    assert "Traceback" not in error
    assert "same command" in error
