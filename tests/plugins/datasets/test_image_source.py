"""Folders and archives of images are packed as they lie there, and what is wrong is named."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dddm.data.examine import examine_dataset
from dddm.data.pack import identity_key
from dddm.data.packed_format import count_left_out
from dddm.errors import DataError
from dddm.interfaces.data_report import no_progress
from dddm.interfaces.dataset import Dataset
from dddm_datasets.file_backed import folder, zip_archive
from dddm_datasets.image_files import FolderFiles
from dddm_datasets.image_source import ImageSource
from dddm_datasets.options import ImageFilesOptions


def pixels(name: str, height: int = 6, width: int = 6) -> np.ndarray[Any, np.dtype[np.uint8]]:
    seed = list(name.encode())
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write(root: Path, *names: str, height: int = 6, width: int = 6) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(name, height, width)).save(root / name)
    return root


def dataset(root: Path, **options: Any) -> Dataset:
    return folder(ImageFilesOptions(path=str(root), **options))


NAMES = [f"{animal}/{k}.png" for animal in ("cat", "dog") for k in range(4)]


def test_a_folder_is_what_lies_in_it(tmp_path: Path) -> None:
    """Images in order of name, channels first, each with the class of its folder."""
    split = dataset(write(tmp_path, *NAMES)).splits()["train"]
    index = torch.arange(8)
    expected = np.stack([pixels(name).transpose(2, 0, 1) for name in NAMES])
    assert np.array_equal(split.images(index).numpy(), expected)
    assert torch.as_tensor(split.labels(index)).tolist() == [0] * 4 + [1] * 4
    assert split.classes == ("cat", "dog")


def test_an_archive_is_the_same(tmp_path: Path) -> None:
    """It has the manifest of the folder that was put into it, and nothing is unpacked."""
    root = write(tmp_path / "root", *NAMES)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in reversed(NAMES):
            archive.write(root / name, f"around/{name}")
    zipped = zip_archive(ImageFilesOptions(path=str(tmp_path / "a.zip")))
    assert zipped.splits()["train"].manifest == dataset(root).splits()["train"].manifest
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip", "root"}


def test_options_change_what_is_packed(tmp_path: Path) -> None:
    root = write(tmp_path, *NAMES, height=9, width=7)
    data = dataset(root, size=4, channels="grey", classes="none", held_out_images=2)
    splits = data.splits()
    assert {name: len(split) for name, split in splits.items()} == {"train": 6, "held-out": 2}
    assert splits["train"].shape.as_tuple == (1, 4, 4)
    assert splits["train"].classes == ()
    assert dataset(root).splits()["train"].shape.as_tuple == (3, 9, 7)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    """It says how many other files there are, and which endings images have."""
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(DataError, match=r"contains no images \(1 other files\)") as refused:
        dataset(tmp_path).splits()
    assert ".png" in str(refused.value.remedy)
    assert refused.value.where == str(tmp_path)


def test_a_damaged_image_stops_packing_by_name(tmp_path: Path) -> None:
    """And a look through the data names all of them."""
    root = write(tmp_path, *NAMES)
    for name in ("cat/2.png", "dog/0.png"):
        (root / name).write_bytes((root / name).read_bytes()[:60])
    with pytest.raises(DataError, match="an image cannot be used") as refused:
        dataset(root).splits()
    assert refused.value.where == str(root / "cat" / "2.png")
    found = examine_dataset(dataset(root))
    assert [problem.where for problem in found.problems] == [
        str(root / "cat/2.png"), str(root / "dog/0.png"),
    ]  # fmt: skip
    assert found.splits["train"].classes == {"cat": 3, "dog": 3}


def test_images_of_different_sizes_are_refused(tmp_path: Path) -> None:
    """One of each is named; the remedy is to give a size, which then works."""
    root = write(tmp_path, *NAMES)
    write(root, "cat/9.png", "dog/9.png", height=5, width=8)
    with pytest.raises(DataError, match="differ in size") as refused:
        dataset(root).splits()
    assert "8 of 6×6, such as cat/0.png; 2 of 5×8, such as cat/9.png" in refused.value.what
    assert "data.size = 6" in str(refused.value.remedy)
    found = examine_dataset(dataset(root))
    assert {problem.where for problem in found.problems} == {
        str(root / "cat/9.png"), str(root / "dog/9.png"),
    }  # fmt: skip
    assert all("5×8" in problem.what for problem in found.problems)
    assert len(dataset(root, size=5).splits()["train"]) == 10


def test_nothing_but_damaged_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="none of the 1 images can be read"):
        dataset(tmp_path).splits()


def test_equal_images_are_named_by_file(tmp_path: Path) -> None:
    root = write(tmp_path, *NAMES)
    Image.fromarray(pixels("dog/3.png")).save(root / "cat" / "8.bmp")
    assert examine_dataset(dataset(root)).duplicates == (
        (str(root / "cat/8.bmp"), str(root / "dog/3.png")),
    )


def test_conversions_are_counted(tmp_path: Path) -> None:
    root = write(tmp_path, *NAMES)
    Image.new("L", (6, 6)).save(root / "cat" / "9.png")
    (root / "cat" / "notes.txt").write_text("")
    notes = ("grey → RGB: 1", "not an image, skipped: 1", "the images are not packed yet")
    assert examine_dataset(dataset(root)).notes == notes
    folder = dataset(root).prepare(progress=no_progress)
    assert folder is not None
    assert '"grey → RGB": 1' in (folder / "manifest.json").read_text()


def test_a_changed_image_is_packed_again(tmp_path: Path) -> None:
    """An old array is never taken for the files of today."""
    root = write(tmp_path, *NAMES)
    before = dataset(root).splits()["train"].manifest
    Image.new("RGB", (6, 6)).save(root / "cat" / "0.png")
    assert dataset(root).splits()["train"].manifest != before


def test_many_images_are_shared_by_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dddm_datasets.image_source._CHUNK_IMAGES", 1)
    names = [f"a/{k}.png" for k in range(12)]
    root = write(tmp_path / "root", *names, height=2, width=2)
    manifests = set()
    for workers in (1, 2):
        data = dataset(root, packed=str(tmp_path / str(workers)))
        data.prepare(workers=workers)
        manifests.add(data.splits()["train"].manifest)
    assert len(manifests) == 1


def damage(root: Path, *names: str) -> None:
    for name in names:
        (root / name).write_bytes((root / name).read_bytes()[:60])


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize("workers", [1, 2])
def test_damaged_images_can_be_left_out(
    tmp_path: Path, kind: str, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is packed is what a folder without them gives; they are counted and listed."""
    monkeypatch.setattr("dddm_datasets.image_source._CHUNK_IMAGES", 1)
    names = [f"{animal}/{k}.png" for animal in ("cat", "dog") for k in range(8)]
    broken = ["cat/2.png", "cat/7.png", "dog/0.png"]
    whole = write(tmp_path / "whole", *names)
    clean = write(tmp_path / "clean", *(name for name in names if name not in broken))
    damage(whole, *broken)
    place, kinds = whole, folder
    if kind == "zip":
        place, kinds = tmp_path / "a.zip", zip_archive
        with zipfile.ZipFile(place, "w") as archive:
            for name in names:
                archive.write(whole / name, name)
    options: dict[str, Any] = {"path": str(place), "packed": str(tmp_path / "packed")}
    data = kinds(ImageFilesOptions(**options, damaged="skip"))
    data.prepare(workers=workers)
    expected = dataset(clean).splits()["train"]
    found = data.splits()["train"]
    assert found.manifest == expected.manifest
    index = torch.arange(len(expected))
    assert torch.equal(found.images(index), expected.images(index))
    report = examine_dataset(data, workers=workers)
    assert not report.problems
    assert [problem.where[-9:] for problem in report.left_out] == broken
    assert report.splits["train"].classes == {"cat": 6, "dog": 7}
    text = (tmp_path / "packed" / "manifest.json").read_text()
    assert '"damaged": "skip"' in text
    assert text.count("it cannot be decoded") == 3
    with pytest.raises(DataError, match="with other options"):
        kinds(ImageFilesOptions(**options)).splits()


