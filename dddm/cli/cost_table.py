"""The table that `dddm run --dry-run` prints."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dddm.recipe.model import Recipe
    from dddm.workflow.dry_run import CostEstimate

_WIDTH = 10
_MILLION, _BILLION = 10**6, 10**9


def show_cost(recipe: "Recipe", estimate: "CostEstimate") -> None:
    """Print what a recipe will take."""
    click.echo(f"{recipe.name}, without running it")
    for word, text in _rows(recipe, estimate):
        click.echo(f"  {word.ljust(_WIDTH)}{text}")


def _rows(recipe: "Recipe", estimate: "CostEstimate") -> Iterator[tuple[str, str]]:
    facts, cost, flops = estimate.facts, estimate.cost, estimate.cost.network
    classes = f", {len(facts.classes):,} classes" if facts.classes else ""
    yield (
        "images",
        f"{facts.train_images:,} of {facts.shape}{classes}; {_bytes(estimate.image_bytes)}",
    )
    yield "network", f"{_parameters(cost.parameters)} parameters"
    shared = ""
    # Without x̂ nothing is left for a step alone; and a network need not have what is counted.
    if flops.forward and recipe.needs.estimate != "none":
        once = flops.begin / flops.forward
        shared = f"; of these {once:.0%} only once for a sample of any number of steps"
    yield "", f"{_flop(flops.forward)} a forward pass of one image{shared}"
    yield (
        "training",
        (
            f"{estimate.steps:,} steps of {estimate.batch_images:,} images, "
            f"{estimate.steps / estimate.steps_per_epoch:,.4g} epochs of "
            f"{estimate.steps_per_epoch:,} steps"
        ),
    )
    objective = recipe.objective.component.name
    yield "", f"about {_si(estimate.training_flops)}FLOP, by the objective {objective}"
    of_network = _flop(round(cost.network_flops))
    yield "", f"of an image: evaluations of the network {_passes(recipe)}, {of_network}"
    if recipe.metric is not None and cost.metric_flops != 0:
        metric = recipe.metric.component.name
        counted = cost.metric_flops
        of_metric = "not counted" if counted is None else _flop(round(counted))
        yield "", f"of an image: the metric {metric} with its gradient, {of_metric}"
    if estimate.stale_images:
        yield "", f"{estimate.stale_images:,} images of each epoch stand in no batch (drop_last)"
    held = (
        estimate.weights_bytes,
        estimate.gradient_bytes,
        estimate.optimizer_bytes,
        estimate.ema_bytes,
    )
    weights, gradient, optimizer, averages = map(_bytes, held)
    yield (
        "memory",
        (
            f"{_bytes(sum(held))}: weights {weights}, gradient {gradient}, "
            f"{recipe.optimizer.component.name} {optimizer}, averages {averages}"
        ),
    )
    yield from _store_rows(recipe, estimate)
    yield (
        "",
        (
            "activations come on top; train.accumulation_steps lowers them, and the backbone's "
            "options may"
        ),
    )
    if estimate.samples:
        yield "samples", f"{estimate.evaluations:,} network evaluations of one image"
        for job in estimate.samples:
            steps = ", ".join(f"{count:,}" for count in job.steps)
            each = f"{job.images:,} images × {job.evaluations_of_image:,} evaluations"
            yield "", f"{job.sampler} at {steps} steps: {each}"


def _passes(recipe: "Recipe") -> str:
    """How often the network is evaluated, and how."""
    needs = recipe.needs
    kinds = {
        "with gradient": needs.evaluations,
        "without": needs.evaluations_without_gradient,
        "forward-mode": needs.derivatives,
    }
    return ", ".join(f"{count:g} {how}" for how, count in kinds.items() if count)


def _store_rows(recipe: "Recipe", estimate: "CostEstimate") -> Iterator[tuple[str, str]]:
    """Nothing for an objective without memory."""
    store = estimate.store
    if store is None or recipe.targets is None:
        return
    yield "", f"{_bytes(store.memory)} target store ({recipe.targets.component.name})"
    if store.disk:
        kept = f"with the versions that checkpoints need: {_bytes(store.disk)} at most"
        yield "", f"its rows on the disk, {kept}"
    if store.device:
        yield "", f"{_bytes(store.device)} of it in the device's memory"


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
