"""What a training step costs, counted on the meta device: nothing is computed.

One step of the objective is made with shapes alone, of two images or one set of images, and torch's
counter adds up what its forward and backward passes take: network, metric, comparisons of sets,
kernels, derivatives.  Where a component cannot do without values, a formula stands in for it:

    for each image    3 F for an evaluation with gradient, F for one without, and 2 F for a
                      forward-mode derivative
                      M for the distances of an estimate with their gradient

with F of one forward pass of the network.  A derivative takes more than F, because torch also
multiplies by the derivative of the weights, which is zero.

A multiplication with an addition counts as two operations, as torch counts them, and so does a
dimension of a distance; what is not a matrix product, a convolution, attention or a distance is not
counted.
"""

import math
from contextlib import nullcontext
from typing import Any, Final, NamedTuple, Self, final

import torch
from attrs import frozen
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from dddm.core.denoiser import ScheduledDenoiser
from dddm.core.draws import Draws, draw
from dddm.core.ema import MovingAverage
from dddm.core.flops import Flops, count_flops
from dddm.core.step import StepParts, make_step
from dddm.errors import RecipeError
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.dataset import Split
from dddm.interfaces.info import DatasetInfo, ImageShape, ObjectiveInfo
from dddm.interfaces.metric import Metric
from dddm.interfaces.objective import Batch, RealSets, TrainingProgress
from dddm.recipe.model import Recipe
from dddm.support.quantities import flops
from dddm.training.network import (
    build_objective,
    build_parametrization,
    build_schedule,
    instantiate_backbone,
)

_PASSES_WITH_GRADIENT: Final = 3
_PASSES_OF_DERIVATIVE: Final = 2
_ROWS: Final = 2
"""Images of the step that is counted, where the loss of each depends on that one alone."""


def _distance_flops(first: torch.Size, second: torch.Size, *_: Any, **_more: Any) -> int:
    """Of all distances between (…, n, D) and (…, m, D)."""
    return 2 * math.prod(first) * second[-2]


def _distance_gradient_flops(gradient: torch.Size, first: torch.Size, *_: Any, **_more: Any) -> int:
    return 2 * math.prod(gradient) * first[-1]


_ALSO_COUNTED: Final = {
    torch.ops.aten._cdist_forward: _distance_flops,  # noqa: SLF001 - names of operators
    torch.ops.aten._euclidean_dist: _distance_flops,  # noqa: SLF001
    torch.ops.aten._cdist_backward: _distance_gradient_flops,  # noqa: SLF001
}
"""What torch's counter leaves out."""


@final
@frozen(kw_only=True)
class TrainingCost:
    """Floating point operations of training, for one image.

    Attributes:
        parameters: of the network.
        network: of one evaluation.
        network_flops: of all that the objective asks of the network, by the formula.
        metric_flops: of all distances that it takes; None where the metric cannot be counted.
        step_flops: of a whole step, counted; None where it cannot be.
        activation_bytes: what a step keeps for its backward pass, in float32 and as written;
            None where it cannot be counted, as of forward-mode derivatives.
    """

    parameters: int
    network: Flops
    network_flops: float
    metric_flops: float | None
    step_flops: float | None = None
    activation_bytes: float | None = None

    @property
    def flops(self) -> float:
        """Of one image, counted or else by the formula."""
        if self.step_flops is not None:
            return self.step_flops
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
        + _PASSES_OF_DERIVATIVE * needs.derivatives
    )
    distances = _distances_flops(recipe, shape=facts.shape)
    counted = _counted_step(recipe, facts=facts, backbone=backbone)
    return TrainingCost(
        parameters=sum(parameter.numel() for parameter in backbone.parameters()),
        network=network,
        network_flops=passes * network.forward,
        metric_flops=None if distances is None else needs.evaluations * distances,
        step_flops=None if counted is None else counted.flops,
        activation_bytes=None if counted is None else counted.saved_bytes,
    )


def preparation_flops(recipe: Recipe, *, facts: DatasetInfo) -> float:
    """What the objective learns before the first step, such as features; 0 where it cannot tell."""
    try:
        objective = build_objective(recipe, device=torch.device("meta"))
        return objective.prepare_shapes(facts)
    except Exception:  # noqa: BLE001 - as in `_counted_step`
        return 0.0


@final
class _Counted(NamedTuple):
    """Of one image in a step."""

    flops: float
    saved_bytes: float | None


