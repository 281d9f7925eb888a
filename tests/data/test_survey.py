"""A quick look at files finds what packing them would, and what is wrong with them."""

import os
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from dddm.data import survey as module
from dddm.data.source import PackPlan
from dddm.interfaces.dataset import Dataset
from dddm.interfaces.info import DatasetInfo
from dddm.interfaces.plugin import DataSurvey, Kind
from dddm.recipe.model import ComponentConfig
from dddm.recipe.read import read_component
from dddm.registry.loader import load_catalogue
from dddm_datasets.file_backed import first_of_each_class
from dddm_datasets.image_source import ImageSource


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("DDDM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def component(use: str, path: Path, *options: str) -> ComponentConfig:
    words = [f"path={path}", *options]
    return read_component(Kind.DATASET, use, options=words, catalogue=load_catalogue())


def look(use: str, path: Path, *options: str) -> DataSurvey:
    config = component(use, path, *options)
    found = config.component.look(config.options)
    assert found is not None
    return found


def save(folder: Path, count: int, *, height: int = 6, width: int = 6) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("RGB", (width, height), number).save(folder / f"{height}-{number:03}.png")
    return folder


def classes(folder: Path, *counts: int) -> Path:
    for label, count in enumerate(counts):
        save(folder / "abc"[label], count)
    return folder


def archive(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as opened:
        for file in sorted(folder.rglob("*.png")):
            opened.write(file, file.relative_to(folder))
    return path


def array(path: Path, labels: list[int]) -> Path:
    images = np.zeros((len(labels), 6, 6, 3), np.uint8)
    np.savez(path, images=images, labels=np.array(labels))
    return path


OPTIONS: list[list[str]] = [
    [], ["held_out_images=4"], ["train_images=5"], ["held_out_images=3", "train_images=9"],
    ['classes="none"'],
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
@pytest.mark.parametrize("use", ["folder", "zip", "npz"])
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_found_is_what_is_read(
    tmp_path: Path, use: str, options: list[str], *, packed: bool
) -> None:
    """Shape, number and classes, with the images of each, before packing and after."""
    folder = classes(tmp_path / "images", 7, 4, 2)
    path = {
        "folder": lambda: folder,
        "zip": lambda: archive(folder),
        "npz": lambda: array(tmp_path / "a.npz", [0] * 7 + [1] * 4 + [2] * 2),
    }[use]()
    config = component(use, path, *options)
    dataset: Dataset = config.instantiate()
    if packed:
        dataset.prepare()
    found = config.component.look(config.options)
    train = dataset.splits()["train"]
    label_N = train.labels(torch.arange(len(train)))
    counts = () if label_N is None else tuple(torch.bincount(label_N, minlength=3).tolist())
    assert found is not None
    assert found.issues == ()
    assert found.info == DatasetInfo(
        shape=train.shape, train_images=len(train), classes=train.classes, class_images=counts
    )
    assert ("packed in" in found.looked_at) == packed


@pytest.mark.parametrize("count", range(1, 14))
def test_shares_of_classes_are_those_of_the_first_images(count: int) -> None:
    label_N = torch.tensor([0] * 7 + [1] * 4 + [2] * 2)
    kept = torch.bincount(label_N[first_of_each_class(label_N, count=count)], minlength=3)
    assert module._cut((7, 4, 2), count) == tuple(kept.tolist())


def problem(found: DataSurvey) -> tuple[str, str]:
    (issue,) = found.issues
    assert issue.remedy
    return issue.option, issue.what


def test_what_is_wrong_is_at_the_option_to_change(tmp_path: Path) -> None:
    """A folder that is not there, or holds no images, or such as do not fit the options."""
    option, what = problem(look("folder", tmp_path / "gone"))
    assert (option, what) == ("path", f"there is no such folder ({tmp_path / 'gone'})")
    (tmp_path / "words").mkdir()
    (tmp_path / "words/note.txt").write_text("words")
    option, what = problem(look("folder", tmp_path / "words"))
    assert option == "path"
    assert "contains no images (1 other files)" in what
    flat = save(tmp_path / "flat", 8)
    save(tmp_path / "half/a", 2)
    save(tmp_path / "half", 2)
    option, what = problem(look("folder", tmp_path / "half"))
    assert option == "classes"
    assert "is in no class" in what
    assert look("folder", flat).info == look("folder", flat, 'classes="none"').info
    option, what = problem(look("folder", flat, 'classes="none"', "held_out_images=8"))
    assert option == "held_out_images"
    assert "leaves none to train on" in what
    found = look("folder", flat, 'classes="none"', "train_images=9")
    assert problem(found)[0] == "train_images"
    assert found.info is not None
    assert found.info.train_images == 8
    save(flat, 3, height=4, width=5)
    found = look("folder", flat, 'classes="none"')
    option, what = problem(found)
    assert option == "size"
    assert "8 of 6×6, such as 6-000.png; 3 of 4×5" in what
    assert found.info is not None
    assert look("folder", flat, 'classes="none"', "size=8").issues == ()
    option, what = problem(look("npz", tmp_path / "gone.npz"))
    assert (option, "there is no file" in what) == ("path", True)
    np.savez(tmp_path / "other.npz", pictures=np.zeros(3))
    assert "has no array called images" in problem(look("npz", tmp_path / "other.npz"))[1]
    (tmp_path / "bad.zip").write_bytes(b"no archive")
    assert problem(look("zip", tmp_path / "bad.zip"))[0] == "path"


def test_what_none_can_read_is_said(tmp_path: Path) -> None:
    """By the headers that are looked at, also where a size is given."""
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(b"not an image")
    for options in ([], ["size=8"]):
        option, what = problem(look("folder", tmp_path, 'classes="none"', *options))
        assert option == "path"
        assert "none of" in what
        assert "images can be read" in what


def test_damage_is_said(tmp_path: Path) -> None:
    """Of images among those that are looked at, in whatever file they are, unless it is to be."""
    save(tmp_path / "images", 70)
    (tmp_path / "images/6-040.png").write_bytes(b"not an image")
    option, what = problem(look("folder", tmp_path / "images"))
    assert option == "damaged"
    assert "1 of 70 images that were looked at cannot be read" in what
    assert "6-040.png" in what
    assert look("folder", tmp_path / "images", 'damaged="skip"').issues == ()
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for file in sorted((tmp_path / "images").iterdir()):
            archive.add(file, file.name)
    assert "6-040.png" in problem(look("webdataset", tmp_path / "a.tar"))[1]
    whole = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(whole[: len(whole) // 2])
    assert "tar archive cannot be read" in problem(look("webdataset", tmp_path / "a.tar"))[1]


def test_damaged_tables(tmp_path: Path) -> None:
    """One row, and a file that ends too early."""
    pa, pq = (pytest.importorskip(name) for name in ("pyarrow", "pyarrow.parquet"))
    save(tmp_path / "images", 70)
    (tmp_path / "images/6-040.png").write_bytes(b"not an image")
    rows = [{"bytes": file.read_bytes()} for file in sorted((tmp_path / "images").iterdir())]
    pq.write_table(pa.table({"image": rows}), tmp_path / "a.parquet")
    broken = problem(look("parquet", tmp_path / "a.parquet", "classes=none"))[1]
    assert "1 of 70 images" in broken
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(whole[:200])
    assert "a.parquet is damaged" in problem(look("parquet", tmp_path / "a.parquet"))[1]


def test_a_packed_folder_of_other_images(tmp_path: Path) -> None:
    """Packing would refuse it too; where the images are gone, it stands in for them."""
    folder = classes(tmp_path / "images", 3, 3)
    named = f"packed={tmp_path / 'packed'}"
    config = component("folder", folder, named)
    config.instantiate().prepare()
    assert look("folder", folder, named).issues == ()
    option, what = problem(look("folder", folder, named, "size=4"))
    assert option == "packed"
    assert "made from other files" in what
    folder.rename(tmp_path / "gone")
    found = look("folder", folder, named)
    assert found.issues == ()
    assert found.info is not None
    assert found.info.class_images == (3, 3)


def test_files_are_looked_into_once(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until one changes; what is kept and damaged is made again."""
    folder = classes(tmp_path / "images", 3, 3)
    first = look("folder", folder)
    (kept,) = (cache / "surveys").iterdir()
    planned = []

    def plan(source: ImageSource) -> PackPlan:
        planned.append(1)
        return plan_once(source)

    plan_once = ImageSource.plan
    monkeypatch.setattr(ImageSource, "plan", plan)
    assert look("folder", folder) == first
    assert planned == []
    for contents in (b"{", b"{}", b'{"info": null}', b"[]", b"\xff"):
        kept.write_bytes(contents)
        assert look("folder", folder) == first
    assert len(planned) == 5
    os.utime(folder / "a/6-000.png", ns=(1, 1))
    assert look("folder", folder) == first
    assert len(planned) == 6


def test_a_full_disk_is_found_before_packing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was kept of an earlier look; no more than the images take is asked for."""
    folder = classes(tmp_path / "images", 3, 3)
    assert look("folder", folder).issues == ()
    for free, full in ((6 * 3 * 36, False), (6 * 3 * 36 - 1, True)):
        usage = SimpleNamespace(free=free)
        monkeypatch.setattr("shutil.disk_usage", lambda _, usage=usage: usage)
        found = look("folder", folder)
        assert [issue.option for issue in found.issues] == ["packed"] * full
    assert f"take 648 B, and there are 647 B free at {tmp_path}" in found.issues[0].what


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, cache: Path) -> None:
    cache.write_text("a file")
    assert look("folder", classes(tmp_path / "images", 3, 3)).issues == ()
