"""`dddm sample` through the real command line."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call, dddm, invoke, succeeded
from PIL import Image
from several import kill_all, start, wait_until

from dddm import load


def drawn(folder: Path, *words: str) -> dict[str, np.ndarray]:
    printed = json.loads(invoke("sample", *words, "--json", cwd=folder))
    arrays = {}
    for steps, path in printed.items():
        with np.load(folder / path / "samples.npz") as contents:
            arrays[steps] = contents["arr_0"]
            arrays[f"labels {steps}"] = contents["arr_1"]
    return arrays


def test_image_k_is_the_same_however_many_are_asked_for(trained: Path) -> None:
    """Orders of 70, 65 and 3 images start alike, bit for bit; another seed differs."""
    few = drawn(trained, "--steps", "2", "--images", "3", "--out", "few")["2"]
    many = drawn(trained, "--steps", "2", "--images", "65", "--out", "many")["2"]
    other = drawn(trained, "--steps", "2", "--images", "3", "--seed", "1", "--out", "other")["2"]
    with np.load(trained / "runs/tiny/samples/fixed-time-2/samples.npz") as contents:
        recipe = contents["arr_0"]
    assert few.shape == (3, 8, 8, 1)
    assert few.dtype == np.uint8
    assert np.array_equal(few, many[:3])
    assert np.array_equal(many, recipe[:65])
    assert not np.array_equal(few, other)


def test_several_step_counts_and_labels(trained: Path) -> None:
    """One folder for each step count; images take the labels in turn."""
    arrays = drawn(
        trained, "--steps", "1", "--steps", "3", "--labels", "3,8", "--images", "5", "--out", "x"
    )
    assert arrays["labels 1"].tolist() == [3, 8, 3, 8, 3]
    assert sorted(path.name for path in (trained / "x").iterdir()) == [
        "fixed-time-1-seed0",
        "fixed-time-3-seed0",
    ]


def test_classes_at_random(trained: Path) -> None:
    """Image k's class depends on seed and k, whatever the processes, the blocks and the steps."""
    one = drawn(trained, "--random-classes", "--steps", "2", "--images", "90", "--out", "r1")
    two = (
        "sample",
        "--random-classes",
        "--images",
        "70",
        "--nproc",
        "2",
        "--block",
        "8",
        "--out",
        "r2",
    )
    succeeded(dddm(*two, cwd=trained))
    with np.load(trained / "r2/samples.npz") as shared:
        labels = shared["arr_1"]
    assert np.array_equal(one["labels 2"][:70], labels)
    assert 1 < np.bincount(labels, minlength=10).min() < np.bincount(labels).max() < 20
    assert json.loads((trained / "r2/manifest.json").read_text())["random_classes"] is True
    other = drawn(trained, "--random-classes", "--images", "70", "--seed", "1", "--out", "r3")[
        "labels 1"
    ]
    assert (other == labels).mean() < 0.3


def test_images_have_the_classes_that_are_drawn(trained: Path) -> None:
    """Each is the image of its number and class, and not that of its class in turn."""
    run = load(trained / "runs/tiny")
    images = run.sample(images=40, random_classes=True)
    found = drawn(trained, "--random-classes", "--images", "40", "--out", "r4")
    assert np.array_equal(found["1"], images.numpy())
    label = int(found["labels 1"][7])
    assert label != 7
    again = run.sample(images=8, labels=label)
    assert np.array_equal(again.numpy()[7], images.numpy()[7])
    assert not np.array_equal(run.sample(images=8).numpy()[7], images.numpy()[7])


def test_a_device_is_no_folder(trained: Path) -> None:
    """Nobody is told to remove /dev/null."""
    done = dddm("sample", "--images", "2", "--out", "/dev/null", cwd=trained)
    assert done.returncode == 2
    assert "/dev/null exists and does not hold samples" in done.stderr


def test_a_kill_before_the_last_cleaning(trained: Path) -> None:
    """What it left is removed by the same command; what still has images in it is kept."""
    words = ("sample", "--images", "2", "--out", "clean/x")
    invoke(*words, cwd=trained)
    left = trained / "clean/.x.partial"
    left.mkdir()
    (left / "order.json").write_text("{}")
    (left / "1").mkdir()
    invoke(*words, cwd=trained)
    assert left.exists()
    (left / "1").rmdir()
    invoke(*words, cwd=trained)
    assert not left.exists()


def test_every_form_holds_the_same_images(trained: Path) -> None:
    """PNG files, npz and grid agree, and the manifest says how to draw them again."""
    arrays = drawn(trained, "--sampler", "annealed", "--steps", "4", "--images", "7", "--out", "a")
    files = sorted((trained / "a/images").glob("*.png"))
    assert [file.name for file in files] == [f"{k:06d}.png" for k in range(7)]
    for file, image in zip(files, arrays["4"], strict=True):
        assert np.array_equal(np.asarray(Image.open(file)), image[..., 0])
    grid = np.asarray(Image.open(trained / "a/grid.png"))
    scale = 32 // 8
    first = grid[scale : scale * 9 : scale, scale : scale * 9 : scale]
    assert np.array_equal(first, arrays["4"][0, ..., 0])
    facts = json.loads((trained / "a/manifest.json").read_text())
    assert [facts[key] for key in ("sampler", "steps", "images", "seed")] == ["annealed", 4, 7, 0]
    assert facts["checkpoint"]["step"] == 12
    assert len(facts["checkpoint"]["sha256"]) == 64


