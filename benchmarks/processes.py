"""What start, checkpoint and resume take in each process of a run, by the number of processes.

A tiny network is trained for a step on images from a folder of files, in worlds of up to 64
processes of this machine that speak over gloo; all are forked from one that has imported
everything.  A table says for each phase, over the processes: CPU seconds, the growth of peak
memory, open descriptors at its end; and how often all processes together looked at the folder of
images, opened a file of estimates, and bytes that they hashed, in all and in the busiest one.

    python benchmarks/processes.py
    python benchmarks/processes.py --world 8 --world 1024 --store mmap
    python benchmarks/processes.py --index 40000000

With `--index N`, instead, what the order of one epoch of N images takes in one of 1, 8 and 64
processes.
"""

import json
import os
import socket
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import torch
import torch._dynamo  # which an optimizer imports when it is made
from PIL import Image

import dddm.data.packed
import dddm.training.checkpoint
import dddm.training.memory
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.training import checkpointing
from dddm.training.batches import BatchPlan
from dddm.training.build import build_for_training
from dddm.training.context import open_run
from dddm.training.stopping import StopRequest
from dddm.training.training import Training

IMAGES: Final = 4096
BATCH: Final = 1024
RECIPE: Final = """format = 2
name = "processes"
seed = 0
[data]
use = "folder"
path = "{images}"
packed = "{packed}"
[schedule]
use = "vp-cosine"
[backbone]
use = "adm"
channels = 16
multipliers = [1, 2]
blocks = 1
attention = [4]
[metric]
use = "l2"
[targets]
use = "{store}"
[train]
epochs = 2
batch_images = {batch}
shards = {shards}
"""
COUNTED: Final[Counter[str]] = Counter()


def count(module: Any, name: str, what: str, of: Callable[[Any], int] = lambda _first: 1) -> None:
    """Count calls of a module's function, or a number of its first argument."""
    function = getattr(module, name)

    def counting(first: Any, *others: Any, **named: Any) -> Any:
        COUNTED[what] += of(first)
        return function(first, *others, **named)

    setattr(module, name, counting)


def peak_bytes() -> int:
    """Most memory of its own that this process has had since `measured` began."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


@contextmanager
def measured(into: dict[str, float]) -> Iterator[None]:
    """What the block takes in this process."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")
    before, began, counted = peak_bytes(), time.process_time(), COUNTED.copy()
    yield
    into["CPU s"] = time.process_time() - began
    into["peak MB"] = (peak_bytes() - before) / 1e6
    into["descriptors"] = len(list(Path("/proc/self/fd").iterdir()))
    for what in ("folder walks", "estimate files", "hashed MB"):
        into[what] = COUNTED[what] - counted[what]
    into["hashed MB"] /= 1e6


