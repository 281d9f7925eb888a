"""The command line, in a subprocess or in this process, and a recipe that trains in seconds."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

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
    # Unbuffered streams would hide what is lost, or fails, where Python flushes them at its end.
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**ours, "OMP_NUM_THREADS": "1", **more}


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


def call(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """`dddm` in this process, which saves the seconds of importing torch."""
    from dddm.cli.main import main

    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main(list(map(str, words)))
    code = ended.value.code
    assert isinstance(code, int)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def invoke(*words: str | Path, cwd: Path) -> str:
    """The standard output of a command that must succeed, run in this process."""
    return succeeded(call(*words, cwd=cwd))


def refused(done: subprocess.CompletedProcess[str], *says: str, code: int) -> str:
    """The error of a command that must have failed without a traceback, and have said `says`."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    for words in says:
        assert words in done.stderr, (words, done.stderr)
    return done.stderr
