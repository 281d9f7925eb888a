"""What `begin` once saves, and what the sampler costs beside the bare network.

    python benchmarks/sampling.py [--recipe cifar10] [--images 8] [--steps 20] [--rounds 3]

`begin once` is algorithm 2 as `fixed-time` runs it; `plain loop` evaluates the whole network at
each step, with the operations that training does.  Then one block is drawn with one step, from
noise to uint8 images, beside the same evaluation alone.  The recipe's network with random weights;
sides in turn, medians, CPU.
"""

import time
from collections.abc import Callable
from statistics import median

import click
import torch
from torch import Tensor, nn

from dddm.core.denoiser import ScheduledDenoiser
from dddm.generate.generator import Generator
from dddm.generate.sample import generate_images
from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import Kind
from dddm.recipe.model import SampleSpec
from dddm.recipe.read import read_component, read_recipe
from dddm.registry.loader import load_catalogue
from dddm.training.network import build_schedule
from dddm_samplers.fixed_time import FixedTime
from dddm_samplers.options import FixedTimeOptions


def build(name: str, *, shape: ImageShape, classes: int) -> Generator:
    """The recipe's network, with random numbers where training would start from zeros."""
    recipe = read_recipe(name, catalogue=load_catalogue())
    torch.manual_seed(0)
    backbone = recipe.backbone.instantiate(shape=shape, classes=classes)
    for parameter in backbone.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    backbone.requires_grad_(requires_grad=False)  # so that `plain` keeps nothing for gradients
    return Generator(
        model=ScheduledDenoiser(schedule=build_schedule(recipe), backbone=backbone.eval()),
        backbone=backbone,
        device=torch.device("cpu"),
        shape=shape,
        classes=tuple(map(str, range(classes))),
        step=0,
        checkpoint_sha256=None,
        weights="none",
    )


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turn(sides: dict[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Medians of some rounds, after one that is not counted."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, work in sides.items():
            took = seconds(work)
            if number:
                found[name].append(took)
    return {name: median(times) for name, times in found.items()}


@click.command()
@click.option("--recipe", default="cifar10", show_default=True)
@click.option("--pixels", default=32, show_default=True)
@click.option("--images", default=8, show_default=True)
@click.option("--steps", default=20, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@torch.no_grad()
def main(recipe: str, pixels: int, images: int, steps: int, rounds: int) -> None:
    """Print both ratios."""
    shape = ImageShape(channels=3, height=pixels, width=pixels)
    classes = 1000 if recipe.startswith("imagenet") else 0
    generator = build(recipe, shape=shape, classes=classes)
    model = generator.model
    x_T, first = torch.randn(2, images, *shape.as_tuple)
    t = model.schedule.grid(steps=1).expand(images)
    label = torch.arange(images) if classes else None

    def once() -> Tensor:
        sampler = FixedTime(FixedTimeOptions())
        return list(
            sampler.sample(
                model=model,
                x_T=x_T,
                first_estimate=first,
                label=label,
                steps=steps,
                noise=torch.zeros,
            )
        )[-1]

    def again(*, as_in_training: bool) -> Tensor:
        estimate: Tensor = first
        with torch.set_grad_enabled(as_in_training):
            for _ in range(steps):
                raw = model.evaluate(x_t=x_T, t=t, label=label, estimate=estimate)
                estimate = raw.clamp(-1, 1)
        return estimate

    def plain() -> Tensor:
        return again(as_in_training=True)

    print(f"{recipe}: {images} images, {torch.get_num_threads()} threads")
    sample = once()
    print(
        f"bits of the whole network each time: {torch.equal(sample, again(as_in_training=False))}"
    )
    print(f"largest difference from the plain loop: {float((sample - plain()).abs().max()):.1e}")
    found = in_turn({"plain loop": plain, "begin once": once}, rounds=rounds)
    for name, took in found.items():
        print(f"{name}: {took:.2f} s for {steps} steps, {steps * images / took:.2f} evaluations/s")
    print(f"ratio: {found['plain loop'] / found['begin once']:.3f}")

    spec = SampleSpec(
        sampler=read_component(Kind.SAMPLER, "fixed-time", options=[], catalogue=load_catalogue()),
        steps=(1,),
        images=images,
        seed=0,
        block_images=images,
    )

    def drawn() -> dict[int, Tensor]:
        return generate_images(spec, generator=generator, sampler=spec.sampler.instantiate())

    def bare() -> Tensor:
        return model.evaluate(x_t=x_T, t=t, label=label, estimate=first)

    found = in_turn({"bare network": bare, "one-step sampler": drawn}, rounds=3 * rounds)
    for name, took in found.items():
        print(f"{name}: {images / took:.2f} images/s")
    print(f"ratio: {found['bare network'] / found['one-step sampler']:.3f}")


if __name__ == "__main__":
    main()
