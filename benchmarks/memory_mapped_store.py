"""A float16 store of ImageNet 64×64, 31.5 GB, on a machine with less memory; beside numpy's memmap.

Two epochs of random batches are read and written, with a dummy for the network: a batch's new
estimate is a fixed tensor.  `numpy` reads and writes one np.memmap in place.  `plain` is the store
without snapshots, `safe` the store with a snapshot and a flush after each epoch, as checkpoints ask
for.  One after the other, because the disk holds one file; the order of images is the same.

    python benchmarks/memory_mapped_store.py --folder /tmp/store

In the first epoch a store makes N(0, I) noise for each image that was never written, which numpy's
side does not; `--noise` lets it.
"""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, final

import click
import numpy as np
import torch
from attrs import define, field
from torch import Tensor

from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import Kind
from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import TargetStore
from dddm.registry.loader import load_catalogue
from dddm.support.noise import noise_by_index
from dddm.training.batches import BatchPlan

SHAPE: Final = ImageShape(channels=3, height=64, width=64)
BATCH: Final = 1024
EPOCHS: Final = 2
SAY_EVERY_SECONDS: Final = 20


@final
@define(kw_only=True)
class Measured:
    """What one side took."""

    rows: int
    wall: list[float] = field(factory=list)
    cpu: list[float] = field(factory=list)
    peak_anonymous: int = 0

    def show(self, name: str) -> None:
        """A line of the table."""
        rates = [f"{self.rows / seconds:,.0f}" for seconds in [*self.wall, sum(self.wall) / 2]]
        print(
            f"| {name} | " + " | ".join(rates) + f" | {sum(self.wall):,.0f} | {sum(self.cpu):,.0f} "
            f"| {self.peak_anonymous / 1e9:.2f} |",
            flush=True,
        )


def anonymous_bytes() -> int:
    """Memory that this process cannot give back: RssAnon, apart from pages of files."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no RssAnon")


@contextmanager
def watching(measured: Measured) -> Iterator[None]:
    """Note the largest RssAnon within the block."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            measured.peak_anonymous = max(measured.peak_anonymous, anonymous_bytes())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def epochs(
    plan: BatchPlan,
    *,
    name: str,
    work: Callable[[Tensor, Tensor | None], None],
    begin: Callable[[int], None] = lambda _: None,
    end: Callable[[], None] = lambda: None,
) -> Measured:
    """Work off all batches; `work` is given a batch's indices and those of the next."""
    measured = Measured(rows=plan.batches_per_epoch * BATCH)
    said = time.perf_counter()
    with watching(measured):
        for epoch in range(EPOCHS):
            index_NB = plan.epoch(epoch)
            wall, cpu = time.perf_counter(), time.process_time()
            begin(epoch)
            for number, index in enumerate(index_NB):
                work(index, index_NB[number + 1] if number + 1 < len(index_NB) else None)
                if time.perf_counter() - said > SAY_EVERY_SECONDS:
                    said = time.perf_counter()
                    rate = (number + 1) * BATCH / (said - wall)
                    print(
                        f"  {name}, epoch {epoch + 1}: {number + 1}/{len(index_NB)}, "
                        f"{rate:,.0f} rows/s",
                        flush=True,
                    )
            end()
            measured.wall.append(time.perf_counter() - wall)
            measured.cpu.append(time.process_time() - cpu)
    return measured


def with_numpy(plan: BatchPlan, folder: Path, *, noise: bool) -> Measured:
    """One memory-mapped array, written in place."""
    array = np.memmap(folder / "rows.npy", np.float16, "w+", shape=(plan.images, *SHAPE.as_tuple))
    estimate = torch.randn(BATCH, *SHAPE.as_tuple).numpy()
    first = True

    def begin(epoch: int) -> None:
        nonlocal first
        first = epoch == 0

    def work(index: Tensor, _upcoming: Tensor | None) -> None:
        rows = index.numpy()
        if first and noise:
            noise_by_index(seed=0, purpose="store", index=index, shape=SHAPE.as_tuple)
        array[rows].astype(np.float32)
        array[rows] = estimate.astype(np.float16)

    return epochs(plan, name="numpy", work=work, begin=begin)


def with_store(plan: BatchPlan, folder: Path, *, safe: bool) -> Measured:
    """The store, through its public interface."""
    component = load_catalogue().find(Kind.TARGET_STORE, "dddm:mmap")
    store: TargetStore = component.load()(component.options(precision="float16"))
    store.open(
        shards=Shards.of_process(images=plan.images, count=plan.shards, rank=0, processes=1),
        shape=SHAPE,
        seed=0,
        folder=folder,
        device=torch.device("cpu"),
        kept_snapshots=2 if safe else 1,
    )
    estimate = torch.randn(BATCH, *SHAPE.as_tuple)

    def work(index: Tensor, upcoming: Tensor | None) -> None:
        store.read(index)
        if upcoming is not None:
            store.prefetch(upcoming)
        store.write(index, estimate=estimate)

    def save() -> None:
        store.flush()
        store.snapshot()

    measured = epochs(
        plan,
        name="safe" if safe else "plain",
        work=work,
        begin=store.begin_epoch,
        end=save if safe else lambda: None,
    )
    store.close()
    return measured


@click.command()
@click.option("--images", default=1_281_167, help="N.")
@click.option("--folder", type=click.Path(path_type=Path), required=True, help="On the disk.")
@click.option("--only", multiple=True, default=("numpy", "plain", "safe"), help="Which sides.")
@click.option("--noise", is_flag=True, help="Let numpy's side make noise too.")
def main(images: int, folder: Path, only: tuple[str, ...], noise: bool) -> None:  # noqa: FBT001
    """Measure and print."""
    plan = BatchPlan.make(images=images, batch_images=BATCH, shards=None, seed=0)
    print(
        f"{images:,} × {SHAPE}, float16: {images * SHAPE.values * 2 / 1e9:.1f} GB; "
        f"torch {torch.__version__}, {torch.get_num_threads()} threads"
    )
    found = {}
    for side in only:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        Path("/proc/sys/vm/drop_caches").write_text("3", "ascii")
        if side == "numpy":
            found[side] = with_numpy(plan, folder, noise=noise)
        else:
            found[side] = with_store(plan, folder, safe=side == "safe")
        found[side].show(side)
    shutil.rmtree(folder, ignore_errors=True)
    print("\n| side | epoch 1, rows/s | epoch 2, rows/s | in all | wall s | CPU s | RssAnon GB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for side, measured in found.items():
        measured.show(side)


if __name__ == "__main__":
    main()
