"""From a checked recipe to the objects that it names."""

from collections.abc import Mapping
from typing import final

import torch
from attrs import frozen

from dddm.core.output_checks import CheckedMetric
from dddm.errors import DataError, UsageError
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.data_report import ProgressCallback, no_progress
from dddm.interfaces.dataset import Dataset, Split
from dddm.interfaces.learning_rate import LearningRate
from dddm.interfaces.metric import Metric
from dddm.interfaces.objective import Objective
from dddm.interfaces.parametrization import Parametrization
from dddm.interfaces.schedule import Schedule
from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import MemoryUsage
from dddm.recipe.model import ComponentConfig, Recipe
from dddm.support.noise import seed_for
from dddm.training.batches import BatchPlan
from dddm.training.class_sets import SetPlan
from dddm.training.context import RunContext
from dddm.training.memory import Memory, memory_usage_of, open_memory
from dddm.training.network import (
    build_objective,
    build_parametrization,
    build_schedule,
    instantiate_backbone,
)
from dddm.training.optimizer import build_optimizer
from dddm.training.processes import ALONE, Processes
from dddm.training.reader import ResidentSplit
from dddm.training.training_cost import total_steps


def open_splits(
    data: ComponentConfig, *, processes: Processes, progress: ProgressCallback = no_progress
) -> Mapping[str, Split]:
    """The splits of a data set; the first process prepares it, all others open what it made.

    Raises:
        DddmError: as `Dataset.prepare` and `Dataset.open`.
    """
    dataset: Dataset = data.instantiate()
    prepared = processes.from_main(lambda: dataset.prepare(progress=progress))
    return dataset.open(prepared)


def build_split(
    recipe: Recipe, *, processes: Processes = ALONE, progress: ProgressCallback = no_progress
) -> Split:
    """The training images; all processes call it.

    Raises:
        DataError: if they cannot be read.
    """
    splits = open_splits(recipe.data, processes=processes, progress=progress)
    if "train" not in splits:
        raise DataError(f"the data set {recipe.data.component.id} has no training split")
    return splits["train"]


def build_backbone(recipe: Recipe, *, split: Split, device: torch.device) -> Backbone:
    """The network, with first weights that depend on the recipe's seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for("weights", recipe.seed))
        backbone = instantiate_backbone(recipe, shape=split.shape, classes=len(split.classes))
    return backbone.to(device)


def build_metric(recipe: Recipe, *, device: torch.device) -> Metric | None:
    """The distance that training minimises; None for an objective that uses none."""
    if recipe.metric is None:
        return None
    metric = CheckedMetric(recipe.metric.instantiate(), compiled=recipe.train.compile)
    metric.to(device)
    return metric


def plan_batches(recipe: Recipe, *, split: Split, labels: bool) -> BatchPlan | SetPlan:
    """Which images stand in which batch.

    Args:
        labels: whether the network uses classes.

    Raises:
        RecipeError: if batches cannot be cut as the recipe says.
        DataError: if a class has too few images for the objective's sets.
    """
    needs, train = recipe.needs, recipe.train
    if needs.sets is None:
        return BatchPlan.make(
            images=len(split),
            batch_images=train.batch_images,
            shards=train.shards,
            seed=recipe.seed,
        )
    return SetPlan.make(
        split=split,
        batch_images=train.batch_images,
        shards=train.shards,
        seed=recipe.seed,
        needs=needs,
        labels=labels,
    )


@final
@frozen(kw_only=True)
class TrainingParts:
    """All that training needs.

    Attributes:
        parametrization: None for the schedule's own.
        metric: None for an objective that uses none.
        memory_usage: what the target stores of all processes take together; None without memory.
    """

    split: Split
    plan: BatchPlan | SetPlan
    total_steps: int
    objective: Objective
    schedule: Schedule
    parametrization: Parametrization | None
    backbone: Backbone
    metric: Metric | None
    memory: Memory
    optimizer: torch.optim.Optimizer
    learning_rate: LearningRate
    memory_usage: MemoryUsage | None


def build_for_training(
    context: RunContext, *, progress: ProgressCallback = no_progress
) -> TrainingParts:
    """Build and open everything that training needs.

    Args:
        progress: of what the data set does once, such as packing, in the first process.

    Raises:
        DddmError: for whatever a component refuses.
    """
    recipe, processes, device = context.recipe, context.processes, context.device
    split = build_split(recipe, processes=processes, progress=progress)
    backbone = build_backbone(recipe, split=split, device=device)
    plan = plan_batches(recipe, split=split, labels=backbone.uses_labels)
    shards = plan.shards_of(rank=processes.rank, processes=processes.count)
    _refuse_unequal_parts(context)
    steps = total_steps(recipe, split=split, batches_per_epoch=plan.batches_per_epoch)
    rate: LearningRate = recipe.learning_rate.instantiate()
    optimizer = build_optimizer(
        recipe.optimizer,
        parameters=list(backbone.parameters()),
        learning_rate=rate.at(step=0, total_steps=steps),
    )
    memory = open_memory(context, shards=shards, image=split.shape)
    schedule = build_schedule(recipe)
    needs = recipe.needs
    return TrainingParts(
        split=_resident(split, plan=plan, shards=shards, device=device)
        if recipe.train.data_on_device
        else split,
        plan=plan,
        total_steps=steps,
        objective=build_objective(recipe, device=device),
        schedule=schedule,
        parametrization=build_parametrization(recipe, schedule=schedule),
        backbone=backbone,
        metric=build_metric(recipe, device=device),
        memory=memory,
        optimizer=optimizer,
        learning_rate=rate,
        memory_usage=memory_usage_of(
            recipe.targets,
            fields=needs.memory,
            rows=plan.memory_rows,
            image=split.shape,
            keep_checkpoints=recipe.train.keep_checkpoints,
        )
        if needs.memory
        else None,
    )


def _resident(
    split: Split, *, plan: BatchPlan | SetPlan, shards: Shards, device: torch.device
) -> Split:
    """Sets take images from anywhere; other batches those of the process's own shards."""
    own = shards if isinstance(plan, BatchPlan) else Shards.whole(len(split))
    return ResidentSplit(split, device=device, shards=own)


def _refuse_unequal_parts(context: RunContext) -> None:
    """Refuse accumulation that cannot cut the part of one process."""
    recipe, count = context.recipe, context.processes.count
    needs, steps = recipe.needs, recipe.train.micro_batches or 1
    mine = recipe.batch_units // count
    if mine % steps:
        what = "images" if needs.sets is None else "sets of images"
        raise UsageError(
            f"each of {count} processes has {mine} {what} of a batch, which cannot be accumulated "
            f"over {steps} equal micro-batches",
            where="train.accumulation_steps",
            remedy=f"use a train.accumulation_steps that divides {mine}",
        )
