"""Whether two finished runs of the tiny recipe are the same, bit for bit."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from stored import stored_rows

from dddm.training.checkpoint import list_checkpoints, step_of
from dddm.training.event_log import read_events


def steps_of(run_folder: Path) -> list[dict[str, Any]]:
    return list(read_events(run_folder / "events.jsonl", event="step-done"))


def assert_equal_runs(one: Path, other: Path) -> None:
    """Weights, average, optimizer, store, losses, diagnostics and samples are the same bits."""
    assert torch.equal(stored_rows(one), stored_rows(other))
    newest, others = (list_checkpoints(run / "checkpoints")[0] for run in (one, other))
    assert newest.name == others.name
    for name in ("model", "ema", "optimizer"):
        ours, theirs = (load_file(path / f"{name}.safetensors") for path in (newest, others))
        assert ours.keys() == theirs.keys()
        for key, tensor in ours.items():
            assert torch.equal(tensor, theirs[key]), (name, key)
    steps = [steps_of(run) for run in (one, other)]
    assert [e["step"] for e in steps[0]] == list(range(1, step_of(newest) + 1))
    for name in ("step", "epoch", "loss", "learning_rate", "gradient_norm"):
        assert [e[name] for e in steps[0]] == [e[name] for e in steps[1]]
    epochs = [list(read_events(r / "events.jsonl", event="epoch-done")) for r in (one, other)]
    for name in ("epoch", "loss", "diagnosis"):
        assert [e[name] for e in epochs[0]] == [e[name] for e in epochs[1]]
    for sample in ("fixed-time-1", "fixed-time-2"):
        with (
            np.load(one / "samples" / sample / "samples.npz") as a,
            np.load(other / "samples" / sample / "samples.npz") as b,
        ):
            assert np.array_equal(a["arr_0"], b["arr_0"])
            assert np.array_equal(a["arr_1"], b["arr_1"])
