"""The table that `dddm run --dry-run` prints."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dddm.recipe.model import Recipe
    from dddm.tasks.dry_run import Outlook

_WIDTH = 10
_MILLION, _BILLION = 10**6, 10**9


def show_outlook(recipe: "Recipe", outlook: "Outlook") -> None:
    """Print what a recipe will take."""
    click.echo(f"{recipe.name}, without running it")
    for word, text in _rows(recipe, outlook):
        click.echo(f"  {word.ljust(_WIDTH)}{text}")


def _rows(recipe: "Recipe", outlook: "Outlook") -> Iterator[tuple[str, str]]:
    facts, flops, plan = outlook.facts, outlook.flops, outlook.plan
    classes = f", {len(facts.classes):,} classes" if facts.classes else ""
    yield (
        "images",
        f"{facts.train_images:,} of {facts.shape}{classes}; {_bytes(outlook.image_bytes)}",
    )
    yield "network", f"{_parameters(outlook.parameters)} parameters"
    # A network need not have anything that is counted.
    once = flops.begin / flops.forward if flops.forward else 0.0
    yield (
        "",
        (
            f"{_flop(flops.forward)} a forward pass of one image; of these "
            f"{once:.0%} only once for a sample of any number of steps"
        ),
    )
    yield (
        "training",
        (
            f"{outlook.epochs:,} epochs of {plan.batches_per_epoch:,} steps of "
            f"{plan.batch_images:,} images: {outlook.steps:,} steps"
        ),
    )
    yield "", f"about {_si(outlook.training_flops)}FLOP, three forward passes an image"
    if plan.stale_images:
        yield "", f"{plan.stale_images:,} images of each epoch stand in no batch (drop_last)"
    held = outlook.weights_bytes + outlook.gradient_bytes + outlook.adam_bytes + outlook.ema_bytes
    yield (
        "memory",
        f"{_bytes(outlook.store.memory)} target store ({recipe.targets.component.name})",
    )
    if outlook.store.disk:
        kept = f"with the versions that checkpoints need: {_bytes(outlook.store.disk)} at most"
        yield "", f"its rows on the disk, {kept}"
    if outlook.store.device:
        yield "", f"{_bytes(outlook.store.device)} of it in the device's memory"
    yield (
        "",
        (
            f"{_bytes(held)}: weights {_bytes(outlook.weights_bytes)}, gradient "
            f"{_bytes(outlook.gradient_bytes)}, Adam {_bytes(outlook.adam_bytes)}, averages "
            f"{_bytes(outlook.ema_bytes)}"
        ),
    )
    yield (
        "",
        "activations come on top; train.accumulate lowers them, and the backbone's options may",
    )
    if outlook.samples:
        yield "samples", f"{outlook.evaluations:,} network evaluations of one image"
        for cost in outlook.samples:
            steps = ", ".join(f"{count:,}" for count in cost.steps)
            each = f"{cost.images:,} images × {cost.evaluations_of_image:,} evaluations"
            yield "", f"{cost.sampler} at {steps} steps: {each}"


def _parameters(count: int) -> str:
    """`52.6M`, as papers write it; a small network's to the last one."""
    return f"{count / 1e6:,.1f}M" if count >= _MILLION else f"{count:,}"


def _flop(count: int) -> str:
    """`17.61 GFLOP`; of a small network with the prefix that shows its digits."""
    return f"{count / 1e9:,.2f} GFLOP" if count >= _BILLION else f"{_si(count)}FLOP"


def _bytes(count: int) -> str:
    return f"{_si(count)}B"


def _si(count: float) -> str:
    """With three digits and the prefix of thousands: `614 M`."""
    for prefix in ("", "k", "M", "G", "T", "P", "E"):
        if count < 1000:  # noqa: PLR2004 - one prefix for each thousand
            return f"{count:.3g} {prefix}"
        count /= 1000
    return f"{count:.3g} Z"
