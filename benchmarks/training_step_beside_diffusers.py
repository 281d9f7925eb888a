"""A training step of the CIFAR-10 model beside diffusers' UNet2DModel, and in bfloat16.

    python benchmarks/training_step_beside_diffusers.py [--batch 8] [--rounds 5] [--threads 2]

Each step is forward, Pseudo-Huber, backward, Adam and EMA, at 128 × (1, 2, 2, 2) channels, three
blocks, attention at 16 and 8, dropout 0.3.  Ours is the recipe's network with the parts that dddm
trains with.  The other is diffusers' network of the same channels, blocks, attention and heads in
the loop that one writes first: torch's default Adam and swa_utils' average.  Theirs sees no
estimate; ours does, and its attention has twice the keys for it.  With the estimate concatenated
ours is the network of theirs, to 1e-5 with the same weights, but for three channels more at its
entrance.  All run in turn within each round, so that they meet the same machine; the ratios are of
medians.  Images are random.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
import torch
from attrs import frozen
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dddm.core.denoiser import ScheduledDenoiser
from dddm.core.ema import MovingAverage
from dddm.recipe.model import Recipe
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.support.torchvision_operators import import_torchvision
from dddm.training.build import build_metric
from dddm.training.network import build_schedule
from dddm.training.optimizer import build_optimizer
from dddm.workflow.dry_run import estimate_cost

CPU: Final = torch.device("cpu")
HUBER_C: Final = 0.03


@frozen(kw_only=True)
class Given:
    """What a step is given, (B, C, H, W) and (B,)."""

    x_0: Tensor
    noise: Tensor
    estimate: Tensor
    t: Tensor


def ours(recipe: Recipe, *, precision: torch.dtype = torch.float32) -> Callable[[Given], None]:
    """One step as dddm makes it."""
    facts = estimate_cost(recipe).facts
    backbone = recipe.backbone.instantiate(shape=facts.shape, classes=0)
    schedule, metric = build_schedule(recipe), build_metric(recipe, device=CPU)
    model = ScheduledDenoiser(schedule=schedule, backbone=backbone, precision=precision)
    average = MovingAverage(backbone, decay=0.9999, warmup=False)
    optimizer = build_optimizer(
        recipe.optimizer,
        parameters=list(backbone.parameters()),
        learning_rate=recipe.learning_rate.options.rate,
    )
    assert metric is not None

    def step(given: Given) -> None:
        x_t = schedule.diffuse(x_0=given.x_0, t=given.t, noise=given.noise)
        optimizer.zero_grad()
        cache = model.begin(x_t=x_t, t=given.t, label=None)
        estimate = model.refine(cache, estimate=given.estimate)
        loss = metric.distance(estimate=estimate, target=given.x_0).mean()
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
        optimizer.step()
        average.update(backbone, update=0)

    return step


def theirs(recipe: Recipe) -> Callable[[Given], None]:
    """One step of diffusers' network in a plain loop."""
    import_torchvision()  # diffusers imports it, and pip may pair it wrongly with torch
    import diffusers

    make: Any = diffusers.UNet2DModel
    network: nn.Module = make(
        sample_size=32,
        block_out_channels=(128, 256, 256, 256),
        layers_per_block=3,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=64,
        attn_norm_num_groups=32,  # the middle's, which diffusers leaves out beside scale_shift
        resnet_time_scale_shift="scale_shift",
        dropout=0.3,
    )
    follow: Any = get_ema_multi_avg_fn
    average = AveragedModel(network, multi_avg_fn=follow(0.9999))
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate.options.rate)
    schedule = build_schedule(recipe)

    def step(given: Given) -> None:
        x_t = schedule.diffuse(x_0=given.x_0, t=given.t, noise=given.noise)
        optimizer.zero_grad()
        raw = network(x_t, given.t).sample
        squares = (x_t - raw - given.x_0).square().flatten(1).sum(1)
        loss = ((squares + HUBER_C**2).sqrt() - HUBER_C).mean()
        loss.backward()
        optimizer.step()
        average.update_parameters(network)

    return step


@click.command()
@click.option("--batch", default=8, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--threads", default=2, show_default=True)
def main(batch: int, rounds: int, threads: int) -> None:
    """Print a table in Markdown."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    plain = _recipe()
    last, lower = _recipe("backbone.channels_last=true"), torch.bfloat16
    concatenated = _recipe("backbone.channels_last=true", 'backbone.estimate="concatenation"')
    steps = {
        "diffusers, float32": theirs(plain),
        "dddm, float32": ours(plain),
        "dddm, float32, channels last": ours(last),
        "dddm, float32, channels last, concatenation": ours(concatenated),
        "dddm, bfloat16": ours(plain, precision=lower),
        "dddm, bfloat16, channels last": ours(last, precision=lower),
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for turn in range(rounds + 1):  # in the first, memory is touched and kernels are chosen
        given = Given(
            x_0=torch.rand(batch, 3, 32, 32) * 2 - 1,
            noise=torch.randn(batch, 3, 32, 32),
            estimate=torch.randn(batch, 3, 32, 32),
            t=torch.randint(1, 1001, (batch,)),
        )
        for name, step in steps.items():
            cpu, wall = time.process_time(), time.perf_counter()
            step(given)
            taken = (time.process_time() - cpu, time.perf_counter() - wall)
            if turn:
                seconds[name].append(taken)
    _show(seconds, batch=batch)


def _recipe(*overrides: str) -> Recipe:
    metric = f'metric={{use = "pseudo-huber", c = {HUBER_C}}}'
    return read_recipe("cifar10", overrides=[metric, *overrides], catalogue=load_catalogue())


def _show(seconds: dict[str, list[tuple[float, float]]], *, batch: int) -> None:
    flags = (
        Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    )
    found = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {' '.join(found)}\n")
    print("| step | CPU s | wall s | images per CPU second | beside diffusers | beside float32 |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    medians = {
        name: tuple(statistics.median(column) for column in zip(*rows, strict=True))
        for name, rows in seconds.items()
    }
    base, plain = medians["diffusers, float32"], medians["dddm, float32"]
    for name, (cpu, wall) in medians.items():
        print(
            f"| {name} | {cpu:.3f} | {wall:.3f} | {batch / cpu:.2f} | {base[0] / cpu:.2f}× "
            f"| {plain[0] / cpu:.2f}× CPU, {plain[1] / wall:.2f}× wall |"
        )


if __name__ == "__main__":
    main()
