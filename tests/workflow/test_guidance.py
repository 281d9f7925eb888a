"""A run that drops labels, and its guided samples from recipe, command and Python."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import call, invoke, refused, write_tiny
from safetensors.torch import load_file
from torch import Tensor
from training_runs import run_tiny

import dddm
from dddm.evaluate.record import read_scores
from dddm.support.images import to_uint8
from dddm.support.noise import noise_by_index
from dddm.training.checkpoint import list_checkpoints
from dddm.training.event_log import read_events
from dddm.training.run_folder import RunFolder

GUIDED = """\
[[sample]]
use = "fixed-time"
steps = [1, 2]
images = 70

[[sample]]
use = "fixed-time"
steps = [1, 2]
images = 70
guidance = 3.0

[[sample]]
use = "annealed"
steps = [4]
images = 70
guidance = 3.0
guidance_interval = [0.3, 5.0]
"""
PLAIN = '[[sample]]\nuse = "fixed-time"\nsteps = [1, 2]\nimages = 70\n'
INTERVAL = "annealed-guidance-3-from-0.3-to-5"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The tiny recipe with a fifth of its labels dropped, and its samples scored in pixels."""
    return run_tiny(
        tmp_path_factory.mktemp("guided"),
        *("train.label_dropout=0.2", "train.score_every_epochs=3", "train.score_images=70"),
        "train.score_steps=[2]",
        changes=((PLAIN, GUIDED),),
    )


def manifest(folder: Path) -> dict[str, Any]:
    contents: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return contents


def images_in(folder: Path) -> Tensor:
    with np.load(folder / "samples.npz") as contents:
        return torch.from_numpy(contents["arr_0"].transpose(0, 3, 1, 2))


def algorithm_2(run: RunFolder, *, scale: float, steps: int) -> Tensor:
    """x̂ ← clamp(D(∅) + w (D(y) − D(∅))) at x_T and T, by the network alone."""
    model, index = dddm.load(run.path, device="cpu").denoiser, torch.arange(64)
    x_T, estimate = (
        noise_by_index(seed=0, purpose=purpose, index=index, shape=(1, 8, 8))
        for purpose in ("sample x_T", "sample estimate")
    )
    t = torch.full((64,), 50)
    with torch.no_grad():
        for _ in range(steps):
            of_class, of_none = (
                model.evaluate(x_t=x_T, t=t, label=label, estimate=estimate)
                for label in (index % 10, torch.full((64,), 10))
            )
            estimate = (of_none + scale * (of_class - of_none)).clamp(-1, 1)
    return to_uint8(estimate)


def test_samples_are_those_of_a_plain_loop(run: RunFolder) -> None:
    """Guided ones of two evaluations a step; those of a plain table are not guided."""
    for steps in (1, 2):
        found = images_in(run.samples / f"fixed-time-guidance-3-{steps}")
        expected = algorithm_2(run, scale=3.0, steps=steps)
        assert (found[:64].int() - expected.int()).abs().max() <= 1
        plain = images_in(run.samples / f"fixed-time-{steps}")
        unguided = algorithm_2(run, scale=1.0, steps=steps)
        assert (plain[:64].int() - unguided.int()).abs().max() <= 1
        assert (found.int() - plain.int()).abs().max() > 1


