"""A disk that is full before a run, or in the middle of it: real ones, a few megabytes large."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from command_line import command, environment, succeeded, write_tiny
from equal_runs import assert_equal_runs

_UNSHARE: Final = shutil.which("unshare")
_UNSCORED: Final = ('[evaluate]\nfeatures = "pixels"\n', "")
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


RUN: Final = " ".join(command("run", "tiny.toml", "--folder", "run"))


def test_a_store_that_the_disk_cannot_hold_is_refused_before_training(tmp_path: Path) -> None:
    """1.2 MB of estimates and their snapshots on a disk of 1 MB."""
    write_tiny(tmp_path, _UNSCORED, ('use = "ram"', 'use = "mmap"'))
    done = on_small_disks(tmp_path, f"{_MOUNT.format(size=1000)}; {RUN}")
    assert done.returncode == 6, done.stderr
    assert "the target store takes 1.2 MB of disk space, and there are" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("store", ["ram", "mmap"])
def test_a_disk_that_fills_up_costs_nothing_but_time(tmp_path: Path, store: str) -> None:
    """The save fails, the checkpoint before it stays; with more space the run goes on."""
    for name in ("undisturbed", "full"):
        (tmp_path / name).mkdir()
        write_tiny(tmp_path / name, _UNSCORED, ('use = "ram"', f'use = "{store}"'))
    succeeded(
        subprocess.run(
            command("run", "tiny.toml", "--folder", "run"),
            cwd=tmp_path / "undisturbed",
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    )
    run = tmp_path / "undisturbed" / "run"
    one = sum(file.stat().st_size for file in (run / "checkpoints").glob("step-00000018/*"))
    kept = sum(file.stat().st_blocks * 512 for file in (run / "store").iterdir())
    size = int(one * 1.5 + kept) // 1000
    script = f"""
        {_MOUNT.format(size=size)}
        {RUN}
        echo exit code $?
        ls run/checkpoints
        mount -o remount,size=100m run
        {RUN} && cp -r run copy
    """
    done = on_small_disks(tmp_path / "full", script)
    assert "exit code 6\nstep-00000012\n" in done.stdout, done.stdout + done.stderr
    assert "no space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert_equal_runs(tmp_path / "full" / "copy", run)
