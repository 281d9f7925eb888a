"""What a training step costs beside the network: data, target store, random numbers, EMA.

    python benchmarks/cost_beside_the_network.py [--batch 8] [--steps 6]

The parts of algorithm 1 are run one after the other, as training runs them, at the size of the
paper's CIFAR-10 model: 50,000 images of 3×32×32, a network of 128 × (1, 2, 2, 2) channels.  The
images are random; only time is measured.  Each part is timed in every step, between its neighbours,
so that all meet the same machine in the same state and with the same caches; the median counts.
Takes about two minutes on two CPU cores, and 3 GB of memory.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final, final

import click
import torch
from attrs import Factory, frozen
from torch import Tensor

from dddm.core.denoiser import ScheduledDenoiser
from dddm.core.draws import draw
from dddm.core.ema import MovingAverage
from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import Objective, TrainingProgress
from dddm.interfaces.plugin import Kind
from dddm.interfaces.shards import Shards
from dddm.registry.catalogue import Catalogue
from dddm.registry.loader import load_catalogue
from dddm.support.images import from_uint8

SHAPE: Final = ImageShape(channels=3, height=32, width=32)
IMAGES: Final = 50_000
PAPERS_BATCH: Final = 1024
UNTIMED: Final = 2
"""Steps at the start, in which memory is first touched."""
NETWORK: Final = "forward and backward"
ADAM: Final = "Adam"
NORM: Final = "gradient's norm"
EMA: Final = "EMA"
DATA: Final = "data: index, convert"
READ: Final = "store: read"
WRITE: Final = "store: write"
DRAW: Final = "draw times and noise"
DIFFUSE: Final = "diffuse"
BESIDE: Final = (DATA, READ, WRITE, DRAW, DIFFUSE, EMA)


@final
@frozen(kw_only=True)
class Given:
    """What the network and the loss are given."""

    x_0: Tensor
    x_t: Tensor
    t: Tensor
    estimate: Tensor


@final
@frozen(kw_only=True)
class Clock:
    """Seconds of each part, one number for each step."""

    seconds: dict[str, list[float]] = Factory(dict)

    @contextmanager
    def time(self, part: str) -> Iterator[None]:
        """Add what the block takes to a part's numbers."""
        began = time.perf_counter()
        yield
        self.seconds.setdefault(part, []).append(time.perf_counter() - began)

    def medians(self) -> dict[str, float]:
        """One number for each part."""
        return {part: median(seconds) for part, seconds in self.seconds.items()}


@final
class Job:
    """All that a training step needs, made as a recipe makes it."""

    def __init__(self) -> None:
        catalogue = load_catalogue()
        self.image_NCHW = torch.randint(0, 256, (IMAGES, *SHAPE.as_tuple), dtype=torch.uint8)
        self.schedule = _make(catalogue, Kind.SCHEDULE, "dddm:vp")
        self.objective: Objective = _make(catalogue, Kind.OBJECTIVE, "dddm:directly-denoising")
        self.metric = _make(catalogue, Kind.METRIC, "dddm:pseudo-huber", c=0.00014)
        self.store = _make(catalogue, Kind.TARGET_STORE, "dddm:ram")
        network = catalogue.find(Kind.BACKBONE, "dddm:adm")
        options = network.options(
            channels=128, multipliers=(1, 2, 2, 2), blocks=3, attention=(16, 8)
        )
        self.backbone = network.load()(options, shape=SHAPE, classes=0)
        self.model = ScheduledDenoiser(schedule=self.schedule, backbone=self.backbone)
        self.optimizer = torch.optim.Adam(self.backbone.parameters(), lr=1e-4)
        self.ema = MovingAverage(self.backbone, decay=0.9999, warmup=False)

    def open_store(self, folder: Path) -> float:
        """Open the store; seconds taken."""
        began = time.perf_counter()
        self.store.open(
            shards=Shards.whole(IMAGES),
            shape=SHAPE,
            seed=0,
            folder=folder,
            device=torch.device("cpu"),
            kept_snapshots=2,
        )
        return time.perf_counter() - began

    def fill_store(self) -> None:
        """Write every row, so that none is noise any more, as after the first epoch."""
        self.store.begin_epoch(0)
        for index_B in torch.split(torch.arange(IMAGES), PAPERS_BATCH):
            self.store.write(index_B, estimate=torch.randn(len(index_B), *SHAPE.as_tuple))

    def step(self, clock: Clock, *, index_B: Tensor, number: int) -> None:
        """One step of algorithm 1 with its optimizer, each part timed."""
        given = self.before_the_network(clock, index_B=index_B, number=number)
        with clock.time(NETWORK):
            cache = self.model.begin(x_t=given.x_t, t=given.t, label=None)
            new_estimate = self.model.refine(cache, estimate=given.estimate)
            loss_B = self.metric.distance(estimate=new_estimate, target=given.x_0)
            self.optimizer.zero_grad()
            loss_B.mean().backward()
        with clock.time(NORM):
            torch.nn.utils.clip_grad_norm_(self.backbone.parameters(), float("inf"))
        self.write(clock, index_B=index_B, estimate=new_estimate.detach())
        with clock.time(ADAM):
            self.optimizer.step()
        with clock.time(EMA):
            self.ema.update(self.backbone, update=number)

    def before_the_network(self, clock: Clock, *, index_B: Tensor, number: int) -> Given:
        """All that a step does before the network."""
        generator = torch.Generator().manual_seed(number)
        with clock.time(DATA):
            x_0 = from_uint8(self.image_NCHW[index_B])
        with clock.time(DRAW):
            draws = draw(
                self.objective,
                count=len(x_0),
                shape=SHAPE,
                schedule=self.schedule,
                progress=TrainingProgress(step=number, total_steps=number + 1, epoch=0),
                generator=generator,
                flips=False,
            ).values
        with clock.time(READ):
            estimate = self.store.read(index_B)
        with clock.time(DIFFUSE):
            x_t = self.schedule.diffuse(x_0=x_0, t=draws["t"], noise=draws["noise"])
        return Given(x_0=x_0, x_t=x_t, t=draws["t"], estimate=estimate)

    def write(self, clock: Clock, *, index_B: Tensor, estimate: Tensor) -> None:
        """Keep the estimates."""
        with clock.time(WRITE):
            self.store.write(index_B, estimate=estimate)