def test_evaluations_are_counted(run: RunFolder) -> None:
    """Two a step with guidance, and within an interval as many as were made."""
    assert sorted(path.name for path in run.samples.iterdir()) == [
        f"{INTERVAL}-4", "fixed-time-1", "fixed-time-2",
        "fixed-time-guidance-3-1", "fixed-time-guidance-3-2",
    ]  # fmt: skip
    plain = manifest(run.samples / "fixed-time-2")
    assert (plain["evaluations"], plain["evaluations_of_an_image"]) == (2, 2)
    assert plain["guidance"] is None
    guided = manifest(run.samples / "fixed-time-guidance-3-2")
    assert guided["sampler"] == "fixed-time-guidance-3"
    assert guided["sampler_id"] == "dddm:fixed-time"
    assert (guided["evaluations"], guided["evaluations_of_an_image"]) == (4, 4)
    assert guided["guidance"] == {"scale": 3.0, "interval": None}
    within = manifest(run.samples / f"{INTERVAL}-4")
    assert within["evaluations"] == 8
    assert 4 < within["evaluations_of_an_image"] < 8
    assert within["guidance"] == {"scale": 3.0, "interval": [0.3, 5.0]}
    drawn = {
        (event["sampler"], event["steps"]): event["evaluations"]
        for event in read_events(run.events, event="samples-drawn")
        if not event["grid"].count("progress")
    }
    assert drawn == {
        ("fixed-time", 1): 1, ("fixed-time", 2): 2, (INTERVAL, 4): 8,
        ("fixed-time-guidance-3", 1): 2, ("fixed-time-guidance-3", 2): 4,
    }  # fmt: skip


def test_scores_tell_guided_samples_apart(run: RunFolder) -> None:
    """In the file, with their cost and guidance, and on the page; none is a mean of two sets."""
    scores = [one for one in read_scores(run.scores) if one.measure.name == "fd"]
    found = {(one.sampler, one.steps): one for one in scores}
    assert {key: one.evaluations for key, one in found.items()} == {
        ("fixed-time", 1): 1, ("fixed-time", 2): 2, (INTERVAL, 4): 8,
        ("fixed-time-guidance-3", 1): 2, ("fixed-time-guidance-3", 2): 4,
    }  # fmt: skip
    assert len(scores) == len(found)
    assert found["fixed-time-guidance-3", 2].samples["guidance"]["scale"] == 3.0
    assert found["fixed-time", 2].value != found["fixed-time-guidance-3", 2].value
    page = run.report.read_text()
    assert "<h3>fixed-time-guidance-3</h3>" in page
    assert "(4 evaluations)" in page


def test_guided_while_training(tmp_path: Path) -> None:
    """Grids and scores between epochs are of the first table, guided and counted as it says."""
    found = run_tiny(
        tmp_path,
        *("train.label_dropout=0.2", "sample.0.guidance=3", "train.epochs=1"),
        *("train.score_every_epochs=1", "train.score_images=70", "train.score_steps=[2]"),
        changes=(),
    )
    first, *_, last = read_events(found.events, event="score-measured")
    assert (first["epoch"], last["epoch"]) == (0, None)
    for event in (first, last):
        assert (event["sampler"], event["evaluations"]) == ("fixed-time-guidance-3", 4)
    # Both are over all 70 samples of the averaged weights at the last step.
    two = [e for e in read_events(found.events, event="score-measured") if e["steps"] == 2]
    assert two[0]["value"] == pytest.approx(two[1]["value"], rel=1e-6)


def test_the_network_knows_one_class_more_and_nobody_else(run: RunFolder, tmp_path: Path) -> None:
    """Its table has a row that was trained; run, labels and samples have ten classes."""
    weights = load_file(list_checkpoints(run.checkpoints)[0] / "model.safetensors")
    assert [len(weight) for name, weight in weights.items() if "label" in name] == [11]
    moments = load_file(list_checkpoints(run.checkpoints)[0] / "optimizer.safetensors")
    (of_table,) = [m for name, m in moments.items() if "avg_sq" in name and len(m) == 11]
    assert (of_table > 0).all()
    loaded = dddm.load(run.path, device="cpu")
    assert loaded.classes == tuple("0123456789")
    assert json.loads(run.about.read_text())["classes"] == list("0123456789")
    with np.load(run.samples / "fixed-time-guidance-3-1" / "samples.npz") as contents:
        assert contents["arr_1"].tolist() == [k % 10 for k in range(70)]
    done = call("sample", run.path, "--labels", "10", cwd=tmp_path)
    refused(done, "there is no class '10'", code=2)


