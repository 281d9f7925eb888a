"""Checkpoints are complete or absent, and damage never goes unnoticed."""

import errno
import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dddm.errors import DataError, EnvironmentProblem
from dddm.support import files
from dddm.training import checkpoint as checkpoints


def groups(seed: int = 0) -> dict[str, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "model": {"a": torch.randn(3, 4, generator=generator), "b.c": torch.randn(5)},
        "store": {
            "rows": torch.randn(6, 2, generator=generator),
            "flags": torch.tensor([True, False]),
        },
        "optimizer": {"0.step": torch.tensor(3.0)},
    }


def save(folder: Path, step: int) -> Path:
    return checkpoints.save(
        folder, step=step, groups=groups(step), state={"position": {"epoch": step}}
    )


def test_what_is_saved_is_read_back_exactly(tmp_path: Path) -> None:
    """Tensors bit for bit with dtype and shape, the state as it was."""
    found = checkpoints.read(save(tmp_path, 12))
    assert found.step == 12
    assert found.state["position"] == {"epoch": 12}
    for name, tensors in groups(12).items():
        for key, tensor in tensors.items():
            if key != "b.c":
                assert torch.equal(found.load(name)[key], tensor)
                assert found.load(name)[key].dtype == tensor.dtype


def test_the_newest_is_found_and_only_some_are_kept(tmp_path: Path) -> None:
    """Retention keeps the newest; the newest is the one that is read."""
    for step in (5, 30, 100, 7):
        save(tmp_path, step)
    checkpoints.prune_checkpoints(tmp_path, count=2)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["step-00000030", "step-00000100"]
    found = checkpoints.find_newest(tmp_path)
    assert found.checkpoint is not None
    assert found.checkpoint.step == 100
    assert found.damaged == ()


def test_some_are_kept_for_good(tmp_path: Path) -> None:
    """Those at multiples of `every_steps` stay, however old."""
    for step in (10, 15, 20, 25):
        save(tmp_path, step)
    checkpoints.prune_checkpoints(tmp_path, count=1, every_steps=10)
    assert [checkpoints.step_of(p) for p in checkpoints.list_checkpoints(tmp_path)] == [25, 20, 10]


def test_without_checkpoints_there_is_none(tmp_path: Path) -> None:
    """A new run has no folder of checkpoints at all."""
    assert checkpoints.find_newest(tmp_path / "absent").checkpoint is None


@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), which=st.integers(0, 4))
def test_any_flipped_bit_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, where: float, bit: int, which: int
) -> None:
    """Whatever bit of whatever file changes, the checkpoint is refused and the one before taken."""
    folder = tmp_path_factory.mktemp("run")
    save(folder, 1)
    victim = sorted(save(folder, 2).iterdir())[which]
    contents = bytearray(victim.read_bytes())
    contents[int(where * len(contents))] ^= 1 << bit
    victim.write_bytes(contents)
    try:
        found = checkpoints.find_newest(folder)
    finally:
        shutil.rmtree(folder)
    assert found.checkpoint is not None
    if found.checkpoint.step == 2:
        # A changed blank in the manifest may leave it as true as it was.
        assert victim.name == "manifest.json"
    else:
        assert len(found.damaged) == 1
        assert "step-00000002" in found.damaged[0]


@pytest.mark.parametrize(
    "name", ["model.safetensors", "store.safetensors", "state.json", "manifest.json"]
)
@pytest.mark.parametrize("damage", ["cut", "empty", "gone"])
def test_cut_and_missing_files_are_named(tmp_path: Path, name: str, damage: str) -> None:
    """A truncated, emptied or missing file is named together with its checkpoint."""
    path = save(tmp_path, 3) / name
    if damage == "gone":
        path.unlink()
    else:
        contents = path.read_bytes()
        path.write_bytes(contents[: len(contents) // 2] if damage == "cut" else b"")
    with pytest.raises(DataError) as caught:
        checkpoints.read(path.parent)
    assert name in str(caught.value)
    assert "step-00000003" in str(caught.value)


def test_a_manifest_cannot_lead_out_of_its_folder(tmp_path: Path) -> None:
    """A name with a path in it is refused before any such file is touched."""
    path = save(tmp_path, 3)
    (tmp_path / "secret").write_text("x")
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["../secret"] = {"bytes": 1, "sha256": files.sha256_of(tmp_path / "secret")}
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="leads elsewhere"):
        checkpoints.read(path)


def test_when_all_are_damaged_it_says_so(tmp_path: Path) -> None:
    """Training must not silently begin anew where checkpoints were."""
    (save(tmp_path, 3) / "state.json").unlink()
    with pytest.raises(DataError, match="no checkpoint of this run can be resumed from"):
        checkpoints.find_newest(tmp_path)


def test_a_damaged_one_is_replaced_when_its_step_comes_again(tmp_path: Path) -> None:
    """After falling back, the run reaches the same step again and saves it whole."""
    (save(tmp_path, 3) / "state.json").unlink()
    assert checkpoints.read(save(tmp_path, 3)).step == 3


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("write", range(6))
def test_a_save_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, write: int
) -> None:
    """Whichever sync of a save fails, the checkpoint before is whole and no part is left."""
    save(tmp_path, 1)
    calls = 0

    def failing(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == write + 1:
            raise OSError(number, "injected")

    monkeypatch.setattr("dddm.support.files.os.fsync", failing)
    with pytest.raises(EnvironmentProblem) as caught:
        save(tmp_path, 2)
    assert "step-00000002" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    assert checkpoints.read(tmp_path / "step-00000001").step == 1
