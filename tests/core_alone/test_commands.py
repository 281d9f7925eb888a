"""Every command on toys alone: with all built-ins switched off, nothing of the core is missing."""

import json
import signal
from pathlib import Path

import numpy as np
from alone import Alone
from toy_components import TRAIN_IMAGES

OURS = [
    "toy:again", "toy:circle", "toy:descent", "toy:flat", "toy:means", "toy:numbers", "toy:ramps",
    "toy:remember", "toy:square", "toy:tensors", "toy:values", "toy:words",
]  # fmt: skip


def test_only_toys_are_there(alone: Alone, tmp_path: Path) -> None:
    """One of each kind that a run needs, and every built-in plugin is said to be switched off."""
    listed = json.loads(alone.succeeded("plugins", "--json", cwd=tmp_path))
    assert sorted(part["id"] for part in listed["components"]) == OURS
    assert len({part["kind"] for part in listed["components"]}) == len(OURS)
    status = {plugin["name"]: plugin["status"] for plugin in listed["plugins"]}
    assert status.pop("toy") == "loaded"
    built_in = {name: word for name, word in status.items() if name.startswith("dddm.")}
    assert len(built_in) >= len(OURS)
    assert set(built_in.values()) == {"disabled"}


def test_the_recipe_is_checked_shown_and_counted(alone: Alone, place: Path) -> None:
    """`check`, `show` and `--dry-run` read it, though nothing in its network is counted."""
    alone.succeeded("check", "toy.toml", cwd=place)
    shown = alone.succeeded("show", "toy.toml", cwd=place)
    assert 'use = "toy:numbers"' in shown
    counted = alone.succeeded("run", "toy.toml", "--dry-run", cwd=place)
    assert f"{TRAIN_IMAGES} of 1×4×4, 2 classes" in counted
    assert "0 FLOP per forward pass" in counted


def test_mistakes_are_found_among_toys(alone: Alone, place: Path) -> None:
    """A built-in's name is unknown, an option out of bounds is refused: all at once, with lines."""
    text = (place / "toy.toml").read_text()
    text = text.replace('"circle"', '"dddm:vp"').replace("scale = 0.25", "scale = -1")
    (place / "toy.toml").write_text(text)
    done = alone.dddm("check", "toy.toml", cwd=place)
    assert done.returncode == 3
    assert "toy.toml:12:7: there is no schedule called 'dddm:vp'" in done.stderr
    assert "is disabled" in done.stderr
    assert "toy.toml:16:" in done.stderr


def test_the_schema_knows_toys_and_nothing_else(alone: Alone, tmp_path: Path) -> None:
    """Editors are offered what is there."""
    schema = alone.succeeded("schema", cwd=tmp_path)
    json.loads(schema)
    assert all(f'"{name}"' in schema for name in OURS)
    assert '"dddm:' not in schema


def test_the_toys_can_be_switched_off_too(alone: Alone, place: Path) -> None:
    """Then nothing is left, and what is said of the recipe says why."""
    done = alone.dddm("-p", "no:toy", "check", "toy.toml", cwd=place)
    assert done.returncode == 4
    assert "toy disabled" in done.stderr


def test_a_run_goes_from_images_to_its_page(trained: Path) -> None:
    """It trains, draws, scores and reports; the default observer saw all of it."""
    assert (trained / "printed").read_text().strip() == "runs/toy/report.html"
    run = trained / "runs" / "toy"
    page = (run / "report.html").read_text()
    assert "toy:numbers" in page
    for steps in (1, 3):
        with np.load(run / "samples" / f"again-{steps}" / "samples.npz") as drawn:
            assert drawn["arr_0"].shape == (40, 4, 4, 1)
    seen = (trained / "seen").read_text().split()
    assert seen[0] == "RunStarted"
    assert seen.count("StepDone") == 6 * TRAIN_IMAGES // 12
    assert {"EpochDone", "CheckpointSaved", "SamplesDrawn", "ScoreMeasured"} < set(seen)


def test_the_toy_network_learns(trained: Path) -> None:
    """The core's own loop makes the loss fall: the end-to-end path is no sham."""
    events = map(json.loads, (trained / "runs/toy/events.jsonl").read_text().splitlines())
    losses = [event["loss"] for event in events if event["event"] == "epoch-done"]
    assert losses[-1] < losses[0] / 2


def test_no_built_in_was_imported(trained: Path) -> None:
    """Training, sampling, scoring and reporting read no module of a built-in plugin."""
    loaded = set((trained / "loaded").read_text().split())
    assert {"dddm.report.run_page", "dddm.evaluate.evaluate", "toy_components.store"} < loaded
    ours = {name.partition(".")[0] for name in loaded if name.startswith("dddm_")}
    assert ours == {"dddm_toy", "dddm_recipes"}


def test_a_killed_run_goes_on_to_the_same_result(alone: Alone, trained: Path, place: Path) -> None:
    """Killed within an epoch, it ends by the same command with the same bits."""
    unscored = (place / "toy.toml").read_text().partition("[evaluate]")[0]
    (place / "toy.toml").write_text(unscored)
    fatal = f'observe=[{{use="words", signal={int(signal.SIGKILL)}, at_step=14}}]'
    assert alone.dddm("run", "toy.toml", "--set", fatal, cwd=place).returncode == -signal.SIGKILL
    assert not (place / "runs/toy/report.html").exists()
    alone.succeeded("run", "toy.toml", cwd=place)
    checkpoint = max((trained / "runs/toy/checkpoints").iterdir()).relative_to(trained)
    tensors = sorted((trained / checkpoint).glob("*.safetensors"))
    assert {"model.safetensors", "memory-estimate-0000.safetensors"} <= {
        file.name for file in tensors
    }
    for file in tensors:
        assert (place / checkpoint / file.name).read_bytes() == file.read_bytes(), file.name
    for steps in (1, 3):
        files = [at / f"runs/toy/samples/again-{steps}/samples.npz" for at in (trained, place)]
        with np.load(files[0]) as one, np.load(files[1]) as other:
            assert np.array_equal(one["arr_0"], other["arr_0"])


def test_more_samples_are_drawn_by_hand(alone: Alone, trained: Path) -> None:
    """`dddm sample` draws those that the run drew, by the toy sampler."""
    run = trained / "runs/toy"
    out = trained / "by-hand"
    words = ("--sampler", "again", "--steps", "3", "--images", "40", "--out", out)
    alone.succeeded("sample", run, *words, cwd=trained)
    with np.load(out / "samples.npz") as by_hand, np.load(run / "samples/again-3/samples.npz") as a:
        assert np.array_equal(by_hand["arr_0"], a["arr_0"])


def test_a_sampler_that_is_not_there_is_named(alone: Alone, trained: Path) -> None:
    """Algorithm 2 is a built-in: where it is missing the command says what there is."""
    done = alone.dddm("sample", trained / "runs/toy", "--sampler", "fixed-time", cwd=trained)
    assert done.returncode == 4
    assert "there is no sampler called 'fixed-time'" in done.stderr
    assert "choose among again" in done.stderr


def test_scores_and_page_are_made_again(alone: Alone, trained: Path) -> None:
    """`dddm evaluate` finds the scores of the run, and `dddm report` prints the page's path."""
    rows = json.loads(alone.succeeded("evaluate", "runs/toy", "--json", cwd=trained))
    assert rows
    assert alone.succeeded("report", "runs/toy", cwd=trained).strip().endswith("report.html")
