"""What it costs a training step that its metric comes from a third party's package.

    python benchmarks/third_party_metric.py [--rounds 200] [--threads 1]

The metric, √(d² + ε²) averaged over pixels, is a distribution of its own in a temporary folder on
the path.  Three steps of algorithm 1, forward and backward, with the digits recipe's network and
batch:

1. `through the recipe`: the metric that entry point, registry and recipe have built, as in a run.
2. `class called directly`: the same class, imported and made by hand.
3. `arithmetic inline`: the lines of the objective `directly-denoising` written out, with the
   formula in the place of the call.

They take turns in an order that is drawn for each round, so that all meet the same machine, and
give the same loss and gradients, which is checked first.  What counts is the median over rounds of
the ratio of CPU times within a round, with its quartiles; and the call alone, timed in isolation,
as a share of a step.  The aim is less than 1 %.  Takes about a minute.
"""

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
import torch
from torch import Tensor

from dddm.core.denoiser import ScheduledDenoiser
from dddm.core.draws import Draws, draw
from dddm.core.step import StepParts, make_step
from dddm.interfaces.metric import Metric
from dddm.interfaces.objective import Batch, TrainingProgress
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.support.images import from_uint8
from dddm.training.build import TrainingParts, build_for_training
from dddm.training.context import RunContext
from dddm.training.events import EventBus
from dddm.training.run_folder import RunFolder

EPS: Final = 0.05
PROGRESS: Final = TrainingProgress(step=0, total_steps=1, epoch=0)
RECIPE: Final = "through the recipe"
DIRECT: Final = "class called directly"
INLINE: Final = "arithmetic inline"

PLUGIN: Final = """\
from attrs import frozen
from dddm.interfaces.plugin import Kind, hookimpl, option

@frozen(kw_only=True)
class Options:
    eps: float = option(above=0, help="How far from zero the corner is rounded off.")

@hookimpl
def dddm_register(registrar):
    registrar.add(
        Kind.METRIC, "charbonnier", target="bench_metric:Charbonnier", options=Options, summary="."
    )
"""
METRIC: Final = """\
from dddm.interfaces.metric import Metric
from dddm.interfaces.objective import Batch, TrainingProgress

class Charbonnier(Metric):
    def __init__(self, options):
        self.eps = options.eps

    def distance(self, *, estimate, target):
        return ((estimate - target).square() + self.eps**2).sqrt().flatten(1).mean(1)
"""


def install(folder: Path) -> None:
    """Write the third party's distribution as an installer would."""
    info = folder / "dddm_bench_metric-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dddm-bench-metric\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dddm]\nbench = bench_plugin\n")
    (folder / "bench_plugin.py").write_text(PLUGIN)
    (folder / "bench_metric.py").write_text(METRIC)


def parts_of(folder: Path) -> TrainingParts:
    """What a run of the digits recipe with the third-party metric trains with."""
    text = f'extends = "digits"\n[metric]\nuse = "bench:charbonnier"\neps = {EPS}\n'
    file = folder / "bench.toml"
    file.write_text(text)
    recipe = read_recipe(file, catalogue=load_catalogue())
    assert recipe.metric is not None
    assert recipe.metric.component.package == "dddm-bench-metric"
    place, cpu = RunFolder(folder / "run"), torch.device("cpu")
    return build_for_training(
        RunContext(recipe=recipe, folder=place, device=cpu, events=EventBus(()))
    )


def batch_of(parts: TrainingParts) -> Batch:
    """The first batch of the first epoch."""
    index_B = parts.plan.rows_of_epoch(0, part=parts.plan.process_slice(rank=0, processes=1))(
        0
    ).index
    x_0_BCHW = from_uint8(parts.split.images(index_B))
    return Batch(index=index_B, x_0=x_0_BCHW, label=parts.split.labels(index_B), rows=index_B)


def draws_for(parts: TrainingParts, batch: Batch) -> Draws:
    """The same numbers for each step."""
    generator = torch.Generator().manual_seed(0)
    count, shape = len(batch.index), parts.split.shape
    return draw(
        parts.objective,
        count=count,
        shape=shape,
        schedule=parts.schedule,
        progress=PROGRESS,
        generator=generator,
        flips=False,
    )


def inline_loss(
    model: ScheduledDenoiser, parts: TrainingParts, *, batch: Batch, draws: Draws
) -> Tensor:
    """The objective's step with the formula in the place of the metric."""
    stored_BCHW = parts.memory.read(batch.rows)["estimate"]
    t_B = draws.values["t"]
    x_t_BCHW = model.schedule.diffuse(x_0=batch.x_0, t=t_B, noise=draws.values["noise"])
    estimate_BCHW = model.evaluate(x_t=x_t_BCHW, t=t_B, label=batch.label, estimate=stored_BCHW)
    return formula(estimate_BCHW, batch.x_0).mean()


