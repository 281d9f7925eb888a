"""Samples survive interruption while they are generated, and damaged ones are not read back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sample_folders import write_samples

from dddm.errors import DataError
from dddm.generate.sample import Block, recorded_steps
from dddm.generate.storage import Samples, UnfinishedSamples, load_samples, sample_folders
from dddm.interfaces.info import ImageShape

SHAPE = ImageShape(channels=3, height=4, width=5)
FACTS = {"sampler": "fixed-time", "steps": 2, "evaluations": 2, "images": 6}


def block(number: int) -> Block:
    """Four random images at 1 and at 5 steps."""
    generator = torch.Generator().manual_seed(number)
    images = {
        steps: torch.randint(0, 256, (4, *SHAPE.as_tuple), generator=generator).to(torch.uint8)
        for steps in (1, 5)
    }
    change = {
        steps: torch.rand(4, len(recorded_steps(steps)), generator=generator) for steps in (1, 5)
    }
    return Block(number=number, images=images, change=change, evaluations=20 + number)


def unfinished(folder: Path, *numbers: int, seed: int = 0, rank: int = 0) -> UnfinishedSamples:
    """Samples of which these blocks are generated."""
    samples = UnfinishedSamples(folder / "parts", order={"seed": seed}, shape=SHAPE, rank=rank)
    if rank == 0:
        samples.missing_blocks(3, steps=(1, 5))
    for number in numbers:
        samples.add(block(number))
    return samples


def finish(samples: UnfinishedSamples, path: Path, *, images: int, steps: int = 5) -> Samples:
    label = torch.arange(images)
    manifest = {**FACTS, "steps": steps, "images": images}
    samples.finish(steps, path, label=label, manifest=manifest, columns=None, separate=True)
    return load_samples(path)


def test_blocks_of_two_processes_in_any_order(tmp_path: Path) -> None:
    """The archive is what numpy reads; the surplus of the last block is dropped."""
    one = unfinished(tmp_path, 2)
    unfinished(tmp_path, 1, 0, rank=1)
    assert one.missing_blocks(4, steps=(1, 5)) == [3]
    change, evaluations = one.change_and_evaluations(3)
    assert evaluations == 20 + 21 + 22
    for steps in (1, 5):
        expected = torch.cat([block(number).images[steps] for number in range(3)])[:10]
        assert torch.equal(change[steps], torch.cat([block(n).change[steps] for n in range(3)]))
        read = finish(one, tmp_path / f"{steps}", images=10, steps=steps)
        assert torch.equal(read.images, expected)
        with np.load(tmp_path / f"{steps}" / "samples.npz") as arrays:
            assert np.array_equal(arrays["arr_0"], expected.permute(0, 2, 3, 1).numpy())
            assert np.array_equal(arrays["arr_1"], np.arange(10))
        assert len(list((tmp_path / f"{steps}" / "images").iterdir())) == 10


def test_the_same_order_continues(tmp_path: Path) -> None:
    unfinished(tmp_path, 0, 1)
    again = unfinished(tmp_path)
    assert again.missing_blocks(5, steps=(1, 5)) == [2, 3, 4]
    other = unfinished(tmp_path, seed=1)
    assert other.missing_blocks(3, steps=(1, 5)) == [0, 1, 2]


@pytest.mark.parametrize("damage", ["flip", "cut", "log", "half a line"])
def test_a_damaged_block_is_generated_again(tmp_path: Path, damage: str) -> None:
    samples = unfinished(tmp_path, 0, 1)
    images, log = tmp_path / "parts/5/samples.npz", tmp_path / "parts/blocks-0.jsonl"
    if damage == "flip":
        flip(images, at=-1)
    elif damage == "cut":
        cut(images, keep=0.9)
    elif damage == "log":
        flip(log, at=-20)
    else:
        cut(log, keep=0.9)
    assert samples.missing_blocks(2, steps=(1, 5)) == [1]
    samples.add(block(1))
    assert samples.missing_blocks(2, steps=(1, 5)) == []


def test_a_crash_while_files_are_completed(tmp_path: Path) -> None:
    """One step count is finished; the last block of the other was cut, and is generated again."""
    samples = unfinished(tmp_path, 0, 1)
    finish(samples, tmp_path / "1", images=6, steps=1)
    finish(samples, tmp_path / "parts/kept", images=6)
    (tmp_path / "parts/kept").rename(tmp_path / "parts/5")
    assert samples.missing_blocks(2, steps=(5,)) == [1]
    samples.add(block(1))
    assert torch.equal(finish(samples, tmp_path / "5", images=8).images[4:], block(1).images[5])


def write(folder: Path, *, labels: bool = True) -> Samples:
    """Six random images of 3×4×5."""
    images = torch.randint(0, 256, (6, *SHAPE.as_tuple)).to(torch.uint8)
    label = torch.arange(6) % 3 if labels else None
    samples = Samples(images=images, label=label, facts=dict(FACTS))
    write_samples(folder, samples)
    return samples


@pytest.mark.parametrize("labels", [True, False])
def test_round_trip(tmp_path: Path, labels: bool) -> None:  # noqa: FBT001 - a parameter
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
    np.savez(folder / "samples.npz", **arrays)


def save_bare(folder: Path) -> None:
    """Write one array where an archive of several belongs."""
    with (folder / "samples.npz").open("wb") as file:
        np.save(file, IMAGES)


def cut(path: Path, *, keep: float) -> None:
    contents = path.read_bytes()
    path.write_bytes(contents[: int(len(contents) * keep)])


def flip(path: Path, *, at: int) -> None:
    contents = bytearray(path.read_bytes())
    contents[at] ^= 255
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
    "a byte is changed": lambda f: flip(f / "samples.npz", at=400),
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
    """Whatever is damaged: the error names the file, and says to generate the samples again."""
    folder = tmp_path / "fixed-time-2"
    write(folder)
    DAMAGE[how](folder)
    with pytest.raises(DataError) as caught:
        load_samples(folder)
    assert str(folder) in str(caught.value.where)
    assert "generate the samples again" in str(caught.value.remedy)
