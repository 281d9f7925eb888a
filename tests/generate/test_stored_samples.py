"""Samples are read back as they were written, and damage never passes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dddm.errors import DataError
from dddm.generate.sample_files import Samples, write_samples
from dddm.generate.stored_samples import load_samples, sample_folders

FACTS = {"sampler": "fixed-time", "steps": 2, "evaluations": 2, "images": 6}


def write(folder: Path, *, labels: bool = True) -> Samples:
    """Six random images of 3×4×5."""
    images = torch.randint(0, 256, (6, 3, 4, 5)).to(torch.uint8)
    label = torch.arange(6) % 3 if labels else None
    samples = Samples(images=images, label=label, facts=dict(FACTS))
    write_samples(folder, samples, columns=None)
    return samples


@pytest.mark.parametrize("labels", [True, False])
def test_round_trip(tmp_path: Path, labels: bool) -> None:  # noqa: FBT001 - a parameter
    """Images, labels and facts come back equal."""
    written = write(tmp_path / "one", labels=labels)
    read = load_samples(tmp_path / "one")
    assert torch.equal(read.images, written.images)
    assert read.facts == written.facts
    if written.label is None:
        assert read.label is None
    else:
        assert read.label is not None
        assert torch.equal(read.label, written.label)


def test_folders_are_listed_by_name(tmp_path: Path) -> None:
    """Files and what is half written are passed over; no folder, no samples."""
    for name in ("b-1", "a-10", ".c-1.part"):
        (tmp_path / name).mkdir()
    (tmp_path / "note.txt").touch()
    assert [path.name for path in sample_folders(tmp_path)] == ["a-10", "b-1"]
    assert sample_folders(tmp_path / "missing") == []


def change_facts(folder: Path, **facts: Any) -> None:
    """Write other facts into the manifest."""
    text = json.dumps({name: fact for name, fact in facts.items() if fact is not None})
    (folder / "manifest.json").write_text(text, encoding="utf-8")


def save(folder: Path, **arrays: Any) -> None:
    """Write other arrays."""
    np.savez(folder / "samples.npz", **arrays)


def save_bare(folder: Path) -> None:
    """Write one array where an archive of several belongs."""
    with (folder / "samples.npz").open("wb") as file:
        np.save(file, IMAGES)


def cut(path: Path, *, keep: float) -> None:
    """Cut a file short."""
    contents = path.read_bytes()
    path.write_bytes(contents[: int(len(contents) * keep)])


def flip(path: Path) -> None:
    """Change one byte amid the images."""
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 4] ^= 255
    path.write_bytes(contents)


IMAGES = np.zeros((6, 4, 5, 3), np.uint8)
LABELS = np.zeros(6, np.int64)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def save_nothing(folder: Path) -> None:
    save(folder, arr_0=IMAGES[:0])
    change_facts(folder, **{**FACTS, "images": 0})


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no manifest": lambda f: (f / "manifest.json").unlink(),
    "manifest is no JSON": lambda f: (f / "manifest.json").write_text("{"),
    "manifest is a list": lambda f: (f / "manifest.json").write_text("[]"),
    "manifest without steps": lambda f: change_facts(f, **{**FACTS, "steps": None}),
    "steps are words": lambda f: change_facts(f, **{**FACTS, "steps": "two"}),
    "steps are a truth": lambda f: change_facts(f, **{**FACTS, "steps": True}),
    "no arrays": lambda f: (f / "samples.npz").unlink(),
    "arrays are empty": lambda f: (f / "samples.npz").write_bytes(b""),
    "arrays are cut": lambda f: cut(f / "samples.npz", keep=0.9),
    "arrays are cut early": lambda f: cut(f / "samples.npz", keep=0.2),
    "a byte is changed": lambda f: flip(f / "samples.npz"),
    "arrays are a folder": lambda f: make_folder(f / "samples.npz"),
    "arrays are text": lambda f: (f / "samples.npz").write_text("hello"),
    "one bare array": save_bare,
    "pickled arrays": lambda f: save(f, arr_0=np.array([{"a": 1}] * 6, dtype=object)),
    "no images": lambda f: save(f, other=IMAGES),
    "floats": lambda f: save(f, arr_0=IMAGES.astype(np.float32)),
    "flat images": lambda f: save(f, arr_0=IMAGES.reshape(6, -1)),
    "too few images": lambda f: save(f, arr_0=IMAGES[:5]),
    "too few labels": lambda f: save(f, arr_0=IMAGES, arr_1=LABELS[:5]),
    "labels are floats": lambda f: save(f, arr_0=IMAGES, arr_1=LABELS.astype(np.float64)),
    "a negative label": lambda f: save(f, arr_0=IMAGES, arr_1=LABELS - 1),
    "nothing at all": save_nothing,
}


@pytest.mark.parametrize("how", DAMAGE)
def test_damage_is_refused(tmp_path: Path, how: str) -> None:
    """Whatever is damaged: the error names the file, and says to draw the samples again."""
    folder = tmp_path / "fixed-time-2"
    write(folder)
    DAMAGE[how](folder)
    with pytest.raises(DataError) as caught:
        load_samples(folder)
    assert str(folder) in str(caught.value.where)
    assert "draw the samples again" in str(caught.value.remedy)