def _make(catalogue: Catalogue, kind: Kind, name: str, **options: Any) -> Any:
    component = catalogue.find(kind, name)
    return component.load()(component.options(**options))


def table(seconds: dict[str, float]) -> str:
    """Rows of Markdown: milliseconds of each part, and its share of forward, backward and Adam."""
    whole = seconds[NETWORK] + seconds[ADAM]
    rows = [(part, seconds[part]) for part in (NETWORK, ADAM)]
    rows.append(("**these two: the step**", whole))
    rows += [(part, seconds[part]) for part in BESIDE]
    rows.append(("**beside the network**", sum(seconds[part] for part in BESIDE)))
    rows.append((f"{NORM} (for the log; not in the sum)", seconds[NORM]))
    lines = ["| part | ms | share of the step |", "| --- | ---: | ---: |"]
    lines += [f"| {part} | {1e3 * s:.2f} | {s / whole:.3%} |" for part, s in rows]
    return "\n".join(lines)


def measure(job: Job, *, batch: int, steps: int) -> dict[str, float]:
    """Median seconds of each part, of whole training steps."""
    clock, order_N = Clock(), torch.randperm(IMAGES, generator=torch.Generator().manual_seed(0))
    job.store.begin_epoch(1)
    for number in range(-UNTIMED, steps):
        index_B = order_N[(number + UNTIMED) * batch :][:batch]
        job.step(clock if number >= 0 else Clock(), index_B=index_B, number=number + UNTIMED)
    return clock.medians()


def at_the_papers_batch(job: Job, measured: dict[str, float], *, batch: int) -> dict[str, float]:
    """The same at batch 1024: what goes over images is measured, only the network is extrapolated.

    Adam, EMA and the norm go over the weights, and take what they took.
    """
    clock, order_N = Clock(), torch.randperm(IMAGES, generator=torch.Generator().manual_seed(1))
    job.store.begin_epoch(2)
    for number, index_B in enumerate(order_N.reshape(-1, IMAGES // 40)[:, :PAPERS_BATCH]):
        given = job.before_the_network(clock, index_B=index_B, number=number)
        job.write(clock, index_B=index_B, estimate=given.estimate)
    network = measured[NETWORK] * PAPERS_BATCH / batch
    return measured | clock.medians() | {NETWORK: network}


@click.command()
@click.option("--batch", default=8, help="Images in a step.")
@click.option("--steps", default=6, help="Steps that are timed, after two that are not.")
def main(batch: int, steps: int) -> None:
    """Measure and print."""
    load = os.getloadavg()[0]
    job = Job()
    weights = sum(parameter.numel() for parameter in job.backbone.parameters())
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, load before: {load:.1f}")
    print(f"{weights / 1e6:.1f}M weights, batch {batch}, median of {steps} steps")
    with tempfile.TemporaryDirectory() as folder:
        opened = job.open_store(Path(folder))
        taken = job.store.memory_usage(rows=IMAGES, shape=SHAPE, kept_snapshots=2).total
        print(f"store: {taken / 1e6:.0f} MB, opened in {opened:.2f} s, once a run")
        job.fill_store()
        measured = measure(job, batch=batch, steps=steps)
        larger = at_the_papers_batch(job, measured, batch=batch)
    print(f"load after: {os.getloadavg()[0]:.1f}")
    print(f"\nbatch {batch}, all measured\n\n{table(measured)}")
    print(
        f"\nbatch {PAPERS_BATCH}, {NETWORK} extrapolated from batch {batch} in proportion, ", end=""
    )
    print(f"the rest measured\n\n{table(larger)}")


if __name__ == "__main__":
    main()
