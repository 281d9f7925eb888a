"""Target stores in memory: time of a batch in each precision, memory of each of several processes.

CIFAR-10's size: 50,000 estimates of 3×32×32, batches of 1024 as training asks for them.  The
precisions take turns batch by batch, so that all meet the same machine; medians count.  Memory is
what a process that opens its shards, writes every row and reads it again has more than before
(RssAnon of /proc/self/status: memory that it cannot give back).

    python benchmarks/store_in_memory.py
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

import click
import torch

from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import Kind
from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import TargetStore
from dddm.registry.loader import load_catalogue
from dddm.training.batches import BatchPlan

SHAPE: Final = ImageShape(channels=3, height=32, width=32)
IMAGES: Final = 50_000
BATCH: Final = 1024
EPOCHS: Final = 4
PRECISIONS: Final = ("float32", "float16", "bfloat16", "int8")
PLAN: Final = BatchPlan.make(images=IMAGES, batch_images=BATCH, shards=None, seed=0)


def opened(precision: str, *, shards: Shards, folder: Path) -> TargetStore:
    """A RAM store, ready."""
    component = load_catalogue().find(Kind.TARGET_STORE, "dddm:ram")
    store: TargetStore = component.load()(component.options(precision=precision))
    store.open(
        shards=shards,
        shape=SHAPE,
        seed=0,
        folder=folder,
        device=torch.device("cpu"),
        kept_snapshots=2,
    )
    return store


def times(folder: Path) -> dict[str, tuple[float, float, float]]:
    """Median seconds of reading noise, reading rows and writing, for each precision."""
    shards = PLAN.shards_of(rank=0, processes=1)
    stores = {
        precision: opened(precision, shards=shards, folder=folder) for precision in PRECISIONS
    }
    seconds: dict[str, tuple[list[float], list[float], list[float]]] = {
        precision: ([], [], []) for precision in PRECISIONS
    }
    estimate = torch.randn(BATCH, *SHAPE.as_tuple)
    for epoch in range(EPOCHS):
        for index in PLAN.epoch(epoch):
            for precision, store in stores.items():
                store.begin_epoch(epoch)
                began = time.perf_counter()
                store.peek(index)
                read = time.perf_counter()
                store.write(index, estimate=estimate)
                written = time.perf_counter()
                if epoch == 0:
                    seconds[precision][0].append(read - began)
                else:
                    seconds[precision][1].append(read - began)
                    seconds[precision][2].append(written - read)
    return {name: (median(a), median(b), median(c)) for name, (a, b, c) in seconds.items()}


def anonymous_bytes() -> int:
    """Memory of this process that is no file's."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no RssAnon")


def memory_of(rank: int, processes: int) -> int:
    """Bytes that this process takes for its part of a float32 store."""
    own = PLAN.process_slice(rank=rank, processes=processes)
    estimate = torch.randn(BATCH // processes, *SHAPE.as_tuple)
    with tempfile.TemporaryDirectory() as folder:
        shards = PLAN.shards_of(rank=rank, processes=processes)
        store = opened("float32", shards=shards, folder=Path(folder))
        whole = opened("float32", shards=Shards.whole(BATCH // processes), folder=Path(folder))
        whole.write(torch.arange(len(estimate)), estimate=estimate)  # what a batch takes by itself
        before = anonymous_bytes()
        for epoch in range(2):
            store.begin_epoch(epoch)
            for index in PLAN.epoch(epoch)[:, own]:
                store.write(index, estimate=estimate)
        return anonymous_bytes() - before


@click.command()
@click.option("--part", nargs=2, type=int, hidden=True, help="Rank and number of processes.")
def main(part: tuple[int, int] | None) -> None:
    """Measure and print."""
    if part is not None:
        print(memory_of(*part))
        return
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batches of {BATCH}\n")
    with tempfile.TemporaryDirectory() as folder:
        found = times(Path(folder))
    whole = sum(found["float32"][1:])
    print("| precision | noise ms | read ms | write ms | read + write beside float32 |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for precision, (noise, read, write) in found.items():
        print(
            f"| {precision} | {noise * 1e3:.2f} | {read * 1e3:.2f} | {write * 1e3:.2f} "
            f"| {(read + write) / whole:.2f} |"
        )
    print("\n| processes | MB of each | of one process |")
    print("| ---: | ---: | ---: |")
    alone, this = 0.0, (sys.executable, __file__, "--part")
    for processes in (1, 2, 4):
        taken = [
            int(subprocess.check_output([*this, str(rank), str(processes)]))
            for rank in range(processes)
        ]
        alone = alone or taken[0]
        each = ", ".join(f"{bytes_ / 1e6:.1f}" for bytes_ in taken)
        print(f"| {processes} | {each} | {max(taken) / alone:.3f} |")


if __name__ == "__main__":
    main()
