"""A run folder that is removed while its run is at work."""

import shutil
import signal
from pathlib import Path

import pytest
from command_line import dddm, succeeded
from several import start, steps_of, wait_until_step, write_shared

from dddm.errors import UsageError
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.training.run_folder import RunFolder, prepare_folder

WORDS = ("run", "tiny.toml", "--folder", "run", "--set", "sample=[]")


def test_the_run_ends_with_an_error_whose_remedy_works(tmp_path: Path) -> None:
    """Nothing is written into a stump; the same command starts again."""
    write_shared(tmp_path, ("epochs = 3", "epochs = 30"))
    process = start(tmp_path, *WORDS)
    wait_until_step(6, run=tmp_path / "run", process=process)
    process.send_signal(signal.SIGSTOP)
    shutil.rmtree(tmp_path / "run")
    process.send_signal(signal.SIGCONT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 6, error
    assert "the run folder was removed or moved while the run was at work" in error
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()
    short = ("--set", "train.epochs=1")
    succeeded(dddm(*WORDS, *short, cwd=tmp_path))
    assert len(steps_of(tmp_path / "run")) == 5


def test_what_is_left_of_a_removed_run_is_told_from_other_folders(tmp_path: Path) -> None:
    """Its remedy is to remove it; of a folder with other files it is to choose another."""
    recipe = read_recipe(str(write_shared(tmp_path)), catalogue=load_catalogue())
    left = tmp_path / "left"
    RunFolder(left).checkpoints.mkdir(parents=True)
    with pytest.raises(UsageError, match="not empty") as caught:
        prepare_folder(recipe, left)
    assert caught.value.remedy is not None
    assert caught.value.remedy.startswith(f"remove {left}")
    (left / "thesis.tex").touch()
    with pytest.raises(UsageError, match="not empty") as caught:
        prepare_folder(recipe, left)
    assert caught.value.remedy == "choose another place with --folder"
