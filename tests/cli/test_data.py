"""`dddm data` packs and checks what a recipe names."""

import json
import os
import pickle
import resource
import signal
import subprocess
import time
import zipfile
from pathlib import Path
from typing import Any

import command_line
import numpy as np
import pytest
from command_line import call, command, environment, succeeded, write_tiny
from PIL import Image

HEADER_AND_IMAGES = 128 + 8 * 3 * 16 * 16


def images(root: Path, count: int = 8, *, size: int = 16) -> Path:
    rng = np.random.default_rng(0)
    for k in range(count):
        path = root / ("cat", "dog")[k % 2] / f"{k:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(path)
    return root


def recipe(place: Path, use: str, **options: Any) -> Path:
    lines = [f'use = "{use}"', *(f"{key} = {json.dumps(value)}" for key, value in options.items())]
    stage = 16 if use == "cifar10" else 8
    return write_tiny(
        place,
        ('use = "digits"', "\n".join(lines)),
        ("attention = [4]", f"attention = [{stage}]"),
        ("batch_images = 250", "batch_images = 2"),  # of few images, once they are counted
    )


def refused(done: subprocess.CompletedProcess[str], *says: str, code: int = 7) -> None:
    command_line.refused(done, *says, code=code)


def test_packing_again_prints_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lies in the cache; what was done is not done again, and both print the same."""
    named = recipe(tmp_path, "folder", path="images")
    images(tmp_path / "images")
    monkeypatch.setenv("DDDM_CACHE", str(tmp_path / "cache"))
    printed = succeeded(call("data", "pack", named, cwd=tmp_path))
    folder = Path(printed.strip())
    assert folder.parent == tmp_path / "cache" / "packed"
    written = (folder / "manifest.json").stat().st_mtime_ns
    assert succeeded(call("data", "pack", named, cwd=tmp_path)) == printed
    assert (folder / "manifest.json").stat().st_mtime_ns == written


def test_a_data_set_without_files_needs_no_packing(tmp_path: Path) -> None:
    named = write_tiny(tmp_path)
    done = call("data", "pack", named, cwd=tmp_path)
    assert succeeded(done) == ""
    assert "nothing to pack" in done.stderr
    found = json.loads(succeeded(call("data", "check", named, "--json", cwd=tmp_path)))
    assert found["splits"]["train"]["images"] == 1500


def test_checking_lists_all_problems(tmp_path: Path) -> None:
    root = images(tmp_path / "images")
    (root / "cat" / "000.png").write_bytes(b"nonsense")
    (root / "dog" / "001.png").write_bytes(b"")
    (root / "cat" / "copy.png").write_bytes((root / "dog" / "003.png").read_bytes())
    named = recipe(tmp_path, "folder", path="images")
    done = call("data", "check", named, cwd=tmp_path)
    refused(done, "2 problems with these images")
    for words in ("cat/000.png: ", "dog/001.png: ", "copy.png = ", "cat 4, dog 3"):
        assert words in done.stdout
    done = call("data", "check", named, "--json", cwd=tmp_path)
    refused(done)
    assert len(json.loads(done.stdout)["problems"]) == 2


def test_a_changed_array_is_found_by_checking(tmp_path: Path) -> None:
    """Its checksum is not what it was; a run would see a changed size only."""
    images(tmp_path / "images")
    named = recipe(tmp_path, "folder", path="images", packed="packed")
    succeeded(call("data", "pack", named, cwd=tmp_path))
    assert "no problems" in succeeded(call("data", "check", named, cwd=tmp_path))
    path = tmp_path / "packed" / "train.images.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    refused(call("data", "check", named, cwd=tmp_path), "has changed since it was packed")
    path.write_bytes(data[:-1])
    done = call("run", named, cwd=tmp_path)
    refused(done, "the packed images are damaged", f"instead of {HEADER_AND_IMAGES:,}")


def test_a_run_refuses_bad_images_before_training(tmp_path: Path) -> None:
    """A folder without images, a damaged one, two sizes: each named, none a traceback."""
    root = tmp_path / "images"
    root.mkdir()
    named = recipe(tmp_path, "folder", path="images")
    refused(call("run", named, cwd=tmp_path), "it contains no images", "correct data.path")
    images(root)
    Image.new("RGB", (20, 10)).save(root / "cat" / "odd.png")
    refused(call("run", named, cwd=tmp_path), "8 of 16×16", "1 of 10×20", "data.size = 16")
    (root / "cat" / "odd.png").write_bytes(b"nonsense")
    refused(call("run", named, cwd=tmp_path), str(root / "cat" / "odd.png"), "data check")


def test_an_npz_without_labels_is_no_data_for_classes(tmp_path: Path) -> None:
    """A network that is told classes says that there are none."""
    np.savez(tmp_path / "a.npz", images=np.zeros((8, 16, 16, 3), np.uint8))
    named = recipe(tmp_path, "npz", path="a.npz")
    more = ("--set", "train.batch_images=4", "--set", "backbone.classes=true")
    done = call("run", named, *more, cwd=tmp_path)
    assert done.returncode in {3, 7}
    assert "Traceback" not in done.stderr
    assert "classes" in done.stderr


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    """Its MD5 is not CIFAR-10's, so that it is not even opened; code never runs."""

    class Evil:
        def __reduce__(self) -> Any:
            return (os.system, (f"touch {tmp_path / 'ran'}",))

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch", "batches.meta"):
        (folder / name).write_bytes(pickle.dumps(Evil()))
    named = recipe(tmp_path, "cifar10", path=".")
    refused(call("data", "check", named, cwd=tmp_path), "is not CIFAR-10's", "published one is")
    assert not (tmp_path / "ran").exists()


