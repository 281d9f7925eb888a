"""Packed splits and data sets: reading by index, refusing damage, never using stale files."""

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pack_sources import SHAPE, ToySource

from dddm.data.pack import pack, verify_packed
from dddm.data.packed import PackedDataset, open_packed
from dddm.data.packed_format import read_manifest
from dddm.errors import DataError
from dddm.interfaces.data_report import no_progress


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pack(ToySource(), folder=tmp_path / "packed", key="k", workers=1, progress=no_progress)
    return tmp_path / "packed"


def test_reads_by_index(folder: Path) -> None:
    split = open_packed(folder)["train"]
    every = split.images(torch.arange(10))
    index = torch.tensor([7, 0, 7, 3])
    assert torch.equal(split.images(index), every[index])
    labels = split.labels(index)
    assert labels is not None
    assert labels.tolist() == [1, 0, 1, 1]
    assert split.images(torch.arange(0)).shape == (0, *SHAPE.as_tuple)


def test_a_batch_is_a_copy(folder: Path) -> None:
    split = open_packed(folder)["train"]
    first = split.images(torch.arange(10))
    kept = first.clone()
    first.zero_()
    assert torch.equal(split.images(torch.arange(10)), kept)
    assert torch.equal(open_packed(folder)["train"].images(torch.arange(10)), kept)


@pytest.mark.parametrize("index", [10, -11])
def test_an_index_out_of_range_is_an_error(folder: Path, index: int) -> None:
    with pytest.raises((IndexError, RuntimeError), match="out of range"):
        open_packed(folder)["train"].images(torch.tensor([index]))


def test_a_truncated_file_is_refused(folder: Path) -> None:
    path = folder / "train.images.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"train\.images\.npy has 427 bytes instead of 428"):
        open_packed(folder)
    path.unlink()
    with pytest.raises(DataError, match="is missing") as refused:
        open_packed(folder)
    assert "packs the images again" in str(refused.value.remedy)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 1}'])
