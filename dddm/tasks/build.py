"""From a checked recipe to the objects that it names."""

from typing import final

import torch
from attrs import frozen

from dddm.errors import DataError, UsageError
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.dataset import Split
from dddm.interfaces.metric import Metric
from dddm.interfaces.schedule import Schedule
from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import Footprint, TargetStore
from dddm.recipe.model import Recipe
from dddm.run.batches import BatchPlan
from dddm.run.folder import RunFolder
from dddm.run.processes import Processes
from dddm.run.resources import refuse_what_does_not_fit
from dddm.support.files import naming_full_disk
from dddm.support.noise import seed_for
from dddm.tasks.reader import ResidentSplit


def build_schedule(recipe: Recipe) -> Schedule:
    """The forward process."""
    schedule: Schedule = recipe.schedule.make()
    return schedule


def build_split(recipe: Recipe) -> Split:
    """The training images.

    Raises:
        DataError: if they cannot be read.
    """
    splits = recipe.data.make().splits()
    if "train" not in splits:
        raise DataError(f"the data set {recipe.data.component.id} has no training split")
    split: Split = splits["train"]
    return split


def build_backbone(recipe: Recipe, *, split: Split, device: torch.device) -> Backbone:
    """The network, with first weights that depend on the recipe's seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for("weights", recipe.seed))
        backbone: Backbone = recipe.backbone.make(shape=split.shape, classes=len(split.classes))
    return backbone.to(device)


def build_metric(recipe: Recipe, *, device: torch.device) -> Metric:
    """The distance that training minimises."""
    metric: Metric = recipe.metric.make()
    metric.to(device)
    return metric


def kept_snapshots(recipe: Recipe) -> int:
    """Of how many checkpoints the store must keep the rows: never below two.

    While a checkpoint is saved, the one before must stay whole.
    """
    return max(recipe.train.keep_checkpoints, 2)


def open_store(
    recipe: Recipe,
    *,
    split: Split,
    shards: Shards,
    folder: RunFolder,
    device: torch.device,
    processes: Processes,
) -> TargetStore:
    """The target store, holding N(0, I) noise for every training image that this process owns.

    Raises:
        EnvironmentProblem: if the machine will not hold it.
    """
    store: TargetStore = recipe.targets.make()
    kept = kept_snapshots(recipe)
    with naming_full_disk(folder.store):
        folder.store.mkdir(parents=True, exist_ok=True)
    refuse_what_does_not_fit(
        store.footprint(rows=shards.rows, shape=split.shape, kept_snapshots=kept),
        folder=folder.store,
        device=device,
        processes=processes,
    )
    store.open(
        shards=shards,
        shape=split.shape,
        seed=recipe.seed,
        folder=folder.store,
        device=device,
        kept_snapshots=kept,
    )
    return store


def plan_batches(recipe: Recipe, *, split: Split) -> BatchPlan:
    """Which images stand in which batch."""
    return BatchPlan.make(
        images=len(split),
        batch_images=recipe.train.batch_images,
        shards=recipe.train.shards,
        seed=recipe.seed,
    )


@final
@frozen(kw_only=True)
class TrainingParts:
    """All that algorithm 1 needs.

    Attributes:
        footprint: what the target stores of all processes take together.
    """

    split: Split
    plan: BatchPlan
    schedule: Schedule
    backbone: Backbone
    metric: Metric
    store: TargetStore
    footprint: Footprint


def build_for_training(
    recipe: Recipe, *, folder: RunFolder, device: torch.device, processes: Processes
) -> TrainingParts:
    """Build and open everything that training needs.

    Raises:
        DddmError: for whatever a component refuses.
    """
    split = build_split(recipe)
    plan = plan_batches(recipe, split=split)
    shards = plan.shards_of(rank=processes.rank, processes=processes.count)
    _refuse_unequal_parts(recipe, processes=processes)
    store = open_store(
        recipe, split=split, shards=shards, folder=folder, device=device, processes=processes
    )
    if recipe.train.data_on_device:
        split = ResidentSplit(split, device=device)
    return TrainingParts(
        split=split,
        plan=plan,
        schedule=build_schedule(recipe),
        backbone=build_backbone(recipe, split=split, device=device),
        metric=build_metric(recipe, device=device),
        store=store,
        footprint=store.footprint(
            rows=len(split), shape=split.shape, kept_snapshots=kept_snapshots(recipe)
        ),
    )


def _refuse_unequal_parts(recipe: Recipe, *, processes: Processes) -> None:
    """Refuse accumulation that cannot cut the part of one process."""
    train = recipe.train
    if train.batch_images // processes.count % train.accumulate:
        raise UsageError(
            f"each of {processes.count} processes has {train.batch_images // processes.count} "
            f"images of a batch, which cannot be worked off in {train.accumulate} equal parts",
            where="train.accumulate",
            remedy=f"use a train.accumulate that divides {train.batch_images // processes.count}",
        )
