"""Whether fewer evaluations reach what algorithm 2 reaches in 1,000.

    python benchmarks/convergence.py runs/digits [--images 64] [--steps 1000]

From the same noise, `fixed-time` and `accelerated` are compared with the last estimate of
`fixed-time`: root of the mean square distance over values in [-1, 1], median over the images.  Then
`fixed-time` with tolerances: evaluations saved, and the same distance at the end.
"""

from pathlib import Path
from typing import Final

import click
import torch
from torch import Tensor

import dddm
from dddm.generate.sample import recorded_steps
from dddm.interfaces.sampler import Sampler
from dddm.support.noise import noise_by_index
from dddm_samplers.accelerated import Accelerated
from dddm_samplers.fixed_time import FixedTime
from dddm_samplers.options import AcceleratedOptions, FixedTimeOptions

TOLERANCES: Final = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4)


def path_of(
    trained: dddm.Generator, sampler: Sampler, *, images: int, steps: int
) -> dict[int, Tensor]:
    """The estimates at round steps."""
    index = torch.arange(images)
    shape = trained.shape.as_tuple
    x_T, first = (
        noise_by_index(seed=0, purpose=purpose, index=index, shape=shape)
        for purpose in ("sample x_T", "sample estimate")
    )
    label = index % len(trained.classes) if trained.classes else None
    model = trained.denoiser
    run = sampler.sample(
        model=model,
        x_T=model.schedule.prior(noise=x_T),
        first_estimate=first,
        label=label,
        steps=steps,
        noise=torch.zeros,  # these samplers draw nothing
    )
    wanted = set(recorded_steps(steps))
    return {step: estimate for step, estimate in enumerate(run, start=1) if step in wanted}


def apart(one: Tensor, other: Tensor) -> float:
    """Median over the images of the root of the mean square distance."""
    return float((one - other).square().mean(dim=(1, 2, 3)).sqrt().median())


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--images", default=64, show_default=True)
@click.option("--steps", default=1000, show_default=True)
@torch.no_grad()
def main(run: Path, images: int, steps: int) -> None:
    """Print two tables."""
    trained = dddm.load(run, device="cpu")
    plain = path_of(trained, FixedTime(FixedTimeOptions()), images=images, steps=steps)
    goal = plain[steps]
    runs = {"fixed-time": plain}
    for history in (2, 5, 10):
        mixing = Accelerated(AcceleratedOptions(history=history))
        runs[f"accelerated, {history}"] = path_of(trained, mixing, images=images, steps=steps)
    print(f"| distance to {steps} steps of fixed-time | " + " | ".join(map(str, plain)) + " |")
    print("| --- |" + " ---: |" * len(plain))
    for name, path in runs.items():
        print(f"| {name} | " + " | ".join(f"{apart(x, goal):.4f}" for x in path.values()) + " |")
    print("\n| tolerance | evaluations of an image | saved | median distance | largest |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for tolerance in TOLERANCES:
        sampler = FixedTime(FixedTimeOptions(tolerance=tolerance))
        with counted_evaluations(trained) as count:
            found = path_of(trained, sampler, images=images, steps=steps)[steps]
        each = count[0] / images
        largest = float((found - goal).square().mean(dim=(1, 2, 3)).sqrt().max())
        print(
            f"| {tolerance:g} | {each:.1f} | {1 - each / steps:.1%} | {apart(found, goal):.4f} "
            f"| {largest:.4f} |",
            flush=True,
        )


class counted_evaluations:  # noqa: N801 - a context manager that reads as a function
    """How many images the network is evaluated on within the block."""

    def __init__(self, trained: dddm.Generator) -> None:
        self._model = trained.denoiser
        self._count = [0]

    def __enter__(self) -> list[int]:
        refine = self._model.refine

        def counting(cache: object, *, estimate: Tensor | None) -> Tensor:
            refined = refine(cache, estimate=estimate)
            self._count[0] += len(refined)
            return refined

        self._model.refine = counting  # type: ignore[method-assign]
        return self._count

    def __exit__(self, *_: object) -> None:
        del self._model.refine


if __name__ == "__main__":
    main()
