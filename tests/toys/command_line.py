"""The command line, in a process of its own or in this one, on a recipe that trains in seconds."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from click.testing import CliRunner

TINY = """\
format = 2
name = "tiny"
seed = 5

[data]
use = "digits"

[schedule]
use = "vp"
timesteps = 50

[backbone]
use = "adm"
channels = 8
multipliers = [1, 2]
blocks = 1
attention = [4]
classes = true

[metric]
use = "pseudo-huber"
c = 0.0043

[targets]
use = "ram"

[objective]
estimate_dropout = 0.1

[learning_rate]
rate = 2e-3

[train]
epochs = 3
batch_images = 250
ema = 0.9
ema_warmup = true
checkpoint_every_epochs = 2

[[sample]]
use = "fixed-time"
steps = [1, 2]
images = 70

[evaluate]
features = "pixels"
"""


def write_tiny(folder: Path, *changes: tuple[str, str]) -> Path:
    """The tiny recipe as a file in `folder`, with pieces of its text replaced."""
    text = TINY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "tiny.toml"
    path.write_text(text)
    return path


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "dddm", *map(str, words)]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", **more}


def dddm(
    *words: str | Path, cwd: Path, prefix: Sequence[str] = (), **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run `dddm` to its end; `more` are environment variables."""
    return subprocess.run(
        [*prefix, *command(*words)],
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    """The standard output of a command that must have succeeded."""
    assert done.returncode == 0, done.stderr
    return done.stdout


def invoke(*words: str | Path, cwd: Path) -> str:
    """The standard output of `dddm`, run in this process: a second faster; errors are raised."""
    from dddm.cli.group import dddm as command_group

    with contextlib.chdir(cwd):
        done = CliRunner().invoke(command_group, list(map(str, words)), standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.stdout
