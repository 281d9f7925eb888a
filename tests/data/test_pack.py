"""A packed folder is complete or absent, holds what the source holds, and packing resumes."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from pack_sources import CLASSES, SHAPE, ToySource, pixels

from dddm.data.pack import identity_key, pack
from dddm.data.packed import open_packed
from dddm.data.packed_format import read_manifest
from dddm.errors import DataError, EnvironmentProblem, StoppedEarly
from dddm.interfaces.data_report import no_progress
from dddm.support.manifest import manifest_of


def packed(source: ToySource, folder: Path, *, workers: int = 1) -> Path:
    pack(source, folder=folder, key=identity_key(source), workers=workers, progress=no_progress)
    return folder


def test_holds_what_the_source_holds(tmp_path: Path) -> None:
    """Every image and label stands at its row, and the manifest is that of the same tensors."""
    folder = packed(ToySource(), tmp_path / "packed")
    for name, split in open_packed(folder).items():
        count = {"train": 10, "held-out": 4}[name]
        index = torch.arange(count)
        expected = torch.from_numpy(np.stack([pixels(name, row) for row in range(count)]))
        assert len(split) == count
        assert split.shape == SHAPE
        assert split.classes == CLASSES
        assert torch.equal(split.images(index), expected)
        assert torch.equal(torch.as_tensor(split.labels(index)), index % 2)
        assert split.manifest == manifest_of(images=expected, labels=index % 2)


def test_numpy_opens_the_files(tmp_path: Path) -> None:
    """They are plain .npy files, and those without classes have no labels."""
    folder = packed(ToySource(classes=()), tmp_path / "packed")
    images = np.load(folder / "train.images.npy", mmap_mode="r", allow_pickle=False)
    assert images.shape == (10, *SHAPE.as_tuple)
    assert images.dtype == np.uint8
    assert sorted(path.name for path in folder.iterdir()) == [
        "held-out.images.npy", "manifest.json", "train.images.npy",
    ]  # fmt: skip


def test_says_what_was_done(tmp_path: Path) -> None:
    """The manifest keeps the source's facts and the sum of all notes."""
    source = read_manifest(packed(ToySource(), tmp_path / "packed")).source
    assert source == {"kind": "toy", "notes": {"planned": 1, "decoded": 14}}


def test_resumes_where_it_was_interrupted(tmp_path: Path) -> None:
    """Chunks on the disk are not decoded again, and the result is that of an uninterrupted call."""
    log, outage = tmp_path / "log", tmp_path / "outage"
    outage.touch()
    source = ToySource(log=log, stop_before=(6, outage))
    with pytest.raises(DataError, match="the power went"):
        packed(source, tmp_path / "packed")
    assert not (tmp_path / "packed").exists()
    assert log.read_text().splitlines() == ["train 0", "train 3"]
    outage.unlink()
    packed(source, tmp_path / "packed")
    chunks = ["train 0", "train 3", "train 6", "train 9", "held-out 0", "held-out 3"]
    assert log.read_text().splitlines() == chunks
    whole = packed(ToySource(), tmp_path / "whole")
    for path in whole.iterdir():
        assert (tmp_path / "packed" / path.name).read_bytes() == path.read_bytes()


def test_a_truncated_line_of_progress_is_ignored(tmp_path: Path) -> None:
    """After a power cut the list of finished chunks may end anywhere."""
    log, outage = tmp_path / "log", tmp_path / "outage"
    outage.touch()
    source = ToySource(log=log, stop_before=(6, outage))
    with pytest.raises(DataError):
        packed(source, tmp_path / "packed")
    finished = tmp_path / ".packed.part" / "finished.jsonl"
    finished.write_text(finished.read_text()[:-5])
    outage.unlink()
    packed(source, tmp_path / "packed")
    assert log.read_text().splitlines().count("train 3") == 2
    assert log.read_text().splitlines().count("train 0") == 1


def test_a_damaged_partial_array_is_packed_again(tmp_path: Path) -> None:
    log, outage = tmp_path / "log", tmp_path / "outage"
    outage.touch()
    source = ToySource(log=log, stop_before=(6, outage))
    with pytest.raises(DataError):
        packed(source, tmp_path / "packed")
    array = tmp_path / ".packed.part" / "train.images.npy"
    array.write_bytes(array.read_bytes()[:-1])
    outage.unlink()
    packed(source, tmp_path / "packed")
    assert log.read_text().splitlines().count("train 0") == 2


def test_a_changed_source_is_packed_from_the_start(tmp_path: Path) -> None:
    """What was packed of other files is not resumed."""
    log, outage = tmp_path / "log", tmp_path / "outage"
    outage.touch()
    with pytest.raises(DataError):
        packed(ToySource(log=log, stop_before=(6, outage)), tmp_path / "packed")
    packed(ToySource(log=log, version=1), tmp_path / "packed")
    assert log.read_text().splitlines().count("train 0") == 2


def test_stops_when_progress_says_so(tmp_path: Path) -> None:
    """An error of the callback ends the work, which can be resumed."""

    def stop(what: str, done: int, total: int) -> None:
        assert total == 14
        if done >= 5:
            raise StoppedEarly("enough")

    with pytest.raises(StoppedEarly):
        pack(ToySource(), folder=tmp_path / "packed", key="k", workers=1, progress=stop)
    assert not (tmp_path / "packed").exists()
    lines = (tmp_path / ".packed.part" / "finished.jsonl").read_text().splitlines()
    assert [json.loads(line)["chunk"] for line in lines[1:]] == [0]


def test_the_result_does_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    """The files do not depend on the number of workers."""
    one = packed(ToySource(train=30), tmp_path / "one")
    two = packed(ToySource(train=30), tmp_path / "two", workers=2)
    for path in one.iterdir():
        assert (two / path.name).read_bytes() == path.read_bytes()


def test_a_problem_in_a_worker_is_raised(tmp_path: Path) -> None:
    """The first broken image stops the packing, with its name."""
    source = ToySource(train=30, broken=(17,))
    with pytest.raises(DataError, match="broken") as refused:
        packed(source, tmp_path / "packed", workers=2)
    assert refused.value.where == "row 17"


def test_a_second_process_waits(tmp_path: Path) -> None:
    """Of two that pack the same folder at once, one does, and both find it."""
    log = tmp_path / "log"
    source = ToySource(train=30, log=log)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(packed, source, tmp_path / "packed") for _ in range(2)]
        assert {future.result() for future in both} == {tmp_path / "packed"}
    lines = log.read_text().splitlines()
    assert len(lines) == len(set(lines)) == 12


def test_too_little_space_is_an_error_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says how much is needed and how much there is."""
    free = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: free)
    with pytest.raises(EnvironmentProblem, match=r"14 images of 3×2×5 take .* are free"):
        packed(ToySource(), tmp_path / "packed")
    assert not (tmp_path / ".packed.part").exists()
