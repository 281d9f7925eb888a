"""A disk that is full before a run, or in the middle of it: real ones, a few megabytes large."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from command_line import command, environment, succeeded, write_tiny
from equal_runs import assert_equal_runs
from several import SHARED, UNSCORED

from dddm.training import checkpoint as checkpoints

_UNSHARE: Final = shutil.which("unshare")
_MOUNT: Final = "mount -t tmpfs -o size={size}k none run"


def on_small_disks(folder: Path, script: str) -> "subprocess.CompletedProcess[str]":
    """Run a shell script where it may mount; skipped where nobody may."""
    if _UNSHARE is None or subprocess.run([_UNSHARE, "--mount", "true"], check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    (folder / "run").mkdir()
    return subprocess.run(
        [_UNSHARE, "--mount", "sh", "-c", script],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_a_store_that_the_disk_cannot_hold_is_refused_before_training(tmp_path: Path) -> None:
    """1.2 MB of estimates and their snapshots on a disk of 1 MB."""
    write_tiny(tmp_path, UNSCORED, ('use = "ram"', 'use = "mmap"'))
    run = " ".join(command("run", "tiny.toml", "--folder", "run"))
    done = on_small_disks(tmp_path, f"{_MOUNT.format(size=1000)}; {run}")
    assert done.returncode == 6, done.stderr
    assert "the target store takes 1.2 MB of disk space, and there are" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("store", "processes"), [("ram", 1), ("mmap", 1), ("ram", 2)])
def test_a_disk_that_fills_up_costs_nothing_but_time(
    tmp_path: Path, store: str, processes: int
) -> None:
    """The save fails, the checkpoint before it stays; with more space the run goes on."""
    words = command("run", "tiny.toml", "--folder", "run", "--nproc", str(processes))
    for name in ("undisturbed", "full"):
        (tmp_path / name).mkdir()
        write_tiny(tmp_path / name, UNSCORED, SHARED, ('use = "ram"', f'use = "{store}"'))
    succeeded(
        subprocess.run(
            words,
            cwd=tmp_path / "undisturbed",
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    )
    run = tmp_path / "undisturbed" / "run"
    last, before = checkpoints.list_checkpoints(run / "checkpoints")
    kept = sum(file.stat().st_blocks * 512 for file in (run / "memory" / "estimate").iterdir())
    size = int(checkpoints.size_bytes(last) * 1.5 + kept) // 1000
    again = " ".join(words)
    script = f"""
        {_MOUNT.format(size=size)}
        {again}
        echo exit code $?
        ls run/checkpoints
        mount -o remount,size=100m run
        {again} && cp -r run copy
    """
    done = on_small_disks(tmp_path / "full", script)
    assert f"exit code 6\n{before.name}\n" in done.stdout, done.stdout + done.stderr
    assert "no space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert_equal_runs(tmp_path / "full" / "copy", run)