def test_a_default_does_not_change_the_key(tmp_path: Path) -> None:
    """What was packed before the option existed is not packed again; leaving out is another key."""
    root = write(tmp_path, *NAMES)
    keys = [
        identity_key(ImageSource(files=FolderFiles(path=root), options=options))
        for options in (
            ImageFilesOptions(path=str(root)),
            ImageFilesOptions(path=str(root), damaged="refuse"),
            ImageFilesOptions(path=str(root), damaged="skip"),
        )
    ]
    assert keys[0] == keys[1] != keys[2]
    source = ImageSource(files=FolderFiles(path=root), options=ImageFilesOptions(path=str(root)))
    assert "damaged" not in source.identity()


def test_a_split_and_a_class_keep_an_image(tmp_path: Path) -> None:
    """Otherwise training would find a class without images."""
    root = write(tmp_path / "root", *NAMES)
    damage(root, *(name for name in NAMES if name.startswith("dog")))
    with pytest.raises(DataError, match="all images of the class dog of the split train"):
        dataset(root, damaged="skip").splits()
    report = examine_dataset(dataset(root, damaged="skip"))
    assert [problem.what for problem in report.problems] == [
        "all images of the class dog of the split train are damaged"
    ]
    held_out = write(tmp_path / "held", "train/a/0.png", "val/a/0.png")
    damage(held_out, "val/a/0.png")
    with pytest.raises(DataError, match="all images of the split held-out"):
        dataset(held_out, damaged="skip").splits()