def test_a_damaged_manifest_is_refused(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(DataError, match="manifest of the packed images cannot be read") as refused:
        open_packed(folder)
    assert refused.value.where == str(folder / "manifest.json")


def test_another_format_is_refused(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    with pytest.raises(DataError, match="have format 2; this version of dddm reads format 1"):
        open_packed(folder)


def test_without_classes_there_are_no_labels(tmp_path: Path) -> None:
    source = ToySource(classes=())
    pack(source, folder=tmp_path / "packed", key="k", workers=1, progress=no_progress)
    split = open_packed(tmp_path / "packed")["train"]
    assert split.labels(torch.tensor([0])) is None
    assert split.classes == ()


def dataset(source: ToySource, packed: Path | None = None) -> PackedDataset:
    return PackedDataset(name="toy", source=source, packed=None if packed is None else str(packed))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DDDM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_splits_are_packed_once_into_the_cache(tmp_path: Path, cache: Path) -> None:
    log = tmp_path / "log"
    data = dataset(ToySource(log=log))
    assert {name: len(split) for name, split in data.splits().items()} == {
        "train": 10, "held-out": 4,
    }  # fmt: skip
    folder = data.prepare()
    assert folder.parent == cache / "packed"
    assert dataset(ToySource(log=log)).prepare() == folder
    assert log.read_text().splitlines().count("train 0") == 1


def test_a_changed_source_gets_another_folder(cache: Path) -> None:
    assert dataset(ToySource()).prepare() != dataset(ToySource(version=1)).prepare()


def test_a_named_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    dataset(ToySource(), tmp_path / "packed").prepare()
    with pytest.raises(DataError, match="made from other files") as refused:
        dataset(ToySource(version=1), tmp_path / "packed").splits()
    assert refused.value.where == str(tmp_path / "packed")


def test_a_named_folder_replaces_an_absent_source(tmp_path: Path) -> None:
    dataset(ToySource(), tmp_path / "packed").prepare()
    moved = dataset(ToySource(there=False), tmp_path / "packed")
    assert len(moved.splits()["train"]) == 10
    assert moved.check().problems == ()
    with pytest.raises(DataError, match="not there"):
        dataset(ToySource(there=False), tmp_path / "elsewhere").splits()


def test_check_finds_a_changed_byte_and_a_missing_file(tmp_path: Path) -> None:
    data = dataset(ToySource(), tmp_path / "packed")
    assert data.check().packed is None
    data.prepare()
    report = data.check()
    assert report.packed == str(tmp_path / "packed")
    assert report.problems == ()
    path = tmp_path / "packed" / "held-out.images.npy"
    changed = bytearray(path.read_bytes())
    changed[-1] ^= 1
    path.write_bytes(changed)
    (problem,) = data.check().problems
    assert problem.where == str(path)
    assert "has changed" in problem.what
    path.unlink()
    (problem,) = data.check().problems
    assert "cannot be read" in problem.what


def change_manifest(folder: Path, *path: str, value: Any) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    table = manifest
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("value", [-1, 0, 2**62, "8", None, [], {}, True, 1.5, 7])
@pytest.mark.parametrize(
    "path",
    [
        ("splits", "train", "images"), ("splits", "train"), ("splits",), ("shape", "height"),
        ("shape",), ("classes",), ("key",), ("source",), ("splits", "train", "files"),
        ("splits", "train", "files", "train.images.npy"), ("format",),
        ("splits", "train", "files", "train.images.npy", "bytes"),
    ],
)  # fmt: skip
def test_any_wrong_value_of_the_manifest_is_refused(
    folder: Path, path: tuple[str, ...], value: Any
) -> None:
    """Wrong types, numbers that no array has, and those that this one has not."""
    change_manifest(folder, *path, value=value)
    if (path, value) in [(("source",), {}), (("key",), "8")]:  # nothing that it is compared with
        return
    with pytest.raises(DataError):
        open_packed(folder)


def header(shape: tuple[int, ...], descr: str = "|u1") -> bytes:
    data = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        data, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return data.getvalue()


@pytest.mark.parametrize(
    "start",
    [
        header((2**62, 3, 2, 5)), header((-1, 3, 2, 5)), header((2**40, 3, 2, 5)),
        header((10, 3, 5, 2)), header((10, 3, 2, 5), "|i1"), header((10, 3, 2, 5), "|O"),
        b"PK\x03\x04", b"\x80\x04", b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
    ],
)  # fmt: skip
def test_any_wrong_header_is_refused(folder: Path, start: bytes) -> None:
    """The file has the right size, so that only its header shows it."""
    with (folder / "train.images.npy").open("r+b") as file:
        file.write(start)
    with pytest.raises(DataError, match=r"train\.images\.npy"):
        open_packed(folder)


def test_labels_must_be_classes(folder: Path) -> None:
    """A label that no class has would end in the network."""
    labels = np.load(folder / "train.labels.npy", mmap_mode="r+")
    labels[3] = 2
    labels.flush()
    with pytest.raises(DataError, match="labels outside 0…1"):
        open_packed(folder)["train"].labels(torch.tensor([0, 3]))


@pytest.mark.parametrize("name", ["manifest.json", "train.images.npy", "train.labels.npy"])
def test_pipes_are_not_waited_for(folder: Path, name: str) -> None:
    """Neither in training nor by checking."""
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(DataError):
        open_packed(folder)
    assert verify_packed(folder, key=None, progress=no_progress)


def test_checking_compares_the_manifest_with_the_images(folder: Path) -> None:
    """Another shape of as many bytes, which no checksum of a file shows."""
    change_manifest(folder, "shape", "height", value=SHAPE.width)
    change_manifest(folder, "shape", "width", value=SHAPE.height)
    (problem, *_) = verify_packed(folder, key=None, progress=no_progress)
    assert "manifest.json does not describe the images of the split train" in problem.what


@pytest.mark.parametrize("value", [-1, 0])
def test_a_manifest_alone_shows_impossible_numbers(folder: Path, value: int) -> None:
    """`dddm check` reads no more of a packed folder."""
    change_manifest(folder, "splits", "train", "images", value=value)
    with pytest.raises(DataError, match="cannot be read"):
        read_manifest(folder)