def formula(estimate_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
    """What the metric computes."""
    return ((estimate_BCHW - target_BCHW).square() + EPS**2).sqrt().flatten(1).mean(1)


def directly_made() -> Metric:
    """The third party's class, without registry and recipe."""
    from bench_metric import Charbonnier  # type: ignore[import-not-found]
    from bench_plugin import Options  # type: ignore[import-not-found]

    metric: Metric = Charbonnier(Options(eps=EPS))
    return metric


def metric_of(parts: TrainingParts) -> Metric:
    """The metric that the recipe names."""
    assert parts.metric is not None
    return parts.metric


def steps_of(parts: TrainingParts) -> dict[str, Callable[[], Tensor]]:
    """The three steps: each gives its loss and leaves gradients."""
    batch = batch_of(parts)
    draws = draws_for(parts, batch)
    model = ScheduledDenoiser(schedule=parts.schedule, backbone=parts.backbone)

    def with_metric(metric: Metric) -> Callable[[], Tensor]:
        made = StepParts(objective=parts.objective, denoiser=model, average=None, metric=metric)

        def loss() -> Tensor:
            memory = parts.memory.read(batch.rows)
            return make_step(made, batch=batch, draws=draws, memory=memory, progress=PROGRESS).loss

        return loss

    forward = {
        RECIPE: with_metric(metric_of(parts)),
        DIRECT: with_metric(directly_made()),
        INLINE: lambda: inline_loss(model, parts, batch=batch, draws=draws),
    }

    def whole(loss_of: Callable[[], Tensor]) -> Callable[[], Tensor]:
        def step() -> Tensor:
            parts.backbone.zero_grad()
            loss = loss_of()
            loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
            return loss.detach()

        return step

    return {name: whole(loss_of) for name, loss_of in forward.items()}


def refuse_unequal(steps: dict[str, Callable[[], Tensor]], parts: TrainingParts) -> None:
    """All three compute the same."""
    found = {}
    for name, step in steps.items():
        loss = step()
        gradients = [p.grad.clone() for p in parts.backbone.parameters() if p.grad is not None]
        found[name] = (loss, gradients)
    for name in (DIRECT, INLINE):
        assert torch.equal(found[name][0], found[RECIPE][0]), name
        pairs = zip(found[name][1], found[RECIPE][1], strict=True)
        assert all(torch.equal(ours, theirs) for ours, theirs in pairs), name


def microseconds(call: Callable[[], Any], *, calls: int = 2000) -> float:
    """CPU time of one call, the smallest of several means."""
    means = []
    for _ in range(7):
        began = time.process_time()
        for _ in range(calls):
            call()
        means.append((time.process_time() - began) / calls)
    return min(means) * 1e6


@click.command(context_settings={"show_default": True})
@click.option("--rounds", default=200, help="Steps of each kind.")
@click.option("--threads", default=1, help="Threads of torch.")
def main(rounds: int, threads: int) -> None:
    """Print the ratios."""
    torch.set_num_threads(threads)
    order = random.Random(0)  # noqa: S311 - an order, no secret
    with tempfile.TemporaryDirectory() as folder:
        sys.path.insert(0, folder)
        install(Path(folder))
        parts = parts_of(Path(folder))
        parts.memory.begin_epoch(0)
        parts.backbone.eval()
        steps = steps_of(parts)
        refuse_unequal(steps, parts)
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(rounds):
            for name in order.sample(list(steps), k=len(steps)):
                began = time.process_time()
                steps[name]()
                seconds[name].append(time.process_time() - began)
        target_BCHW = batch_of(parts).x_0
        estimate_BCHW = target_BCHW + 0.1
        given = {"estimate": estimate_BCHW, "target": target_BCHW}
        with torch.no_grad():
            called = microseconds(lambda: metric_of(parts).distance(**given))
            bare = microseconds(lambda: formula(estimate_BCHW, target_BCHW))
        parts.memory.close()
    step_ms = statistics.median(seconds[INLINE]) * 1000
    print(f"a step with the {INLINE}: {step_ms:.2f} ms of CPU time, median of {rounds}")
    for name in (RECIPE, DIRECT):
        ratios = [a / b for a, b in zip(seconds[name], seconds[INLINE], strict=True)]
        low, middle, high = (100 * (cut - 1) for cut in statistics.quantiles(ratios, n=4))
        print(f"{name}: {middle:+.2f} % (quartiles {low:+.2f} to {high:+.2f})")
    extra = called - bare
    share = extra / (step_ms * 1000)
    print(f"the call: {called:.1f} µs beside {bare:.1f} µs of arithmetic; {share:.4%} of a step")


if __name__ == "__main__":
    main()
