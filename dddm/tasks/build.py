"""From a checked recipe to the objects that it names."""

from typing import final

import torch
from attrs import frozen

from dddm.errors import DataError
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.dataset import Split
from dddm.interfaces.metric import Metric
from dddm.interfaces.schedule import Schedule
from dddm.interfaces.target_store import TargetStore
from dddm.recipe.model import Recipe
from dddm.run.batches import BatchPlan
from dddm.run.folder import RunFolder
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


def open_store(
    recipe: Recipe, *, split: Split, folder: RunFolder, device: torch.device
) -> TargetStore:
    """The target store, holding N(0, I) noise for every training image."""
    store: TargetStore = recipe.targets.make()
    folder.store.mkdir(parents=True, exist_ok=True)
    store.open(
        images=len(split),
        shape=split.shape,
        seed=recipe.seed,
        owned=torch.arange(len(split)),
        folder=folder.store,
        device=device,
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
    """All that algorithm 1 needs."""

    split: Split
    plan: BatchPlan
    schedule: Schedule
    backbone: Backbone
    metric: Metric
    store: TargetStore


def build_for_training(recipe: Recipe, *, folder: RunFolder, device: torch.device) -> TrainingParts:
    """Build and open everything that training needs.

    Raises:
        DddmError: for whatever a component refuses.
    """
    split = build_split(recipe)
    if recipe.train.data_on_device:
        split = ResidentSplit(split, device=device)
    return TrainingParts(
        split=split,
        plan=plan_batches(recipe, split=split),
        schedule=build_schedule(recipe),
        backbone=build_backbone(recipe, split=split, device=device),
        metric=build_metric(recipe, device=device),
        store=open_store(recipe, split=split, folder=folder, device=device),
    )
