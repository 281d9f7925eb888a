"""A split whose images are in several files of bounded size is read as one in a single file."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pack_sources import SHAPE, ToySource

from dddm.data import packed as packed_data
from dddm.data import packed_format
from dddm.data.pack import pack, verify_packed
from dddm.data.packed import PackedSplit, open_packed
from dddm.data.packed_format import read_manifest
from dddm.errors import DataError
from dddm.interfaces.data_report import no_progress

FILES = ["train.images.npy", "train.images-00001.npy", "train.images-00002.npy"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four images a file: the toy's ten are in three, and its chunks of three straddle them."""
    monkeypatch.setattr(packed_format, "FILE_BYTES", 4 * SHAPE.values + 1)


def packed(folder: Path, source: ToySource | None = None) -> Path:
    pack(source or ToySource(), folder=folder, key="k", workers=1, progress=no_progress)
    return folder


def train_of(folder: Path) -> PackedSplit:
    return open_packed(folder)["train"]


@pytest.fixture
def folder(small: None, tmp_path: Path) -> Path:
    return packed(tmp_path / "packed")


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed_format, "FILE_BYTES", 32 << 30)
        return packed(tmp_path / "whole")


def test_each_file_holds_as_many_images_as_it_may(folder: Path) -> None:
    """Plain arrays, the last with what is left; a split that fits into one has one."""
    shapes = [np.load(folder / name).shape for name in FILES]
    assert shapes == [(count, *SHAPE.as_tuple) for count in (4, 4, 2)]
    files = [path.name for path in folder.glob("*.images*")]
    assert sorted(files) == sorted([*FILES, "held-out.images.npy"])
    assert read_manifest(folder).splits["train"].images_in_file == 4


def test_it_reads_like_one_file(whole: Path, folder: Path) -> None:
    """Images, labels and manifest of any indices, in any order, repeated, or none."""
    one, several = train_of(whole), train_of(folder)
    assert one.manifest == several.manifest
    assert len(several) == 10
    for index in ([7, 0, 7, 3, 9, 4], [5], [8, 9], [], list(range(10))):
        chosen = torch.tensor(index, dtype=torch.int64)
        assert torch.equal(one.images(chosen), several.images(chosen))
        assert torch.equal(
            torch.as_tensor(one.labels(chosen)), torch.as_tensor(several.labels(chosen))
        )
    for outside in (-1, -4, 10, 12):
        with pytest.raises(IndexError, match="out of range"):
            several.images(torch.tensor([outside]))


def test_it_reads_whatever_the_bound_is_now(
    folder: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder says how many images its files hold, and one of an older version has one."""
    monkeypatch.undo()
    every = torch.arange(10)
    assert torch.equal(train_of(folder).images(every), train_of(whole).images(every))
    path = whole / "manifest.json"
    manifest = json.loads(path.read_text())
    for split in manifest["splits"].values():
        del split["images_in_file"]
    path.write_text(json.dumps(manifest))
    assert torch.equal(train_of(folder).images(every), train_of(whole).images(every))
    assert len(list(whole.glob("train.images*"))) == 1
    assert verify_packed(whole, key="k", progress=no_progress) == []


@pytest.mark.parametrize("value", [0, 1, 3, 5, 10, 2**40, "4", None])
def test_another_number_in_each_file_is_refused(folder: Path, value: object) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["splits"]["train"]["images_in_file"] = value
    path.write_text(json.dumps(manifest))
    with pytest.raises(DataError):
        open_packed(folder)


def test_a_manifest_that_claims_many_files_is_refused_before_they_are_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names of a million million files would fill the memory."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["splits"]["train"].update(images=2**40, images_in_file=1)
    path.write_text(json.dumps(manifest))
    monkeypatch.setattr(packed_format, "images_files", lambda *_, **__: pytest.fail("named"))
    with pytest.raises(DataError):
        open_packed(folder)


def test_damage_is_found_in_the_file_that_has_it(folder: Path) -> None:
    """By checksums, and a file that is cut short or missing when it is opened."""
    assert verify_packed(folder, key="k", progress=no_progress) == []
    path = folder / FILES[1]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    (problem,) = verify_packed(folder, key="k", progress=no_progress)
    assert FILES[1] in problem.what
    path.write_bytes(data[:-1])
    with pytest.raises(DataError, match=r"train\.images-00001\.npy has"):
        open_packed(folder)


@pytest.mark.usefixtures("small")
def test_packing_resumes_in_the_middle_of_a_file(tmp_path: Path, whole: Path) -> None:
    """Chunks on the disk are not decoded again, and the images are the same."""
    log, outage = tmp_path / "log", tmp_path / "outage"
    outage.touch()
    source = ToySource(log=log, stop_before=(6, outage))
    with pytest.raises(DataError, match="the power went"):
        packed(tmp_path / "packed", source)
    outage.unlink()
    packed(tmp_path / "packed", source)
    assert len(log.read_text().splitlines()) == 6
    assert train_of(tmp_path / "packed").manifest == train_of(whole).manifest


@pytest.mark.parametrize("memory", [0, 10**12])
def test_the_system_is_told_what_will_be_read_of_a_split_beyond_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch, memory: int
) -> None:
    """The bytes of just the images, all before the first is read."""
    told: list[bytes] = []
    order: list[str] = []

    def advise(file: int, offset: int, length: int, advice: int) -> None:
        assert advice == os.POSIX_FADV_WILLNEED
        told.append(os.pread(file, length, offset))
        order.append("told")

    index_select = torch.index_select

    def select(*given: Any) -> torch.Tensor:
        order.append("read")
        return index_select(*given)

    monkeypatch.setattr(os, "posix_fadvise", advise)
    monkeypatch.setattr(packed_data, "_memory_bytes", lambda: memory)
    monkeypatch.setattr(torch, "index_select", select)
    images = train_of(folder).images(torch.tensor([9, 2, 5, 4]))
    assert order == ([] if memory else ["told"] * 4) + ["read"] * 3
    if not memory:
        assert sorted(told) == sorted(image.numpy().tobytes() for image in images)