def test_the_newest_run_is_taken(trained: Path, tmp_path: Path) -> None:
    """Without a name the run that was touched last is sampled from, into its own folder."""
    folder = Path(shutil.copytree(trained, tmp_path / "copy"))
    printed = invoke("sample", "--images", "2", cwd=folder)
    assert printed.strip() == "runs/tiny/drawn/fixed-time-1-seed0"
    again = invoke("sample", "--images", "2", cwd=folder)
    assert again == printed


MANY = ("--steps", "1", "--steps", "20", "--images", "400", "--out")


def manifest(folder: Path) -> dict[str, Any]:
    """What is written beside samples at 20 steps."""
    contents: dict[str, Any] = json.loads(
        (folder / "fixed-time-20-seed0/manifest.json").read_text()
    )
    return contents


def assert_same_samples(one: Path, other: Path) -> None:
    """Byte for byte, and each image as a picture."""
    for steps in (1, 20):
        name = f"fixed-time-{steps}-seed0"
        for file in ("samples.npz", "grid.png", "images/000000.png", "images/000399.png"):
            assert (one / name / file).read_bytes() == (other / name / file).read_bytes()
        assert len(list((one / name / "images").iterdir())) == 400


@pytest.fixture(scope="module")
def undisturbed(trained: Path) -> Path:
    """400 images at 1 and 20 steps."""
    invoke("sample", *MANY, "undisturbed", cwd=trained)
    return trained / "undisturbed"


def test_a_kill_loses_no_finished_block(trained: Path, undisturbed: Path) -> None:
    """After `kill -9` the same command generates what is missing, to the same bytes."""
    out = trained / "killed"
    process = start(trained, "sample", *MANY, "killed")
    parts = out / ".fixed-time-1-seed0.partial"
    wait_until(lambda: any(parts.glob("blocks-*.jsonl")), process=process)
    kill_all(process)
    assert not (out / "fixed-time-1-seed0").exists()
    invoke("sample", *MANY, "killed", cwd=trained)
    assert_same_samples(out, undisturbed)
    assert 0 < manifest(out)["images_in_these_seconds"] < 400
    assert not parts.exists()


def test_asked_to_stop_it_continues_later(trained: Path, undisturbed: Path) -> None:
    """SIGTERM ends it with 75 and a sentence; the same command finishes, to the same bytes."""
    out = trained / "stopped"
    process = start(trained, "sample", *MANY, "stopped")
    wait_until((out / ".fixed-time-1-seed0.partial/order.json").exists, process=process)
    process.terminate()
    _, said = process.communicate()
    assert process.returncode == 75, said
    assert "give the same command again" in said
    invoke("sample", *MANY, "stopped", cwd=trained)
    assert_same_samples(out, undisturbed)


def test_two_processes_draw_the_same(trained: Path, undisturbed: Path) -> None:
    """Blocks are shared, and the samples are those of one process, byte for byte."""
    succeeded(dddm("sample", *MANY, "shared", "--nproc", "2", cwd=trained))
    assert_same_samples(trained / "shared", undisturbed)
    assert manifest(trained / "shared")["processes"] == 2
    assert manifest(undisturbed)["processes"] == 1


def test_the_manifest_says_how_far_estimates_moved(undisturbed: Path) -> None:
    """The change of the estimate at round steps; it falls from the first on."""
    change = manifest(undisturbed)["change_of_estimate"]
    assert change["steps"] == [1, 2, 5, 10, 20]
    assert all(m <= most for m, most in zip(change["median"], change["largest"], strict=True))
    assert change["median"][-1] < change["median"][0]


def test_a_tolerance_says_what_it_saves(trained: Path) -> None:
    """Images leave early; what that saves and costs is said, and stands in the manifest."""
    out = ("--steps", "30", "--images", "70", "--out")
    done = call("sample", *out, "early", "--tolerance", "0.01", cwd=trained)
    assert done.returncode == 0, done.stderr
    facts = json.loads((trained / "early/manifest.json").read_text())
    assert "of the network evaluations were saved" in done.stderr
    saved = facts["saved"]
    assert facts["evaluations_of_an_image"] == pytest.approx(30 * (1 - saved["of_evaluations"]))
    assert saved["compared_images"] == 64
    invoke("sample", *out, "whole", cwd=trained)
    whole = json.loads((trained / "whole/manifest.json").read_text())
    assert (whole["saved"], whole["evaluations_of_an_image"]) == (None, 30)
    with np.load(trained / "early/samples.npz") as one, np.load(trained / "whole/samples.npz") as b:
        apart = np.abs(one["arr_0"][:64].astype(int) - b["arr_0"][:64].astype(int))
    assert apart.max() == saved["largest_difference_levels"]
