"""Samples while they are being drawn: finished blocks on the disk, some to a file.

Every file is whole or absent and has a checksum, so that drawing which was killed goes on with what
is missing.  Processes that share the work write files of their own into one folder.  Blocks are
whole, and say nothing of how many images were asked for: an order of more images goes on from them.

Legend: B images in a block, C channels, H rows, W columns, K steps that are marked.
"""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, final

import torch
from safetensors import safe_open
from torch import Tensor

from dddm.generate.sample import Block
from dddm.support.checked_tensors import load_checked, save_checked
from dddm.support.files import atomic_write_text

_FACTS: Final = "order.json"
_SECONDS_BETWEEN_FILES: Final = 2.0
_BYTES_OF_A_FILE: Final = 1 << 26


@final
class SampleParts:
    """The finished blocks of one order, in a folder of their own.

    Args:
        folder: made where it is not there; what another order left there is removed.
        facts: all that decides the images, as plain values.
    """

    def __init__(self, folder: Path, *, facts: dict[str, Any]) -> None:
        self._folder = folder
        self._facts = facts
        self._files: dict[int, Path] = {}
        self._waiting: list[Block] = []
        self._written = time.monotonic()

    def prepare(self) -> None:
        """Make the folder, or keep it where it belongs to this order; for one process."""
        text = json.dumps(self._facts, indent=2, ensure_ascii=False) + "\n"
        facts = self._folder / _FACTS
        if facts.exists() and facts.read_text(encoding="utf-8") == text:
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        atomic_write_text(facts, text)

    def finished(self) -> dict[int, Path]:
        """The file of each finished block, by its number; damaged files are removed.

        What is read back later is what was found here.
        """
        self._files = {}
        for path in sorted(self._folder.glob("*.safetensors")):
            numbers = _proved(path)
            if numbers is None:
                path.unlink()
            else:
                self._files.update(dict.fromkeys(numbers, path))
        return self._files

    def add(self, block: Block) -> None:
        """Keep a block; it is on the disk some seconds later, or after `flush`."""
        self._waiting.append(block)
        late = time.monotonic() - self._written > _SECONDS_BETWEEN_FILES
        held = len(self._waiting) * sum(images.nbytes for images in block.images.values())
        if late or held >= _BYTES_OF_A_FILE:
            self.flush()

    def flush(self) -> None:
        """Write what waits.

        Raises:
            EnvironmentProblem: without space or the right to write; files before stay whole.
        """
        self._written = time.monotonic()
        if not self._waiting:
            return
        blocks, self._waiting = self._waiting, []
        tensors = {
            "blocks": torch.tensor([block.number for block in blocks]),
            "evaluations": torch.tensor([block.evaluations for block in blocks]),
        }
        for steps in blocks[0].images:
            tensors[f"images {steps}"] = torch.stack([block.images[steps] for block in blocks])
            tensors[f"change {steps}"] = torch.stack([block.change[steps] for block in blocks])
        save_checked(self._folder / f"{blocks[0].number:08d}.safetensors", tensors)

    def images(self, steps: int, *, images: int) -> Iterator[Tensor]:
        """The first `images` images at a step count, (B, C, H, W), uint8, a block at a time."""
        for block_BCHW in self._stored(f"images {steps}"):
            yield block_BCHW[:images]
            images -= len(block_BCHW)
            if images <= 0:
                return

    def change(self, steps: int, *, images: int) -> Tensor:
        """How far the estimates of the first `images` images moved at `marks(steps)`, (N, K)."""
        return torch.cat(list(self._stored(f"change {steps}")))[:images]

    def evaluations(self) -> int:
        """Of the network, summed over the images of all blocks."""
        return sum(int(count) for count in self._stored("evaluations"))

    def remove(self) -> None:
        """Remove the folder; the samples have a place of their own now."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _stored(self, name: str) -> Iterator[Tensor]:
        """A tensor of each block, by rising number."""
        for number in sorted(self._files):
            with safe_open(self._files[number], framework="pt") as stored:
                place = stored.get_tensor("blocks").tolist().index(number)
                yield stored.get_slice(name)[place]


def _proved(path: Path) -> list[int] | None:
    """The numbers of the blocks in a file; None where it is damaged."""
    tensors = load_checked(path)
    if tensors is None:
        return None
    numbers: list[int] = tensors["blocks"].tolist()
    return numbers
