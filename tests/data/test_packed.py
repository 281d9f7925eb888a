"""Packed splits are read by index, leave the files alone, and refuse what is damaged."""

import json
from pathlib import Path

import pytest
import torch
from pack_sources import SHAPE, ToySource

from dddm.data.packed import open_packed
from dddm.data.packing import pack
from dddm.errors import DataError
from dddm.interfaces.data_report import no_progress


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pack(ToySource(), folder=tmp_path / "packed", key="k", workers=1, progress=no_progress)
    return tmp_path / "packed"


def test_reads_what_is_asked_for(folder: Path) -> None:
    """Images and labels come in the order of the index, repeated where it repeats."""
    split = open_packed(folder)["train"]
    every = split.images(torch.arange(10))
    index = torch.tensor([7, 0, 7, 3])
    assert torch.equal(split.images(index), every[index])
    labels = split.labels(index)
    assert labels is not None
    assert labels.tolist() == [1, 0, 1, 1]
    assert split.images(torch.arange(0)).shape == (0, *SHAPE.as_tuple)


def test_a_batch_is_a_copy(folder: Path) -> None:
    """Changing a batch changes neither the files nor other batches."""
    split = open_packed(folder)["train"]
    first = split.images(torch.arange(10))
    kept = first.clone()
    first.zero_()
    assert torch.equal(split.images(torch.arange(10)), kept)
    assert torch.equal(open_packed(folder)["train"].images(torch.arange(10)), kept)


def test_an_index_outside_is_an_error(folder: Path) -> None:
    """Nothing is clipped or read from elsewhere."""
    split = open_packed(folder)["train"]
    for index in (10, -11):
        with pytest.raises((IndexError, RuntimeError), match="out of range"):
            split.images(torch.tensor([index]))


def test_a_shorter_file_is_refused(folder: Path) -> None:
    """Sizes are compared each time the folder is opened; the remedy is to pack again."""
    path = folder / "train.images.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"train\.images\.npy has 4,395 bytes instead of 4,396"):
        open_packed(folder)
    path.unlink()
    with pytest.raises(DataError, match="is missing") as refused:
        open_packed(folder)
    assert "packs them again" in str(refused.value.remedy)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 1}'])
def test_a_manifest_that_cannot_be_read_is_refused(folder: Path, text: str) -> None:
    """Whatever stands in it, the error names the file."""
    (folder / "manifest.json").write_text(text)
    with pytest.raises(DataError, match="no manifest that can be read") as refused:
        open_packed(folder)
    assert refused.value.where == str(folder / "manifest.json")


def test_another_format_is_refused(folder: Path) -> None:
    """Arrays of a later dddm are not guessed at."""
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    with pytest.raises(DataError, match="of format 2; this dddm reads 1"):
        open_packed(folder)


def test_without_classes_there_are_no_labels(tmp_path: Path) -> None:
    """None, not zeros."""
    source = ToySource(classes=())
    pack(source, folder=tmp_path / "packed", key="k", workers=1, progress=no_progress)
    split = open_packed(tmp_path / "packed")["train"]
    assert split.labels(torch.tensor([0])) is None
    assert split.classes == ()
