"""Tensors come back as they were written, or not at all."""

from pathlib import Path

import pytest
import torch

from dddm.support.checked_tensors import load_checked, save_checked

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([True, False])}


def test_round_trip(tmp_path: Path) -> None:
    """Names, shapes, kinds and values."""
    save_checked(tmp_path / "deep" / "x.safetensors", TENSORS)
    found = load_checked(tmp_path / "deep" / "x.safetensors")
    assert found is not None
    assert found.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    """Whichever byte changes, what comes back is what was written, or nothing."""
    path = tmp_path / "x.safetensors"
    save_checked(path, TENSORS)
    contents = path.read_bytes()
    for place in range(len(contents)):
        changed = bytearray(contents)
        changed[place] ^= 1
        path.write_bytes(changed)
        found = load_checked(path)
        if found is not None:
            assert found.keys() == TENSORS.keys()
            assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize("keep", [0, 1, 30, -1])
def test_what_is_cut_short_is_nothing(tmp_path: Path, keep: int) -> None:
    """Also an empty file, and one that is not there."""
    path = tmp_path / "x.safetensors"
    assert load_checked(path) is None
    save_checked(path, TENSORS)
    path.write_bytes(path.read_bytes()[:keep])
    assert load_checked(path) is None
