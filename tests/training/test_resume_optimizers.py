"""A run that is killed goes on to the same weights, bit for bit, with each built-in optimizer."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from command_line import command, dddm, environment, succeeded
from safetensors.torch import load_file

from dddm.interfaces.plugin import Kind
from dddm.registry.loader import load_catalogue
from dddm.training.checkpoint import list_checkpoints
from dddm.training.event_log import read_events

RECIPE: Final = """\
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
multipliers = [1]
blocks = 1
estimate = "concatenation"

[metric]
use = "pseudo-huber"
c = 0.0043

[optimizer]
use = "OPTIMIZER"

[learning_rate]
use = "RATE"
rate = 1e-3
warmup_steps = 3

[train]
epochs = 4
batch_images = 250
checkpoint_every_epochs = 1
"""
PAIRS: Final = {
    "adam": "constant",
    "adamw": "steps",
    "radam": "inverse-sqrt",
    "sgd": "cosine",
    "muon": "cosine",
}
KILLED_AFTER_STEPS: Final = 8


def test_every_built_in_is_here() -> None:
    """Of optimizers and of learning rates."""
    of_kind = {
        kind: {c.name for c in load_catalogue().components(kind) if c.package == "dddm"}
        for kind in (Kind.OPTIMIZER, Kind.LEARNING_RATE)
    }
    assert of_kind == {
        Kind.OPTIMIZER: set(PAIRS),
        Kind.LEARNING_RATE: set(PAIRS.values()),
    }


def steps_of(run: Path) -> list[dict[str, Any]]:
    return list(read_events(run / "events.jsonl", event="step-done"))


def kill_after_some_steps(folder: Path) -> None:
    process = subprocess.Popen(
        command("run", "tiny.toml", "--folder", "killed"),
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    events, deadline = folder / "killed" / "events.jsonl", time.monotonic() + 120
    while not (events.exists() and len(steps_of(folder / "killed")) >= KILLED_AFTER_STEPS):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("optimizer", PAIRS)
def test_killed_and_resumed(tmp_path: Path, optimizer: str) -> None:
    """Weights, average, state and losses are those of a run that nobody disturbed."""
    text = RECIPE.replace("OPTIMIZER", optimizer).replace("RATE", PAIRS[optimizer])
    (tmp_path / "tiny.toml").write_text(text)
    succeeded(dddm("run", "tiny.toml", "--folder", "whole", cwd=tmp_path))
    kill_after_some_steps(tmp_path)
    succeeded(dddm("run", "tiny.toml", "--folder", "killed", cwd=tmp_path))
    whole, killed = (
        list_checkpoints(tmp_path / name / "checkpoints")[0] for name in ("whole", "killed")
    )
    assert whole.name == killed.name
    for group in ("model", "ema", "optimizer"):
        ours, theirs = (load_file(path / f"{group}.safetensors") for path in (whole, killed))
        assert ours.keys() == theirs.keys()
        for name, tensor in ours.items():
            assert torch.equal(tensor, theirs[name]), (group, name)
    losses = [
        [(e["step"], e["loss"], e["learning_rate"]) for e in steps_of(tmp_path / name)]
        for name in ("whole", "killed")
    ]
    assert losses[0] == losses[1]
