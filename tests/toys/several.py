"""Runs of several processes, and what they leave behind."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from command_line import command, environment, write_tiny

from dddm.training.event_log import read_events

UNSCORED = ('[evaluate]\nfeatures = "pixels"\n', "")
SHARED = ("batch_images = 250", "batch_images = 256")
"""A batch that up to 64 processes can share."""


def write_shared(folder: Path, *changes: tuple[str, str]) -> Path:
    """The tiny recipe with a batch that processes can share, and without scores."""
    return write_tiny(folder, UNSCORED, SHARED, *changes)


def steps_of(run: Path) -> list[dict[str, Any]]:
    """The steps that the log of a run holds."""
    return list(read_events(run / "events.jsonl", event="step-done"))


def losses_of(run: Path) -> list[float]:
    """The loss of each step."""
    return [step["loss"] for step in steps_of(run)]


def start(folder: Path, *words: str | Path, **more: str) -> subprocess.Popen[str]:
    """Start a command in a session of its own, so that all of it can be killed at once."""
    return subprocess.Popen(
        command(*words),
        cwd=folder,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_until(
    what: Callable[[], bool], *, process: subprocess.Popen[str] | None = None, seconds: float = 120
) -> None:
    """Wait for something to become true, while `process` lives."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        if process is not None and process.poll() is not None:
            raise AssertionError(process.communicate()[1])
        time.sleep(0.01)


def wait_until_step(step: int, *, run: Path, process: subprocess.Popen[str]) -> None:
    """Wait until the log of a run holds so many steps."""
    wait_until(lambda: len(steps_of(run)) >= step, process=process)


def workers_of(launcher: int) -> list[int]:
    """Process numbers of the children of a process, by their start."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text("ascii").split()
    return [int(child) for child in children]


def is_alive(process: int) -> bool:
    """Whether a process still runs; one that only waits to be counted does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def kill_all(process: subprocess.Popen[str]) -> None:
    """`kill -9` on the process group."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