def worker(rank: int, world: int, *, folder: Path, store: str) -> dict[str, dict[str, float]]:
    """One process of a run."""
    count(dddm.data.packed, "identity_key", "folder walks")
    count(dddm.training.memory, "safe_open", "estimate files")
    count(dddm.training.checkpoint, "sha256_of", "hashed MB", lambda path: path.stat().st_size)
    local = {"LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(world)}
    os.environ.update({"RANK": str(rank), "WORLD_SIZE": str(world), **local})
    text = RECIPE.format(
        images=folder / "images",
        packed=folder / "packed",
        store=store,
        batch=max(BATCH, world),
        shards=max(world, 64),
    )
    (folder / f"{rank}.toml").write_text(text, "utf-8")
    catalogue = load_catalogue()
    recipe = read_recipe(str(folder / f"{rank}.toml"), catalogue=catalogue)
    found: dict[str, dict[str, float]] = {"start": {}, "checkpoint": {}, "resume": {}}
    with measured(found["start"]):
        run = open_run(recipe, folder / "run", device="cpu", stop=StopRequest())
        context = run.__enter__()
        parts = build_for_training(context)
        training = Training(context=context, parts=parts, log=None)
    with measured(found["checkpoint"]):
        checkpointing.save(training)
        training.saver.wait()
    context.processes.barrier()
    with measured(found["resume"]):
        checkpointing.resume(training, checkpointing.find_latest(context))
    context.processes.barrier()
    run.__exit__(None, None, None)
    return found


def forked(work: Callable[[int], Any], *, count: int) -> list[Any]:
    """What `work` gives in so many processes, by their number."""
    pipes: list[int] = []
    children: list[int] = []
    for number in range(count):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for other in (reading, *pipes):
                    os.close(other)
                with os.fdopen(writing, "w", encoding="utf-8") as file:
                    json.dump(work(number), file)
                status = 0
            except BaseException:  # noqa: BLE001 - the parent only sees that it failed
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(writing)
        pipes.append(reading)
        children.append(child)
    texts = []
    for reading in pipes:
        with os.fdopen(reading, encoding="utf-8") as file:
            texts.append(file.read())
    failed = [number for number, child in enumerate(children) if os.waitpid(child, 0)[1]]
    if failed:
        raise SystemExit(f"processes {failed} failed")
    return [json.loads(text) for text in texts]


def write_images(folder: Path) -> None:
    """A folder of tiny images in ten classes."""
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
    draw = np.random.default_rng(0)
    for number in range(IMAGES):
        pixels = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(
            folder / str(number % 10) / f"{number:05d}.png", compress_level=0
        )


def one_world(world: int, *, store: str) -> list[dict[str, dict[str, float]]]:
    """What each process of a run of so many measured."""
    with tempfile.TemporaryDirectory() as name, socket.create_server(("127.0.0.1", 0)) as taken:
        folder = Path(name)
        os.environ["MASTER_ADDR"] = "127.0.0.1"
        os.environ["MASTER_PORT"] = str(taken.getsockname()[1])
        taken.close()
        write_images(folder / "images")
        return forked(lambda rank: worker(rank, world, folder=folder, store=store), count=world)


def index(images: int, *, processes: int) -> dict[str, float]:
    """What the order of one epoch takes in one of so many processes."""
    plan = BatchPlan.make(images=images, batch_images=BATCH, shards=64, seed=0)
    found: dict[str, float] = {}
    with measured(found):
        rows = plan.rows_of_epoch(0, part=plan.process_slice(rank=0, processes=processes))
        rows(0)
    return found


@click.command()
@click.option("--world", "worlds", multiple=True, type=int, default=(2, 8, 16, 32, 64))
@click.option("--store", default="ram", help="Target store: ram or mmap.")
@click.option("--index", "images", type=int, help="Measure the order of an epoch of so many.")
def main(worlds: Sequence[int], store: str, images: int | None) -> None:
    """See the module."""
    torch.set_num_threads(1)
    if images is not None:
        for processes in (1, 8, 64):
            (found,) = forked(lambda _: index(images, processes=processes), count=1)
            print(
                f"{images:,} images, one of {processes:2} processes: "
                f"{found['CPU s']:.2f} CPU s, peak {found['peak MB']:.0f} MB more",
                flush=True,
            )
        return
    print(f"{IMAGES} images, store {store}; median and most of the processes, or their sum")
    for world in worlds:
        found = one_world(world, store=store)
        for phase in found[0]:
            of = {what: [one[phase][what] for one in found] for what in found[0][phase]}
            parts = [f"{world:5} {phase:10}"]
            parts += [
                f"{what} {np.median(of[what]):.4g}, most {max(of[what]):.4g}"
                for what in ("CPU s", "peak MB", "descriptors")
            ]
            parts += [f"{what} {sum(of[what]):g}" for what in ("folder walks", "estimate files")]
            parts.append(f"hashed MB {sum(of['hashed MB']):.3g}, most {max(of['hashed MB']):.3g}")
            print("; ".join(parts), flush=True)


if __name__ == "__main__":
    main()