def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    images(tmp_path / "images", 64)
    named = recipe(tmp_path, "folder", path="images", packed="packed")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        done = call("data", "pack", named, cwd=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    refused(done, "no space left on the device", code=6)
    assert not (tmp_path / "packed").exists()


def test_packing_resumes_after_sigterm(tmp_path: Path) -> None:
    """SIGTERM exits with 75 and says to give the command again, which ends with the same array."""
    images(tmp_path / "images", 600, size=8)
    named = recipe(tmp_path, "folder", path="images")
    stopped = command("data", "pack", named, "--set", "data.packed=stopped", "--workers", "1")
    with subprocess.Popen(
        stopped, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True
    ) as running:
        finished = tmp_path / ".stopped.part" / "finished.jsonl"
        while running.poll() is None and not (
            finished.exists() and len(finished.read_text().splitlines()) > 1
        ):
            time.sleep(0.005)
        running.send_signal(signal.SIGTERM)
        _, errors = running.communicate()
    if running.returncode == 0:
        pytest.skip("it was done before it could be stopped")
    assert running.returncode == 75, errors
    assert "give the same command again" in errors
    assert not (tmp_path / "stopped").exists()
    for name in ("stopped", "whole"):
        succeeded(
            call(
                "data",
                "pack",
                named,
                "--set",
                f"data.packed={name}",
                "--workers",
                "1",
                cwd=tmp_path,
            )
        )
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "stopped" / path.name).read_bytes() == path.read_bytes()


def zip_with_a_changed_byte(place: Path) -> Path:
    """The archive's middle image has one wrong byte."""
    root = images(place / "images")
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*.png"))
    with zipfile.ZipFile(place / "a.zip", "w") as archive:
        for name in names:
            archive.write(root / name, name)
        at = archive.getinfo("dog/003.png").header_offset + 200
    data = bytearray((place / "a.zip").read_bytes())
    data[at] ^= 1
    (place / "a.zip").write_bytes(data)
    return recipe(place, "zip", path="a.zip", packed="packed")


@pytest.mark.parametrize("words", [("data", "pack"), ("data", "check"), ("run",)])
def test_a_damaged_image_of_an_archive_is_named(tmp_path: Path, words: tuple[str, ...]) -> None:
    named = zip_with_a_changed_byte(tmp_path)
    refused(call(*words, named, cwd=tmp_path), "a.zip, dog/003.png", "CRC")


def test_damaged_images_are_left_out_on_request(tmp_path: Path) -> None:
    """Both commands count them, and one lists them."""
    named = zip_with_a_changed_byte(tmp_path)
    skip = ("--set", "data.damaged=skip")
    done = call("data", "pack", named, *skip, cwd=tmp_path)
    assert done.returncode == 0
    assert "1 damaged image left out" in done.stderr
    printed = succeeded(call("data", "check", named, *skip, cwd=tmp_path))
    assert "train: 7 images; cat 4, dog 3" in printed
    assert "1 damaged image left out:\n" in printed
    assert "a.zip, dog/003.png: it cannot be unpacked: Bad CRC-32" in printed
    assert "no problems" in printed
    report = json.loads(succeeded(call("data", "check", named, *skip, "--json", cwd=tmp_path)))
    assert [one["where"] for one in report["left_out"]] == [f"{tmp_path}/a.zip, dog/003.png"]


def test_names_do_not_command_the_terminal(tmp_path: Path) -> None:
    """Those of images and classes, in a report and in an error."""
    root = images(tmp_path / "images")
    (root / "cat").rename(root / "c\x1b[31mat")
    (root / "c\x1b[31mat" / "e\x07.png").write_bytes(b"broken")
    (root / "dog" / "equal\x9b.png").write_bytes((root / "dog" / "001.png").read_bytes())
    done = call("data", "check", recipe(tmp_path, "folder", path="images"), cwd=tmp_path)
    assert done.returncode == 7
    for text in (done.stdout, done.stderr):
        assert "c\\u001b[31mat" in text
        assert not {"\x1b", "\x07", "\x9b"} & set(text)
    assert "equal\\u009b.png" in done.stdout


@pytest.mark.parametrize(
    ("packed", "code", "says"),
    [
        ("images/cat/000.png", 7, "there are no packed images here"),
        ("images", 7, "there are no packed images here"),
        ("images/cat/000.png/x", 6, "there can be no such place"),
        ("p" * 300, 6, "there can be no such place: File name too long"),
    ],
)
def test_a_place_that_cannot_hold_packed_images(
    tmp_path: Path, packed: str, code: int, says: str
) -> None:
    """And nobody is told to remove what else is there."""
    images(tmp_path / "images")
    named = recipe(tmp_path, "folder", path="images", packed=packed)
    done = call("data", "pack", named, cwd=tmp_path)
    refused(done, says, code=code)
    assert "remove" not in done.stderr