def test_command_and_python_draw_what_the_recipe_draws(run: RunFolder, tmp_path: Path) -> None:
    """Bit for bit, each guidance in a folder of its own; a folder is not taken for another's."""
    run = RunFolder(Path(shutil.copytree(run.path, tmp_path / "copy")))
    words = ("sample", run.path, "--images", "70", "--steps", "2")
    drawn = run.path / "drawn"
    invoke(*words, "--guidance", "3", cwd=tmp_path)
    invoke(*words, "--guidance", "2.5", "--guidance-interval", "0.5", "8", cwd=tmp_path)
    invoke(*words, "--guidance", "1", cwd=tmp_path)
    assert sorted(path.name for path in drawn.iterdir()) == [
        "fixed-time-2-seed0",
        "fixed-time-guidance-2.5-from-0.5-to-8-2-seed0",
        "fixed-time-guidance-3-2-seed0",
    ]
    guided = images_in(run.samples / "fixed-time-guidance-3-2")
    plain = images_in(run.samples / "fixed-time-2")
    assert torch.equal(images_in(drawn / "fixed-time-guidance-3-2-seed0"), guided)
    assert torch.equal(images_in(drawn / "fixed-time-2-seed0"), plain)
    loaded = dddm.load(run.path, device="cpu")
    assert torch.equal(loaded.sample(images=70, steps=2, guidance=3.0).tensor, guided)
    assert torch.equal(loaded.sample(images=70, steps=2, guidance=1.0).tensor, plain)
    # Algorithm 2 stays at T, whose noise level, about 160, is above this interval.
    outside = loaded.sample(images=70, steps=2, guidance=3.0, guidance_interval=(0.5, 8.0))
    assert torch.equal(outside.tensor, plain)
    for guidance, expected in (("3", guided), ("1", plain)):
        invoke(*words, "--guidance", guidance, "--out", "one", cwd=tmp_path)
        assert torch.equal(images_in(tmp_path / "one"), expected)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--guidance", "2"), "guidance needs label_dropout: this network was trained with the"),
        (("--guidance", "-1"), "-1.0 is not in the range x>=0"),
        (("--guidance", "2", "--guidance-interval", "5", "0.3"), "guidance_interval is [5, 0.3]"),
        (("--guidance-interval", "0.3", "5"), "guidance_interval has no effect without guidance"),
    ],
)
def test_what_the_command_refuses(trained: Path, words: tuple[str, ...], says: str) -> None:
    """A run that dropped no label, and values that mean nothing; no folder is made."""
    before = sorted((trained / "runs/tiny").iterdir())
    refused(call("sample", "runs/tiny", *words, cwd=trained), says, code=2)
    assert sorted((trained / "runs/tiny").iterdir()) == before


def test_a_run_that_cannot_be_exported_guided(trained: Path) -> None:
    words = ("export", "runs/tiny", "--format", "torch", "--guidance", "2", "--out", "guided.pt2")
    refused(call(*words, cwd=trained), "guidance needs label_dropout", code=2)
    assert not (trained / "guided.pt2").exists()


def test_the_dry_run_counts_twice(tmp_path: Path) -> None:
    """Every table by its own guidance; a training image costs what it cost without dropout."""
    write_tiny(tmp_path, (PLAIN, GUIDED))
    words = ("run", "tiny.toml", "--dry-run", "--json")
    found = json.loads(invoke(*words, "--set", "train.label_dropout=0.2", cwd=tmp_path))
    plain = json.loads(invoke(*words, "--set", "sample=[]", cwd=tmp_path))
    assert [job["evaluations_of_image"] for job in found["sampling"]["jobs"]] == [2, 4, 8]
    assert found["sampling"]["evaluations"] == 70 * (2 + 4 + 8)
    assert found["training"] == plain["training"]
    width = found["network"]["parameters"] - plain["network"]["parameters"]
    assert 0 < width <= 64, "one row of the table of classes"