@pytest.mark.parametrize(("file_images", "renamings"), [(100, 2), (2, 3), (1, 5)])
def test_leaving_out_survives_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_images: int, renamings: int
) -> None:
    """At every renaming and chunk: what is packed in the end is always the same."""
    monkeypatch.setattr("dddm_datasets.image_source._CHUNK_IMAGES", 2)
    root = write(tmp_path / "root", *NAMES)
    damage(root, "cat/1.png", "dog/3.png")
    expected = dataset(root, damaged="skip", held_out_images=2).splits()
    wanted = {name: split.manifest for name, split in expected.items()}
    monkeypatch.setattr("dddm.data.packed_format.FILE_BYTES", file_images * 108)
    calls, last = 0, 0

    original = Path.replace

    def replace(self: Path, to: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == last:
            raise KeyboardInterrupt
        return original(self, to)

    monkeypatch.setattr(Path, "replace", replace)
    for last in range(1, 12):
        calls = 0
        packed = tmp_path / f"packed{last}"
        data = dataset(root, damaged="skip", held_out_images=2, packed=str(packed))
        interrupted = False
        try:
            data.prepare(workers=1)
        except KeyboardInterrupt:
            interrupted = True
        calls = 100
        assert {name: split.manifest for name, split in data.splits().items()} == wanted
        if not interrupted:
            break
    assert last == renamings + 1


def test_what_is_left_out_is_remembered_when_packing_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some images are left out before the interruption and some after it."""
    monkeypatch.setattr("dddm_datasets.image_source._CHUNK_IMAGES", 2)
    root = write(tmp_path / "root", *NAMES)
    damage(root, "cat/1.png", "dog/3.png")
    wanted = dataset(root, damaged="skip").splits()["train"].manifest
    data = dataset(root, damaged="skip", packed=str(tmp_path / "packed"))

    def stop(what: str, done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        data.prepare(progress=stop, workers=1)
    assert "cat/1.png" in (tmp_path / ".packed.part" / "finished.jsonl").read_text()
    assert data.splits()["train"].manifest == wanted
    assert count_left_out(tmp_path / "packed") == 2