@final
class _Saved(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch does not type it
    """Counts the memory that tensors made within it keep until a backward pass."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._made: set[int] = set()
        self._saved: dict[int, torch.UntypedStorage] = {}
        self._hooks = saved_tensors_hooks(self._save, lambda tensor: tensor)

    @property
    def bytes(self) -> int:
        return sum(storage.nbytes() for storage in self._saved.values())

    def __enter__(self) -> Self:
        self._hooks.__enter__()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._hooks.__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        given = {_place(one) for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)}
        made = {_place(one) for one in tree_leaves(found) if isinstance(one, Tensor)}
        self._made |= made - given
        return found

    def _save(self, tensor: Tensor) -> Tensor:
        # Weights and images are there anyway, and a view takes nothing of its own.
        if _place(tensor) in self._made:
            self._saved[_place(tensor)] = tensor.untyped_storage()
        return tensor


def _place(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)  # noqa: SLF001 - meta tensors have no address


def _counted_step(recipe: Recipe, *, facts: DatasetInfo, backbone: Backbone) -> _Counted | None:
    """One image of a step with its gradient; None where meta tensors will not do.

    A step is a sum over images, or over sets of images, so that one of them tells all.
    """
    needs = recipe.needs
    rows = _ROWS if needs.sets is None else needs.sets.rows
    try:
        parts = _meta_parts(recipe, facts=facts, backbone=backbone)
        batch = _meta_batch(rows, needs=needs, shape=facts.shape, labels=backbone.uses_labels)
        # In the middle: a first epoch may do without what is not there yet.
        progress = TrainingProgress(step=1, total_steps=2, epoch=1)
        draws = draw(
            parts.objective,
            count=rows,
            shape=facts.shape,
            schedule=parts.denoiser.schedule,
            progress=progress,
            generator=torch.Generator().manual_seed(0),
            flips=False,
        )
        on_meta = {name: tensor.to("meta") for name, tensor in draws.values.items()}
        memory = {
            one.name: torch.empty(rows, *(one.shape or facts.shape.as_tuple), device="meta")
            for one in needs.memory
        }
        backbone.train()
        with FlopCounterMode(display=False, custom_mapping=_ALSO_COUNTED) as counter:
            # torch cannot watch what forward-mode derivatives save.
            with nullcontext() if needs.derivatives else _Saved() as saved:
                outcome = make_step(
                    parts,
                    batch=batch,
                    draws=Draws(values=on_meta, flipped=None),
                    memory=memory,
                    progress=progress,
                )
            kept = None if saved is None else saved.bytes / rows
            outcome.loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
    # A component that needs values, or weights that are not here, may fail in any way; training
    # will show an error that is its own.
    except Exception:  # noqa: BLE001
        return None
    return _Counted(flops=float(counter.get_total_flops()) / rows, saved_bytes=kept)


def _meta_parts(recipe: Recipe, *, facts: DatasetInfo, backbone: Backbone) -> StepParts:
    schedule = build_schedule(recipe)
    parametrization = build_parametrization(recipe, schedule=schedule)
    objective = build_objective(recipe, device=torch.device("meta"))
    objective.prepare_shapes(facts)

    def denoiser(network: Backbone) -> ScheduledDenoiser:
        return ScheduledDenoiser(
            schedule=schedule, backbone=network, parametrization=parametrization
        )

    average = None
    if recipe.needs.average:
        average = denoiser(MovingAverage(backbone, decay=0.0, warmup=False).backbone)
    return StepParts(
        objective=objective,
        denoiser=denoiser(backbone),
        average=average,
        metric=_meta_metric(recipe),
        classes=len(facts.classes),
    )


def _meta_batch(rows: int, *, needs: ObjectiveInfo, shape: ImageShape, labels: bool) -> Batch:
    index_B = torch.arange(rows)
    label_B = torch.zeros(rows, dtype=torch.int64, device="meta") if labels else None
    sets = None
    if needs.sets is not None:
        sets = RealSets(
            index=torch.arange(needs.sets.real)[None],
            x_0=torch.empty(1, needs.sets.real, *shape.as_tuple, device="meta"),
            label=None if label_B is None else label_B[:1],
        )
    x_0_BCHW = torch.empty(rows, *shape.as_tuple, device="meta")
    return Batch(index=index_B, x_0=x_0_BCHW, label=label_B, rows=index_B, sets=sets)


def _meta_metric(recipe: Recipe) -> Metric | None:
    if recipe.metric is None:
        return None
    with torch.device("meta"):
        metric: Metric = recipe.metric.instantiate()
        metric.to(torch.device("meta"))
    return metric


def _distances_flops(recipe: Recipe, *, shape: ImageShape) -> int | None:
    """Of an estimate's distances and their gradient; None where meta tensors will not do."""
    images = torch.empty(1, *shape.as_tuple, device="meta")
    try:
        metric = _meta_metric(recipe)
        if metric is None:
            return 0
        with FlopCounterMode(display=False) as counter:
            estimate = images.clone().requires_grad_()
            found = metric.distances(estimate=estimate, targets=(images,) * recipe.needs.targets)
            torch.autograd.grad(torch.stack(found).sum(), estimate)
    except Exception:  # noqa: BLE001 - as above
        return None
    return int(counter.get_total_flops())


def facts_of(split: Split) -> DatasetInfo:
    """What is known of the images of a split."""
    return DatasetInfo(shape=split.shape, train_images=len(split), classes=split.classes)


def total_steps(recipe: Recipe, *, split: Split, batches_per_epoch: int) -> int:
    """Steps of the whole run; at least one.

    Raises:
        RecipeError: if `training_flops` are fewer than one step takes.
    """
    cost = None
    if recipe.train.training_flops is not None:
        cost = training_cost(recipe, facts=facts_of(split))
    return steps_of(recipe, batches_per_epoch=batches_per_epoch, cost=cost)


def steps_of(recipe: Recipe, *, batches_per_epoch: int, cost: TrainingCost | None) -> int:
    """The same, where the cost of an image is known; only `training_flops` asks for it.

    Raises:
        RecipeError: if `training_flops` are fewer than one step takes.
    """
    train = recipe.train
    if train.epochs is not None:
        return train.epochs * batches_per_epoch
    if train.steps is not None:
        return train.steps
    if train.images is not None:
        return math.ceil(train.images / train.batch_images)
    assert train.training_flops is not None, "a recipe says one of the four"
    assert cost is not None
    step = cost.flops * train.batch_images
    if train.training_flops < step:
        raise RecipeError(
            f"training_flops: a budget of {flops(train.training_flops)} is too small for one step, "
            f"which takes {flops(step)}",
            where=recipe.origins.get("train.training_flops", "train.training_flops"),
            remedy="use a larger budget, or a smaller batch or network",
        )
    return round(train.training_flops / step)
