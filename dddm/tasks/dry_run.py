"""`dddm run --dry-run`: what a recipe will take, without taking it.

The network is built on the meta device, which has shapes and no memory; the target store is asked
what one row takes.  Images are read only where the data set cannot say what it holds without.
"""

from typing import Any, Final, final

from attrs import frozen

from dddm.interfaces.facts import DataFacts
from dddm.interfaces.target_store import Footprint
from dddm.recipe.model import Recipe
from dddm.recipe.shards import batches_per_epoch, default_shards
from dddm.tasks.build import build_split
from dddm.tasks.duration import facts_of, steps_of
from dddm.tasks.memory import footprint_of
from dddm.tasks.optimizer import state_bytes
from dddm.tasks.training_cost import TrainingCost, meta_backbone, training_cost

_FLOAT32_BYTES: Final = 4


@final
@frozen(kw_only=True)
class Outlook:
    """What a recipe will take.

    Attributes:
        facts: of the training images.
        cost: of training, for one image.
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
        samples: network evaluations, each of one image, that `[[sample]]` asks for.
    """

    facts: DataFacts
    cost: TrainingCost
    steps: int
    steps_per_epoch: int
    batch_images: int
    stale_images: int
    weights_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    ema_bytes: int
    store: Footprint | None
    image_bytes: int
    samples: int

    @property
    def training_flops(self) -> float:
        """Of the whole run, network and metric."""
        return self.cost.flops * self.steps * self.batch_images

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
                "flops_of_image_network": self.cost.network_flops,
                "flops_of_image_metric": self.cost.metric_flops,
            },
            "bytes": {
                "weights": self.weights_bytes,
                "gradient": self.gradient_bytes,
                "optimizer": self.optimizer_bytes,
                "ema": self.ema_bytes,
                **self._store_bytes,
            },
            "sampling": {"evaluations_of_one_image": self.samples},
        }

    @property
    def _store_bytes(self) -> dict[str, int]:
        if self.store is None:
            return {}
        places = {"memory": self.store.memory, "disk": self.store.disk, "device": self.store.device}
        return {f"target_store_{place}": taken for place, taken in places.items()}


def look_ahead(recipe: Recipe) -> Outlook:
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
    return Outlook(
        facts=facts,
        cost=cost,
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
        store=footprint_of(
            recipe.targets,
            fields=needs.memory,
            rows=rows,
            image=facts.shape,
            keep_checkpoints=train.keep_checkpoints,
        )
        if needs.memory
        else None,
        image_bytes=facts.train_images * facts.shape.values,
        samples=sum(job.settings.images * max(job.settings.steps) for job in recipe.sample),
    )


def _facts_of(recipe: Recipe) -> DataFacts:
    said = recipe.data.component.facts(DataFacts, recipe.data.options)
    return facts_of(build_split(recipe)) if said is None else said


def _batches_per_epoch(recipe: Recipe, facts: DataFacts) -> int:
    batch = recipe.train.batch_images
    if recipe.needs.sets is not None:
        return max(facts.train_images // batch, 1)
    shards = recipe.train.shards or default_shards(batch)
    return batches_per_epoch(images=facts.train_images, batch_images=batch, shards=shards)
