"""How many optimizer steps a run takes: by epochs, steps, images or operations."""

import math

from dddm.interfaces.dataset import Split
from dddm.interfaces.info import DatasetInfo
from dddm.recipe.model import Recipe
from dddm.train.training_cost import TrainingCost, training_cost


def facts_of(split: Split) -> DatasetInfo:
    """What is known of the images of a split."""
    return DatasetInfo(shape=split.shape, train_images=len(split), classes=split.classes)


def total_steps(recipe: Recipe, *, split: Split, batches_per_epoch: int) -> int:
    """Steps of the whole run; at least one."""
    cost = None
    if recipe.train.training_flops is not None:
        cost = training_cost(recipe, facts=facts_of(split))
    return steps_of(recipe, batches_per_epoch=batches_per_epoch, cost=cost)


def steps_of(recipe: Recipe, *, batches_per_epoch: int, cost: TrainingCost | None) -> int:
    """The same, where the cost of an image is known; only `training_flops` asks for it."""
    train = recipe.train
    if train.epochs is not None:
        return train.epochs * batches_per_epoch
    if train.steps is not None:
        return train.steps
    if train.images is not None:
        return math.ceil(train.images / train.batch_images)
    assert train.training_flops is not None, "a recipe says one of the four"
    assert cost is not None
    return max(round(train.training_flops / (cost.flops * train.batch_images)), 1)
