"""Blocks of samples survive whatever happens between them."""

from pathlib import Path

import pytest
import torch

from dddm.generate.sample import Block, marks
from dddm.generate.sample_parts import SampleParts

FACTS = {"seed": 0, "steps": [1, 5]}


def block(number: int) -> Block:
    """Four random images of 3×2×2 at 1 and at 5 steps."""
    generator = torch.Generator().manual_seed(number)
    return Block(
        number=number,
        images={
            steps: torch.randint(0, 256, (4, 3, 2, 2), generator=generator).to(torch.uint8)
            for steps in (1, 5)
        },
        change={steps: torch.rand(4, len(marks(steps)), generator=generator) for steps in (1, 5)},
        evaluations=20 + number,
    )


def prepared(folder: Path, *numbers: int) -> SampleParts:
    """Parts that hold these blocks, each in a file of its own."""
    parts = SampleParts(folder, facts=FACTS)
    parts.prepare()
    for number in numbers:
        parts.add(block(number))
        parts.flush()
    return parts


def test_blocks_come_back_in_their_order(tmp_path: Path) -> None:
    """Written by two processes in any order, several to a file; the surplus of the last is cut."""
    one, other = prepared(tmp_path / "parts", 2), SampleParts(tmp_path / "parts", facts=FACTS)
    other.add(block(1))
    other.add(block(0))
    assert sorted(one.finished()) == [2]
    other.flush()
    assert sorted(one.finished()) == [0, 1, 2]
    for steps in (1, 5):
        images = torch.cat(list(one.images(steps, images=10)))
        expected = torch.cat([block(number).images[steps] for number in range(3)])[:10]
        assert torch.equal(images, expected)
        change = torch.cat([block(number).change[steps] for number in range(3)])[:10]
        assert torch.equal(one.change(steps, images=10), change)
    assert one.evaluations() == 20 + 21 + 22


def test_what_waits_is_written_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks that come fast share a file; a slow one is on the disk at once."""
    parts = prepared(tmp_path / "parts")
    parts.add(block(0))
    assert parts.finished() == {}
    monkeypatch.setattr("dddm.generate.sample_parts._SECONDS_BETWEEN_FILES", 0.0)
    parts.add(block(1))
    assert sorted(parts.finished()) == [0, 1]


def test_the_same_order_goes_on(tmp_path: Path) -> None:
    """What is finished stays where the order is the same, and goes where it is another."""
    prepared(tmp_path / "parts", 0, 1)
    again = SampleParts(tmp_path / "parts", facts=FACTS)
    again.prepare()
    assert sorted(again.finished()) == [0, 1]
    other = SampleParts(tmp_path / "parts", facts={**FACTS, "seed": 1})
    other.prepare()
    assert other.finished() == {}


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "text", "half written"])
def test_a_damaged_file_is_drawn_again(tmp_path: Path, damage: str) -> None:
    """A file that is not what was written counts as missing, and is removed."""
    parts = prepared(tmp_path / "parts", 0, 1)
    path = parts.finished()[1]
    contents = path.read_bytes()
    if damage == "half written":
        path.rename(path.with_name(f".{path.name}.part"))
    else:
        path.write_bytes(
            {
                "flip": contents[:-1] + bytes([contents[-1] ^ 1]),
                "cut": contents[:-5],
                "empty": b"",
                "text": b"hello",
            }[damage]
        )
    assert sorted(parts.finished()) == [0]
    assert not path.exists()
