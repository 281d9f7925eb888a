"""Schedules from a recipe to scores, through the real command line."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from command_line import dddm, succeeded, write_tiny

from dddm.training.event_log import read_events

# Beside `vp`, with which every other test of the command line runs.
SCHEDULES = {"vp-continuous": "", "ve": "timesteps = 50"}
ANNEALED = """\
images = 70

[[sample]]
use = "annealed"
steps = [2]
images = 70
"""


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_run_trains_samples_and_scores(name: str, tmp_path: Path) -> None:
    """One epoch, two steps of both samplers: finite losses, diagnostics and scores."""
    write_tiny(
        tmp_path,
        ('use = "vp"\ntimesteps = 50', f'use = "{name}"\n{SCHEDULES[name]}'),
        ("epochs = 3", "epochs = 1"),
        ("steps = [1, 2]", "steps = [2]"),
        ("images = 70\n", ANNEALED),
    )
    succeeded(dddm("run", "tiny.toml", "--folder", "run", cwd=tmp_path))
    run = tmp_path / "run"
    losses = [event["loss"] for event in read_events(run / "events.jsonl", event="step-done")]
    (epoch,) = read_events(run / "events.jsonl", event="epoch-done")
    measured = list(read_events(run / "events.jsonl", event="score-measured"))
    assert len(losses) == 6
    assert all(map(math.isfinite, [*losses, *epoch["diagnosis"].values()]))
    assert all(math.isfinite(event["value"]) for event in measured)
    assert {event["sampler"] for event in measured} == {"fixed-time", "annealed"}
    for sampler in ("fixed-time", "annealed"):
        with np.load(run / "samples" / f"{sampler}-2" / "samples.npz") as samples:
            assert samples["arr_0"].shape == (70, 8, 8, 1)
            assert samples["arr_0"].std() > 0
    assert json.loads((run / "scores.json").read_text(encoding="utf-8"))
