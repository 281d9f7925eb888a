"""`dddm run --dry-run`: what a recipe will take, without taking it.

The network is built on the meta device, which has shapes and no memory; the target store is asked
what one row takes.  Images are read only where the data set cannot say what it holds without.
"""

from collections.abc import Mapping
from typing import Any, Final, final

from attrs import asdict, frozen

from dddm.generate.sample import evaluations_per_image
from dddm.interfaces.info import DatasetInfo
from dddm.interfaces.target_store import MemoryUsage
from dddm.recipe.model import Recipe, SampleSpec, batches_per_epoch, default_shards
from dddm.support.quantities import flops
from dddm.training.build import build_split
from dddm.training.memory import memory_usage_of
from dddm.training.optimizer import state_bytes
from dddm.training.speed import training_seconds
from dddm.training.training_cost import (
    TrainingCost,
    facts_of,
    meta_backbone,
    preparation_flops,
    steps_of,
    training_cost,
)

_FLOAT32_BYTES: Final = 4
_USED: Final = 0.9
"""Of a device's memory, for what is counted here."""


@final
@frozen(kw_only=True)
class SampleCost:
    """Network evaluations of one `[[sample]]` table.

    Attributes:
        evaluations_of_image: for one image at all step counts.
        evaluations: for all images.
    """

    sampler: str
    steps: tuple[int, ...]
    images: int
    evaluations_of_image: int
    evaluations: int


@final
@frozen(kw_only=True)
class Fit:
    """A micro-batch that fits in some memory.

    Attributes:
        images: in it; 0 where not even the smallest fits.
        accumulation_steps: how many of them a batch is cut into; None where none fits.
    """

    images: int
    accumulation_steps: int | None


