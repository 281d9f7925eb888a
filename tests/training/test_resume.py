"""A run that was stopped, killed or damaged goes on to the same result, bit for bit."""

import platform
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from command_line import command, dddm, environment, succeeded, write_tiny
from equal_runs import assert_equal_runs, steps_of
from safetensors.torch import load_file

from dddm.training import checkpoint as checkpoints
from dddm.training.event_log import read_events

STEPS = 18
UNSCORED = [('[evaluate]\nfeatures = "pixels"\n', "")]
"""Scores are not what is tested here, and take seconds to import."""


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    return dddm("run", "tiny.toml", "--folder", "run", cwd=folder)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    write_tiny(folder, *UNSCORED)
    succeeded(run(folder))
    return folder / "run"


def start_and_signal(folder: Path, *, after_steps: int, number: signal.Signals) -> int:
    """Start the run, send a signal once it has made so many steps, and return its exit code."""
    process = subprocess.Popen(
        command("run", "tiny.toml", "--folder", "run"),
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    begun = folder / "run" / "recipe.toml"  # before that there is nothing that could be resumed
    while process.poll() is None and not (
        begun.exists() and len(steps_of(folder / "run")) >= after_steps
    ):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(number)
    _, error = process.communicate(timeout=120)
    assert "Traceback" not in error
    return process.returncode


@pytest.mark.parametrize(
    ("number", "after_steps"),
    [(signal.SIGINT, 0), (signal.SIGTERM, 2), (signal.SIGINT, 6), (signal.SIGTERM, 9)],
)
def test_stopped_by_a_signal(
    tmp_path: Path, uninterrupted: Path, number: signal.Signals, after_steps: int
) -> None:
    """Within and between epochs: exit 75, everything saved, the same command finishes the same."""
    write_tiny(tmp_path, *UNSCORED)
    code = start_and_signal(tmp_path, after_steps=after_steps, number=number)
    assert code == 75
    done = list(read_events(tmp_path / "run" / "events.jsonl"))
    assert done[-1]["event"] == "run-stopped"
    assert done[-1]["reason"] == "interrupted"
    saved = checkpoints.find_newest(tmp_path / "run" / "checkpoints").checkpoint
    assert saved is not None
    assert saved.step == done[-1]["step"] == len(steps_of(tmp_path / "run"))
    succeeded(run(tmp_path))
    assert_equal_runs(tmp_path / "run", uninterrupted)


ROW_BYTES = 4 * 64
"""Of a digit of 8×8 in float32."""
ON_DISK = ('use = "ram"', 'use = "mmap"')


@pytest.fixture(scope="module")
def undisturbed_on_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run with its estimates in files."""
    folder = tmp_path_factory.mktemp("on-disk")
    write_tiny(folder, *UNSCORED, ON_DISK)
    succeeded(run(folder))
    return folder / "run"


def test_where_estimates_are_kept_changes_nothing(
    uninterrupted: Path, undisturbed_on_disk: Path
) -> None:
    """Memory or files: the same bits."""
    assert_equal_runs(undisturbed_on_disk, uninterrupted)


@pytest.mark.parametrize("after_steps", [8, 15])
def test_killed_with_estimates_in_files(
    tmp_path: Path, uninterrupted: Path, after_steps: int
) -> None:
    """Files that have gone on since the last checkpoint still hold what it refers to."""
    write_tiny(tmp_path, *UNSCORED, ON_DISK, ("every_epochs = 2", "every_epochs = 1"))
    code = start_and_signal(tmp_path, after_steps=after_steps, number=signal.SIGKILL)
    assert code == -signal.SIGKILL
    succeeded(run(tmp_path))
    assert_equal_runs(tmp_path / "run", uninterrupted)


@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_estimates_in_files_go_back_to_the_checkpoint_before(
    tmp_path: Path, undisturbed_on_disk: Path, damage: str
) -> None:
    """The newest checkpoint is damaged: the files still hold the rows of the one before it."""
    write_tiny(tmp_path, *UNSCORED, ON_DISK)
    shutil.copytree(undisturbed_on_disk, tmp_path / "run")
    newest = (
        tmp_path / "run" / "checkpoints" / f"step-{STEPS:08d}" / "memory-estimate-0000.safetensors"
    )
    contents = bytearray(newest.read_bytes())
    contents[len(contents) // 2] ^= 1
    newest.write_bytes(contents if damage == "flipped" else contents[:-7])
    done = run(tmp_path)
    succeeded(done)
    assert "resuming from the one before" in done.stderr
    assert_equal_runs(tmp_path / "run", undisturbed_on_disk)


def test_files_of_estimates_that_are_gone_are_named(
    tmp_path: Path, undisturbed_on_disk: Path
) -> None:
    """They are not begun anew in silence: that would be another run."""
    write_tiny(tmp_path, *UNSCORED, ON_DISK)
    shutil.copytree(undisturbed_on_disk, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / f"step-{STEPS:08d}")
    shutil.rmtree(tmp_path / "run" / "memory" / "estimate")
    done = run(tmp_path)
    assert done.returncode == 7, done.stderr
    assert "shard-0000.rows is missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_estimates_on_a_disk_of_the_machine(tmp_path: Path) -> None:
    """In the named folder: a machine without them changes nothing, the right one goes on."""
    write_tiny(tmp_path, *UNSCORED, ('use = "ram"', 'use = "mmap"\nfolder = "disk"'))
    words = ("run", "tiny.toml", "--folder", "run", "--set", "sample=[]")
    succeeded(dddm(*words, cwd=tmp_path))
    (place,) = (tmp_path / "disk").glob("run-*/estimate")
    files = sorted(path.name for path in place.iterdir())
    assert "shard-0000.rows" in files
    assert not (tmp_path / "run" / "memory").exists()
    saved = {path: path.read_bytes() for path in (tmp_path / "run").rglob("step-*/*")}
    longer = (*words, "--set", "train.epochs=4")
    (tmp_path / "disk").rename(tmp_path / "disk of another machine")
    done = dddm(*longer, cwd=tmp_path)
    assert done.returncode == 7, done.stderr
    assert f"shard-0000.rows is missing, or has another size, in {place}" in done.stderr
    assert platform.node() in done.stderr
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("step-*/*")} == saved
    shutil.rmtree(tmp_path / "disk")
    (tmp_path / "disk of another machine").rename(tmp_path / "disk")
    succeeded(dddm(*longer, cwd=tmp_path))
    assert len(steps_of(tmp_path / "run")) == 24


def test_an_estimate_that_changed_on_the_disk_sends_the_run_back(
    tmp_path: Path, undisturbed_on_disk: Path
) -> None:
    """One bit of one row of the newest checkpoint: the one before it has that row elsewhere."""
    write_tiny(tmp_path, *UNSCORED, ON_DISK)
    assert start_and_signal(tmp_path, after_steps=14, number=signal.SIGTERM) == 75
    newest, before = checkpoints.list_checkpoints(tmp_path / "run" / "checkpoints")
    now, then = (
        load_file(saved / "memory-estimate-0000.safetensors") for saved in (newest, before)
    )
    moved = [
        (name.partition(".")[0], int(place))
        for name, at_n in now.items()
        if name.endswith(".at")
        for place in at_n[at_n != then[name]]
    ]
    shard, place = moved[len(moved) // 2]
    rows = tmp_path / "run" / "memory" / "estimate" / f"shard-{shard}.rows"
    contents = bytearray(rows.read_bytes())
    contents[place * ROW_BYTES + 7] ^= 4
    rows.write_bytes(contents)
    done = run(tmp_path)
    succeeded(done)
    assert (
        f"{newest.name} lacks its estimates: {rows.name} no longer holds 1 estimate" in done.stderr
    )
    assert "resuming from the one before it" in done.stderr
    said = [
        event["text"] for event in read_events(tmp_path / "run" / "events.jsonl", event="notice")
    ]
    assert sum("lacks its estimates" in text for text in said) == 1
    assert_equal_runs(tmp_path / "run", undisturbed_on_disk)


def test_estimates_that_no_checkpoint_has_are_named(
    tmp_path: Path, undisturbed_on_disk: Path
) -> None:
    """Every checkpoint with what it lacks, and nothing is removed."""
    write_tiny(tmp_path, *UNSCORED, ON_DISK)
    shutil.copytree(undisturbed_on_disk, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / f"step-{STEPS:08d}")
    rows = tmp_path / "run" / "memory" / "estimate" / "shard-0001.rows"
    rows.write_bytes(bytes(byte ^ 1 for byte in rows.read_bytes()))
    before = checkpoints.list_checkpoints(tmp_path / "run" / "checkpoints")
    done = run(tmp_path)
    assert done.returncode == 7, done.stderr
    assert "no checkpoint of this run can be resumed from" in done.stderr
    assert "shard-0001.rows no longer holds" in done.stderr
    assert "--folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert checkpoints.list_checkpoints(tmp_path / "run" / "checkpoints") == before


@pytest.mark.parametrize("after_steps", [3, 14])
def test_killed(tmp_path: Path, uninterrupted: Path, after_steps: int) -> None:
    """A kill -9 loses the steps since the last checkpoint, and they are made again the same."""
    write_tiny(tmp_path, *UNSCORED)
    code = start_and_signal(tmp_path, after_steps=after_steps, number=signal.SIGKILL)
    assert code == -signal.SIGKILL
    succeeded(run(tmp_path))
    assert_equal_runs(tmp_path / "run", uninterrupted)


def test_stopped_again_and_again(tmp_path: Path, uninterrupted: Path) -> None:
    """A run that is stopped every few steps gets there too."""
    write_tiny(tmp_path, *UNSCORED)
    for after_steps in (1, 8):
        assert start_and_signal(tmp_path, after_steps=after_steps, number=signal.SIGTERM) == 75
    succeeded(run(tmp_path))
    assert_equal_runs(tmp_path / "run", uninterrupted)


def test_a_damaged_newest_checkpoint_is_passed_over(tmp_path: Path, uninterrupted: Path) -> None:
    """The run says which file is damaged, goes on from the one before, and ends the same."""
    write_tiny(tmp_path, *UNSCORED)
    shutil.copytree(uninterrupted, tmp_path / "run")
    newest = (
        tmp_path / "run" / "checkpoints" / f"step-{STEPS:08d}" / "memory-estimate-0000.safetensors"
    )
    contents = bytearray(newest.read_bytes())
    contents[len(contents) // 2] ^= 1
    newest.write_bytes(contents)
    done = run(tmp_path)
    succeeded(done)
    assert "memory-estimate-0000.safetensors" in done.stderr
    assert "resuming from the one before" in done.stderr
    assert_equal_runs(tmp_path / "run", uninterrupted)


def test_what_a_killed_process_left_of_checkpoints_is_removed(
    tmp_path: Path, uninterrupted: Path
) -> None:
    """Also where nothing is left to train, and so no checkpoint is saved or removed any more."""
    write_tiny(tmp_path, *UNSCORED)
    shutil.copytree(uninterrupted, tmp_path / "run")
    kept = sorted((tmp_path / "run" / "checkpoints").iterdir())
    for name in (".step-00000006.leaving", ".step-00000018.part"):
        shutil.copytree(kept[-1], tmp_path / "run" / "checkpoints" / name)
    succeeded(run(tmp_path))
    assert sorted((tmp_path / "run" / "checkpoints").iterdir()) == kept


def test_a_finished_run_is_not_done_again(tmp_path: Path, uninterrupted: Path) -> None:
    """The same command on a finished run trains and draws nothing, and says where its page is."""
    write_tiny(tmp_path, *UNSCORED)
    shutil.copytree(uninterrupted, tmp_path / "run")
    before = (tmp_path / "run" / "samples" / "fixed-time-1" / "samples.npz").stat().st_mtime_ns
    assert succeeded(run(tmp_path)).strip().endswith("report.html")
    after = (tmp_path / "run" / "samples" / "fixed-time-1" / "samples.npz").stat().st_mtime_ns
    assert before == after
    assert len(steps_of(tmp_path / "run")) == STEPS


def test_more_samples_can_be_asked_for_without_training_again(
    tmp_path: Path, uninterrupted: Path
) -> None:
    """Tables that do not decide the weights may change; what is new is drawn, the rest is kept."""
    write_tiny(tmp_path, ("steps = [1, 2]", "steps = [1, 2, 3]"), *UNSCORED)
    shutil.copytree(uninterrupted, tmp_path / "run")
    succeeded(run(tmp_path))
    assert (tmp_path / "run" / "samples" / "fixed-time-3" / "grid.png").exists()
    assert len(steps_of(tmp_path / "run")) == STEPS
