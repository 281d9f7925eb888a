"""How fast random batches come out of a packed array, beside a plain copy of as many bytes.

    python benchmarks/packed_batches.py [--images 100000] [--rounds 300]

The array is packed by dddm's own packer into a temporary folder, from random pixels, and lies in
the page cache when it is read.  One round draws a batch of 1024 different images at random, reads
it with `Split.images`, and copies as many bytes once from one warm buffer to another with
`numpy.copyto`: the two in turns, so that both see the same machine.  What is compared is the
median time, the batch's beside the copy's; CPU seconds, summed over all threads, stand beside it.

The first epoch is measured apart: in it the process meets each page for the first time.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final, final

import numpy as np
import torch
from attrs import field, frozen

from dddm.data.pack import pack
from dddm.data.packed import open_packed
from dddm.data.source import Chunk, DecodedImages, PackPlan, PackSource
from dddm.interfaces.data_report import Problem, no_progress
from dddm.interfaces.dataset import Split
from dddm.interfaces.info import ImageShape

SHAPE: Final = ImageShape(channels=3, height=64, width=64)
BATCH_IMAGES: Final = 1024
CHUNK_IMAGES: Final = 1000


@final
@frozen(kw_only=True)
class RandomPixels(PackSource):
    """Images of random pixels without classes."""

    images: int

    def exists(self) -> bool:
        """Always."""
        return True

    def identity(self) -> Mapping[str, Any]:
        """How many there are."""
        return {"images": self.images}

    def provenance(self) -> Mapping[str, Any]:
        """Nothing to say."""
        return {}

    def plan(self) -> PackPlan:
        """Some thousands a chunk."""
        sizes = [CHUNK_IMAGES] * (self.images // CHUNK_IMAGES)
        return PackPlan(
            shape=SHAPE,
            classes=(),
            splits={"train": sum(sizes)},
            chunks=[Chunk(images=size, payload=k * CHUNK_IMAGES) for k, size in enumerate(sizes)],
        )

    def decode(self, chunk: Chunk) -> Iterator[DecodedImages | Problem]:
        """Pixels that depend on the chunk alone."""
        pixels = np.random.default_rng(chunk.payload).bytes(chunk.images * SHAPE.values)
        yield DecodedImages(
            split="train",
            rows=np.arange(chunk.images) + chunk.payload,
            images=np.frombuffer(pixels, np.uint8).reshape(-1, *SHAPE.as_tuple),
            labels=None,
        )


@final
@frozen
class Times:
    """Seconds of each call, by the clock and on all cores."""

    wall: list[float] = field(factory=list)
    cpu: list[float] = field(factory=list)

    def measure(self, call: Callable[[], object]) -> None:
        """Call once."""
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)


def epoch_after_epoch(images: int) -> Iterator[torch.Tensor]:
    """Batches of different images, each image once in an epoch."""
    generator = torch.Generator().manual_seed(0)
    while True:
        order = torch.randperm(images, generator=generator)
        yield from order[: images // BATCH_IMAGES * BATCH_IMAGES].view(-1, BATCH_IMAGES)


def measure(split: Split, *, rounds: int) -> dict[str, tuple[Times, Times]]:
    """Times of batches and of copies, in the first epoch and later."""
    source = np.random.default_rng(0).integers(0, 256, (BATCH_IMAGES, SHAPE.values), dtype=np.uint8)
    target = source.copy()
    batches = epoch_after_epoch(len(split))
    found = {}
    for name, count in (("first epoch", len(split) // BATCH_IMAGES), ("later", rounds)):
        reading, copying = Times(), Times()
        for index_B in (next(batches) for _ in range(count)):
            calls: list[tuple[Times, Callable[[], object]]] = [
                (reading, partial(split.images, index_B)),
                (copying, partial(np.copyto, target, source)),
            ]
            # In an order of chance: other programs' turns on a core come at regular distances.
            random.shuffle(calls)
            for times, call in calls:
                times.measure(call)
        found[name] = (reading, copying)
    return found


def table(found: Mapping[str, tuple[Times, Times]]) -> str:
    """Markdown."""
    lines = [
        "| | batch, ms | copy, ms | rate beside the copy's | batch, CPU ms | copy, CPU ms |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, (reading, copying) in found.items():
        batch, copy = median(reading.wall), median(copying.wall)
        lines.append(
            f"| {name} ({len(reading.wall)} batches) | {batch * 1e3:.2f} | {copy * 1e3:.2f} | "
            f"{copy / batch:.0%} | "
            f"{median(reading.cpu) * 1e3:.2f} | {median(copying.cpu) * 1e3:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Pack, measure, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1, help="torch's threads")
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "packed"
        source = RandomPixels(images=settings.images)
        pack(source, folder=folder, key="benchmark", workers=1, progress=no_progress)
        split = open_packed(folder)["train"]
        print(f"{len(split):,} images of {SHAPE}, {settings.threads} thread(s)\n")
        print(table(measure(split, rounds=settings.rounds)))


if __name__ == "__main__":
    main()
