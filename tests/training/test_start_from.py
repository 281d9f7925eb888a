"""A run begins with another run's weights, as far as they fit, and says what did."""

import json
from pathlib import Path

import pytest
import torch
from command_line import call, invoke, refused, succeeded, write_tiny
from equal_runs import steps_of
from safetensors.torch import load_file

from dddm.training.checkpoint import list_checkpoints

UNSCORED = [('[evaluate]\nfeatures = "pixels"\n', "")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of 18 steps on digits, `run`."""
    folder = tmp_path_factory.mktemp("place")
    write_tiny(folder, *UNSCORED)
    invoke("run", "tiny.toml", "--folder", "run", cwd=folder)
    return folder


def words(folder: str, *changes: str) -> list[str]:
    more = [word for change in changes for word in ("--set", change)]
    return ["run", "tiny.toml", "--folder", folder, *more]


def weights(run: Path, group: str) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = load_file(
        list_checkpoints(run / "checkpoints")[0] / f"{group}.safetensors"
    )
    return tensors


def test_weights_and_average_are_those_of_the_other_run(place: Path) -> None:
    """After a step that changes next to nothing: θ is the other's θ, its average 0.1 of the other's
    average and 0.9 of θ, as the warm-up says; a further average begins as the other's too.
    """
    changes = ["train.start_from=run", "train.epochs=1", "train.batch_images=1500"]
    changes += ["learning_rate.rate=1e-12", "train.extra_ema_decays=[0.05]"]
    done = call(*words("next", *changes), cwd=place)
    succeeded(done)
    assert "started from run after step 18" in done.stderr
    other, ema = (weights(place / "run", group) for group in ("model", "ema"))
    ours = {group: weights(place / "next", group) for group in ("model", "ema", "ema-0.05")}
    for name, theta in other.items():
        torch.testing.assert_close(ours["model"][name], theta, rtol=0, atol=1e-9)
        for group, decay in (("ema", 0.1), ("ema-0.05", 0.05)):
            expected = decay * ema[name] + (1 - decay) * theta
            torch.testing.assert_close(ours[group][name], expected, rtol=0, atol=1e-6)
    assert any(not torch.equal(ema[name], theta) for name, theta in other.items())
    about = json.loads((place / "next/run.json").read_text())["started_from"]
    assert (about["run"], about["step"]) == ("run", 18)
    assert about["fitting_numbers"] == about["numbers"] > 0


def test_training_goes_on_from_there(place: Path) -> None:
    """On digits, the first steps have the loss of a trained network, not of a new one."""
    short = ("train.epochs=1", "objective.estimate_dropout=1.0")
    invoke(*words("fresh", *short), cwd=place)
    invoke(*words("tuned", *short, "train.start_from=run"), cwd=place)
    fresh, tuned = ([step["loss"] for step in steps_of(place / run)] for run in ("fresh", "tuned"))
    assert max(tuned) < 0.9 * fresh[0]
    # A resumed or finished run does not start again.
    again = call(*words("tuned", *short, "train.start_from=run"), cwd=place)
    assert "started from" not in succeeded(again) + again.stderr
    # Where it started is part of what the run is.
    other = call(*words("tuned", *short), cwd=place)
    refused(other, "train.start_from: run → absent", code=3)


def test_what_does_not_fit_is_named(place: Path) -> None:
    """Without classes a network has no embedding of them; the rest fits."""
    changes = ("backbone.classes=false", "train.start_from=run", "train.epochs=1")
    done = call(*words("classless", *changes), cwd=place)
    succeeded(done)
    assert "not used: " in done.stderr
    about = json.loads((place / "classless/run.json").read_text())["started_from"]
    assert about["fitting_tensors"] == about["tensors"]
    assert len(about["unused"]) >= 1


def test_nothing_that_fits_is_refused(place: Path) -> None:
    """Twice as many channels have no weight in common; nor has a run that is not there."""
    wide = call(*words("wide", "backbone.channels=16", "train.start_from=run"), cwd=place)
    refused(wide, "nothing of the run to start from fits", code=7)
    absent = call(*words("lost", "train.start_from=nowhere"), cwd=place)
    refused(absent, "there is no run folder", code=2)
    itself = call(*words("self", "train.start_from=self"), cwd=place)
    refused(itself, "no checkpoint yet", code=7)
