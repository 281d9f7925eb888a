"""Finding, making and locking run folders."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dddm.errors import EnvironmentProblem, UsageError
from dddm.training.run_folder import find_run, locked


def make_run(path: Path, *, seconds: int) -> Path:
    """A run folder whose `run.json` was written at that time."""
    path.mkdir(parents=True)
    (path / "recipe.toml").touch()
    (path / "run.json").write_text("{}", encoding="utf-8")
    os.utime(path / "run.json", (seconds, seconds))
    return path


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_newest_run_is_meant() -> None:
    """Without a path it is the run that was written last, whatever its name."""
    make_run(Path("runs/a"), seconds=300)
    make_run(Path("runs/z"), seconds=100)
    assert find_run(None).path == Path("runs/a")


def test_what_is_no_run_is_passed_over() -> None:
    """A folder without recipe or facts, and a file, are not runs."""
    make_run(Path("runs/run"), seconds=100)
    (make_run(Path("runs/halved"), seconds=900) / "recipe.toml").unlink()
    (make_run(Path("runs/halved2"), seconds=900) / "run.json").unlink()
    Path("runs/note.txt").touch()
    assert find_run(None).path == Path("runs/run")


def test_a_named_run() -> None:
    """A path is taken as it is, wherever it lies."""
    make_run(Path("elsewhere/b"), seconds=1)
    assert find_run("elsewhere/b").path == Path("elsewhere/b")


@pytest.mark.parametrize("make", [lambda: None, lambda: Path("runs").mkdir()])
def test_no_run_at_all(make: object) -> None:
    """The error says where runs are looked for and how to make one."""
    assert callable(make)
    make()
    with pytest.raises(UsageError, match="no run yet") as caught:
        find_run(None)
    assert str(caught.value.where).endswith("runs")
    assert "dddm run" in str(caught.value.remedy)


def test_a_path_that_is_no_run() -> None:
    """Missing, a file, or without what a run has: each is said, and runs there are named."""
    make_run(Path("runs/good"), seconds=1)
    Path("file").touch()
    Path("empty").mkdir()
    for path, what in (
        ("missing", "there is no run folder missing"),
        ("file", "is a file"),
        ("empty", r"has no recipe\.toml and no run\.json"),
    ):
        with pytest.raises(UsageError, match=what) as caught:
            find_run(path)
        assert str(Path("runs/good")) in str(caught.value.remedy)


HOLD = """
import sys, time
from pathlib import Path
from dddm.training.run_folder import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_second_run_is_refused_until_the_first_has_gone(tmp_path: Path) -> None:
    """Named with its folder and what to do; free again after the block."""
    with locked(tmp_path):
        another = pytest.raises(EnvironmentProblem, match="another run is using")
        with another as refused, locked(tmp_path):
            pass
        assert str(tmp_path) in str(refused.value.where)
    with locked(tmp_path):
        pass


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    """Nobody has to remove a file by hand."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    with pytest.raises(EnvironmentProblem), locked(tmp_path):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with locked(tmp_path):
        pass