@final
@frozen(kw_only=True)
class CostEstimate:
    """What a recipe will take.

    Attributes:
        facts: of the training images.
        cost: of training, for one image.
        preparation_flops: of what is learned before the first step.
        steps: optimizer steps of the whole run.
        steps_per_epoch: batches after which as many images were visited as there are.
        stale_images: that stand in no batch of an epoch.
        weights_bytes: of the network's parameters, float32.
        gradient_bytes: the same again.
        optimizer_bytes: what the optimizer keeps of each parameter.
        ema_bytes: all averages of the weights.
        store: the target stores with every row in them, in all processes together; None for an
            objective without memory.
        image_bytes: the training images as uint8.
        resident_bytes: of them, what is in the device's memory.
        units: of a batch, that micro-batches share: images, or sets of images.
        samples: what each `[[sample]]` asks for.
    """

    facts: DatasetInfo
    cost: TrainingCost
    preparation_flops: float
    steps: int
    steps_per_epoch: int
    batch_images: int
    stale_images: int
    weights_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    ema_bytes: int
    store: MemoryUsage | None
    image_bytes: int
    resident_bytes: int
    units: int
    samples: tuple[SampleCost, ...]

    @property
    def constant_bytes(self) -> int:
        """Of the device memory of a single process, whatever the size of a micro-batch."""
        return self._constant_bytes(processes=1)

    def _constant_bytes(self, *, processes: int) -> int:
        held = self.weights_bytes + self.gradient_bytes + self.optimizer_bytes + self.ema_bytes
        store = 0 if self.store is None else self.store.device // processes
        return held + self.resident_bytes + store

    def fit(self, memory: int, *, processes: int = 1) -> Fit | None:
        """The largest micro-batch that a device of `memory` bytes holds, one for each process.

        A backward pass takes more than it finds: gradients of feature maps and what kernels work
        in, for which a tenth is left.  None where activations cannot be counted.
        """
        if self.cost.activation_bytes is None:
            return None
        mine, constant = self.units // processes, self._constant_bytes(processes=processes)
        each = max(self.cost.activation_bytes * self.batch_images / self.units, 1.0)
        most = min(int((_USED * memory - constant) / each), mine)
        units = next((n for n in range(most, 0, -1) if mine % n == 0), None)
        if units is None:
            return Fit(images=0, accumulation_steps=None)
        return Fit(
            images=units * self.batch_images // self.units,
            accumulation_steps=mine // units,
        )

    @property
    def step_flops(self) -> float:
        """Of one optimizer step."""
        return self.cost.flops * self.batch_images

    @property
    def training_flops(self) -> float:
        """Of the whole run: network, metric, and whatever else the objective computes."""
        return self.step_flops * self.steps

    def seconds(self, speed: float) -> tuple[float, float]:
        """About what training, learning included, and samples take, at a `network_speed`."""
        sampling = self.evaluations * self.cost.network.forward / speed
        training = self.preparation_flops + self.training_flops
        return training_seconds(training, speed=speed), sampling

    @property
    def evaluations(self) -> int:
        """Network evaluations, each of one image, of all samples."""
        return sum(cost.evaluations for cost in self.samples)

    @property
    def as_table(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        shape = self.facts.shape
        return {
            "images": {
                "train": self.facts.train_images,
                "shape": list(shape.as_tuple),
                "classes": len(self.facts.classes),
                "bytes": self.image_bytes,
            },
            "network": {
                "parameters": self.cost.parameters,
                "flops_begin": self.cost.network.begin,
                "flops_refine": self.cost.network.refine,
                "flops_forward": self.cost.network.forward,
            },
            "training": {
                "epochs": self.steps / self.steps_per_epoch,
                "steps": self.steps,
                "batch_images": self.batch_images,
                "stale_images_each_epoch": self.stale_images,
                "flops": self.training_flops,
                "flops_of_preparation": self.preparation_flops,
                "flops_of_image": self.cost.flops,
                "flops_are_counted": self.cost.step_flops is not None,
                "flops_of_image_network": self.cost.network_flops,
                "flops_of_image_metric": self.cost.metric_flops,
            },
            "bytes": {
                "weights": self.weights_bytes,
                "gradient": self.gradient_bytes,
                "optimizer": self.optimizer_bytes,
                "ema": self.ema_bytes,
                "activations_of_image": self.cost.activation_bytes,
                "constant_on_device": self.constant_bytes,
                **self._store_bytes,
            },
            "sampling": {
                "evaluations": self.evaluations,
                "jobs": [asdict(cost) for cost in self.samples],
            },
        }

    @property
    def _store_bytes(self) -> dict[str, int]:
        if self.store is None:
            return {}
        places = {"memory": self.store.memory, "disk": self.store.disk, "device": self.store.device}
        return {f"target_store_{place}": taken for place, taken in places.items()}


def estimate_cost(recipe: Recipe) -> CostEstimate:
    """Count what `recipe` will take; seconds, and no memory to speak of.

    Raises:
        DddmError: for whatever a component refuses.
    """
    facts = _facts_of(recipe)
    cost = training_cost(recipe, facts=facts)
    train, needs = recipe.train, recipe.needs
    each = cost.parameters * _FLOAT32_BYTES
    per_epoch = _batches_per_epoch(recipe, facts)
    rows = facts.train_images if needs.memory_rows is None else needs.memory_rows
    store = None
    if needs.memory:
        store = memory_usage_of(
            recipe.targets,
            fields=needs.memory,
            rows=rows,
            image=facts.shape,
            keep_checkpoints=train.keep_checkpoints,
        )
    image_bytes = facts.train_images * facts.shape.values
    return CostEstimate(
        facts=facts,
        cost=cost,
        preparation_flops=preparation_flops(recipe, facts=facts),
        steps=steps_of(recipe, batches_per_epoch=per_epoch, cost=cost),
        steps_per_epoch=per_epoch,
        batch_images=train.batch_images,
        stale_images=0 if needs.sets else facts.train_images - per_epoch * train.batch_images,
        weights_bytes=each,
        gradient_bytes=each,
        optimizer_bytes=state_bytes(
            recipe.optimizer, parameters=list(meta_backbone(recipe, facts=facts).parameters())
        ),
        ema_bytes=(1 + len(train.extra_ema_decays)) * each,
        store=store,
        image_bytes=image_bytes,
        resident_bytes=image_bytes if train.data_on_device else 0,
        units=recipe.batch_units,
        samples=tuple(map(_sample_cost, recipe.sample)),
    )


def budgets_in_words(estimates: Mapping[str, CostEstimate]) -> str:
    """Whether the entries of a sweep take as many operations, up to one step, in a sentence."""
    ordered = sorted(estimates, key=lambda name: estimates[name].training_flops)
    least, most = (estimates[name] for name in (ordered[0], ordered[-1]))
    apart = most.training_flops - least.training_flops
    if apart <= max(estimate.step_flops for estimate in estimates.values()):
        return "The budgets agree within a step."
    return (
        f"The budgets differ: {flops(least.training_flops)} of {ordered[0]}, "
        f"{flops(most.training_flops)} of {ordered[-1]}.  For equal ones write training_flops in "
        "[train]."
    )


def refuse_small_budget(recipe: Recipe) -> None:
    """Refuse a recipe whose `training_flops` do not suffice for one step.

    Raises:
        RecipeError: with what a step takes.
    """
    if recipe.train.training_flops is not None:
        facts = _facts_of(recipe)
        cost = training_cost(recipe, facts=facts)
        steps_of(recipe, batches_per_epoch=_batches_per_epoch(recipe, facts), cost=cost)


def _sample_cost(spec: SampleSpec) -> SampleCost:
    each = evaluations_per_image(spec, sampler=spec.sampler.instantiate())
    return SampleCost(
        sampler=spec.name,
        steps=spec.steps,
        images=spec.images,
        evaluations_of_image=each,
        evaluations=spec.images * each,
    )


def _facts_of(recipe: Recipe) -> DatasetInfo:
    said = recipe.data.component.info(DatasetInfo, recipe.data.options)
    return facts_of(build_split(recipe)) if said is None else said


def _batches_per_epoch(recipe: Recipe, facts: DatasetInfo) -> int:
    batch = recipe.train.batch_images
    if recipe.needs.sets is not None:
        return max(facts.train_images // batch, 1)
    shards = recipe.train.shards or default_shards(batch)
    return batches_per_epoch(images=facts.train_images, batch_images=batch, shards=shards)
