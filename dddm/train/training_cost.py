"""What a training step costs, counted on the meta device: nothing is computed.

    for each image    3 F for an evaluation with gradient, F for one without, and F for a derivative
                      M for the distances of an estimate with their gradient

with F of one forward pass of the network.  For a derivative torch takes up to 2.4 F, because it
also multiplies by the derivative of the weights, which is zero.  A multiplication with an addition
counts as two operations, as torch counts them; what is not a matrix product, a convolution or
attention is not counted.
"""

import math
from typing import Final, final

import torch
from attrs import frozen
from torch.utils.flop_counter import FlopCounterMode

from dddm.core.flops import Flops, count_flops
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.dataset import Split
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.interfaces.metric import Metric
from dddm.recipe.model import Recipe
from dddm.train.network import instantiate_backbone

_PASSES_WITH_GRADIENT: Final = 3


@final
@frozen(kw_only=True)
class TrainingCost:
    """Floating point operations of training, for one image.

    Attributes:
        parameters: of the network.
        network: of one evaluation.
        network_flops: of all that the objective asks of the network.
        metric_flops: of all distances that it takes; None where the metric cannot be counted.
    """

    parameters: int
    network: Flops
    network_flops: float
    metric_flops: float | None

    @property
    def flops(self) -> float:
        """Of one image, as far as it is counted."""
        return self.network_flops + (self.metric_flops or 0.0)


def meta_backbone(recipe: Recipe, *, facts: DatasetInfo) -> Backbone:
    """The recipe's network with shapes alone."""
    with torch.device("meta"):
        return instantiate_backbone(recipe, shape=facts.shape, classes=len(facts.classes))


def training_cost(recipe: Recipe, *, facts: DatasetInfo) -> TrainingCost:
    """Count what one image of a training step costs."""
    needs = recipe.needs
    backbone = meta_backbone(recipe, facts=facts)
    network = count_flops(backbone, shape=facts.shape)
    passes = (
        _PASSES_WITH_GRADIENT * needs.evaluations
        + needs.evaluations_without_gradient
        + needs.derivatives
    )
    distances = _distances_flops(recipe, shape=facts.shape)
    return TrainingCost(
        parameters=sum(parameter.numel() for parameter in backbone.parameters()),
        network=network,
        network_flops=passes * network.forward,
        metric_flops=None if distances is None else needs.evaluations * distances,
    )


def _distances_flops(recipe: Recipe, *, shape: ImageShape) -> int | None:
    """Of an estimate's distances and their gradient; None where meta tensors will not do."""
    if recipe.metric is None:
        return 0
    images = torch.empty(1, *shape.as_tuple, device="meta")
    try:
        with torch.device("meta"):
            metric: Metric = recipe.metric.instantiate()
            metric.to(torch.device("meta"))
        with FlopCounterMode(display=False) as counter:
            estimate = images.clone().requires_grad_()
            found = metric.distances(estimate=estimate, targets=(images,) * recipe.needs.targets)
            torch.autograd.grad(torch.stack(found).sum(), estimate)
    except (NotImplementedError, RuntimeError):
        return None
    return int(counter.get_total_flops())


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
