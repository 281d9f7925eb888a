"""The table that `dddm run --dry-run` prints."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from dddm.support.quantities import counted, duration, flops, size

if TYPE_CHECKING:
    from dddm.recipe.model import Recipe
    from dddm.workflow.dry_run import CostEstimate


def show_cost(
    recipe: "Recipe",
    estimate: "CostEstimate",
    *,
    memory: int | None,
    seconds: tuple[float, float] | None,
) -> None:
    """Print what a recipe will take.

    Args:
        memory: bytes, for which it says how many images at a time fit.
        seconds: of training and of samples, if they were measured.
    """
    click.echo(f"{recipe.name}, without running it")
    rows = {
        "images": _images(estimate),
        "network": _network(recipe, estimate),
        "training": _training(recipe, estimate),
        "memory": _memory(recipe, estimate, memory),
        "samples": _samples(estimate),
        "time": _time(seconds),
    }
    for name, lines in rows.items():
        for k, line in enumerate(lines):
            click.echo(f"  {name if k == 0 else '':<10}{line}")


def _images(estimate: "CostEstimate") -> Iterator[str]:
    facts = estimate.facts
    classes = f", {len(facts.classes):,} classes" if facts.classes else ""
    yield f"{facts.train_images:,} of {facts.shape}{classes}; {size(estimate.image_bytes)}"


def _network(recipe: "Recipe", estimate: "CostEstimate") -> Iterator[str]:
    network = estimate.cost.network
    yield f"{estimate.cost.parameters:,} parameters"
    shared = ""
    # Only networks that see the previous estimate have a part that is computed once per sample.
    if network.forward and recipe.needs.estimate != "none":
        once = network.begin / network.forward
        shared = f", {once:.0%} of it only once per sample, at any number of steps"
    yield f"{flops(network.forward)} per forward pass of one image{shared}"


def _training(recipe: "Recipe", estimate: "CostEstimate") -> Iterator[str]:
    cost, needs = estimate.cost, recipe.needs
    epochs = estimate.steps / estimate.steps_per_epoch
    yield (
        f"{estimate.steps:,} steps of {estimate.batch_images:,} images, {epochs:,.4g} epochs of "
        f"{estimate.steps_per_epoch:,} steps"
    )
    objective = recipe.objective.component.name
    yield f"{flops(estimate.training_flops)} with the objective {objective}"
    if cost.step_flops is None:
        yield "a step cannot be counted here, so that a formula stands in for it:"
    else:
        yield f"per image: {flops(cost.flops)} in all, counted in one step"
    passes = {
        "with gradient": needs.evaluations,
        "without gradient": needs.evaluations_without_gradient,
        "in forward mode": needs.derivatives,
    }
    evaluations = ", ".join(f"{count:g} {how}" for how, count in passes.items() if count)
    yield f"per image: network evaluations {evaluations}, {flops(cost.network_flops)}"
    if recipe.metric is not None and cost.metric_flops != 0:
        counts = "not counted" if cost.metric_flops is None else flops(cost.metric_flops)
        yield f"per image: the metric {recipe.metric.component.name} with its gradient, {counts}"
    if estimate.preparation_flops:
        yield f"before the first step: {flops(estimate.preparation_flops)} of learning features"
    if estimate.stale_images:
        stale = counted(estimate.stale_images, "image")
        yield f"{stale} of each epoch in no batch, as the last one would not be full"


def _memory(recipe: "Recipe", estimate: "CostEstimate", memory: int | None) -> Iterator[str]:
    held = {
        "weights": estimate.weights_bytes,
        "gradient": estimate.gradient_bytes,
        recipe.optimizer.component.name: estimate.optimizer_bytes,
        "EMA": estimate.ema_bytes,
    }
    parts = ", ".join(f"{name} {size(count)}" for name, count in held.items())
    yield f"{size(sum(held.values()))}: {parts}"
    store = estimate.store
    if store is not None and recipe.targets is not None:
        yield f"{size(store.memory)} target store ({recipe.targets.component.name})"
        if store.disk:
            yield f"its rows on disk, with the versions in checkpoints: at most {size(store.disk)}"
        if store.device:
            yield f"{size(store.device)} of it in device memory"
    yield from _activations(recipe, estimate, memory)


def _activations(recipe: "Recipe", estimate: "CostEstimate", memory: int | None) -> Iterator[str]:
    each = estimate.cost.activation_bytes
    if each is None:
        yield "and activations, not counted, which a larger train.accumulation_steps reduces"
        return
    count = recipe.train.micro_batches
    fit = None if memory is None else estimate.fit(memory)
    if count is None:
        count = (fit and fit.accumulation_steps) or 1
    images = estimate.batch_images // count
    lower = recipe.train.precision != "float32" or recipe.train.compile
    yield (
        f"{size(int(each * images))} activations of {counted(images, 'image')} at a time, "
        f"{size(int(each))} each{', if float32 and not compiled' if lower else ''}"
    )
    if recipe.train.micro_batches is None:
        yield 'train.accumulation_steps = "auto" is found by the memory there is when a run begins'
    if fit is None or memory is None:
        return
    if fit.accumulation_steps is None:
        yield f"not even the smallest micro-batch fits in {size(memory)}"
    else:
        yield (
            f"in {size(memory)}: {counted(fit.images, 'image')} at a time, "
            f"train.accumulation_steps = {fit.accumulation_steps}"
        )


def _samples(estimate: "CostEstimate") -> Iterator[str]:
    if not estimate.samples:
        return
    yield f"{estimate.evaluations:,} network evaluations of one image"
    for job in estimate.samples:
        steps = ", ".join(f"{count:,}" for count in job.steps)
        each = f"{job.images:,} images × {counted(job.evaluations_of_image, 'evaluation')}"
        noun = "step" if job.steps == (1,) else "steps"
        yield f"{job.sampler} at {steps} {noun}: {each}"


def _time(seconds: tuple[float, float] | None) -> Iterator[str]:
    if seconds is None:
        return
    training, samples = map(duration, seconds)
    yield f"about {training} of training and {samples} of samples, in float32 and not compiled;"
    yield "scores come on top"


def show_budgets(estimates: "Mapping[str, CostEstimate]", *, seeds: int) -> None:
    """Print how many steps each entry of a sweep makes, and whether they cost the same."""
    # Here: help must not wait for torch.
    from dddm.workflow.dry_run import budgets_in_words

    width = max(map(len, estimates))
    click.echo(f"training of each entry{f', with {seeds} training seeds' if seeds else ''}")
    for name, estimate in estimates.items():
        steps, each = counted(estimate.steps, "step"), flops(estimate.step_flops)
        click.echo(f"  {name:<{width}}  {flops(estimate.training_flops)}: {steps} of {each}")
    click.echo(f"  {budgets_in_words(estimates)}")
