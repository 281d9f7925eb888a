"""A data set is packed when it is first needed, and never read from stale files."""

from pathlib import Path

import pytest
from pack_sources import ToySource

from dddm.data.packed_dataset import PackedDataset
from dddm.errors import DataError


def dataset(source: ToySource, packed: Path | None = None) -> PackedDataset:
    return PackedDataset(name="toy", source=source, packed=None if packed is None else str(packed))


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDDM_CACHE", str(tmp_path / "cache"))


def test_splits_pack_by_themselves(tmp_path: Path) -> None:
    """Nobody need call `prepare`; it is done once, into the cache."""
    log = tmp_path / "log"
    data = dataset(ToySource(log=log))
    assert {name: len(split) for name, split in data.splits().items()} == {
        "train": 10, "held-out": 4,
    }  # fmt: skip
    folder = data.prepare()
    assert folder.parent == tmp_path / "cache" / "packed"
    assert dataset(ToySource(log=log)).prepare() == folder
    assert log.read_text().splitlines().count("train 0") == 1


def test_a_changed_source_is_packed_anew() -> None:
    """In the cache it has another folder."""
    assert dataset(ToySource()).prepare() != dataset(ToySource(version=1)).prepare()


def test_a_named_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    """It is neither used nor overwritten."""
    dataset(ToySource(), tmp_path / "packed").prepare()
    with pytest.raises(DataError, match="made from other files") as refused:
        dataset(ToySource(version=1), tmp_path / "packed").splits()
    assert refused.value.where == str(tmp_path / "packed")


def test_a_named_folder_stands_for_an_absent_source(tmp_path: Path) -> None:
    """The packed array can be taken elsewhere without the files it was made from."""
    dataset(ToySource(), tmp_path / "packed").prepare()
    moved = dataset(ToySource(there=False), tmp_path / "packed")
    assert len(moved.splits()["train"]) == 10
    assert moved.check().problems == ()
    with pytest.raises(DataError, match="not there"):
        dataset(ToySource(there=False), tmp_path / "elsewhere").splits()


def test_check_finds_a_changed_byte(tmp_path: Path) -> None:
    """One byte of the packed array changed behind our back is named."""
    data = dataset(ToySource(), tmp_path / "packed")
    assert data.check().packed is None
    data.prepare()
    found = data.check()
    assert found.packed == str(tmp_path / "packed")
    assert found.problems == ()
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
