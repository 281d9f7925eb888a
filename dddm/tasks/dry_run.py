"""`dddm run --dry-run`: what a recipe will take, without taking it.

The network is built on the meta device, which has shapes and no memory; the target store is asked
what one row takes.  Images are read only where the data set cannot say what it holds without.
"""

from typing import Any, Final, final

import torch
from attrs import asdict, frozen

from dddm.interfaces.backbone import Backbone
from dddm.interfaces.facts import DataFacts
from dddm.interfaces.target_store import Footprint, TargetStore
from dddm.method.flops import Flops, count_flops
from dddm.recipe.model import Recipe
from dddm.recipe.sample_spec import SampleSpec
from dddm.run.batches import BatchPlan
from dddm.tasks.build import build_split, kept_snapshots
from dddm.tasks.sample import build_sampler, evaluations_of_image

_FLOAT32_BYTES: Final = 4
_ADAM_AVERAGES: Final = 2


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
class Outlook:
    """What a recipe will take.

    Attributes:
        facts: of the training images.
        parameters: of the network.
        flops: of one evaluation for one image.
        plan: which images stand in which batch.
        weights_bytes: of the network's parameters, float32.
        gradient_bytes: the same again.
        adam_bytes: Adam's two averages.
        ema_bytes: all averages of the weights.
        store: the target store with every row in it, in all processes together.
        image_bytes: the training images as uint8.
        samples: what each `[[sample]]` asks for.
    """

    facts: DataFacts
    parameters: int
    flops: Flops
    plan: BatchPlan
    epochs: int
    weights_bytes: int
    gradient_bytes: int
    adam_bytes: int
    ema_bytes: int
    store: Footprint
    image_bytes: int
    samples: tuple[SampleCost, ...]

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.epochs * self.plan.batches_per_epoch

    @property
    def training_flops(self) -> int:
        """Of the whole run: a step costs three forward passes, two of them for the gradient."""
        return 3 * self.flops.forward * self.steps * self.plan.batch_images

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
                "parameters": self.parameters,
                "flops_begin": self.flops.begin,
                "flops_refine": self.flops.refine,
                "flops_forward": self.flops.forward,
            },
            "training": {
                "epochs": self.epochs,
                "steps": self.steps,
                "batch_images": self.plan.batch_images,
                "stale_images_each_epoch": self.plan.stale_images,
                "flops": self.training_flops,
            },
            "bytes": {
                "weights": self.weights_bytes,
                "gradient": self.gradient_bytes,
                "adam": self.adam_bytes,
                "ema": self.ema_bytes,
                "target_store_memory": self.store.memory,
                "target_store_disk": self.store.disk,
                "target_store_device": self.store.device,
            },
            "sampling": {
                "evaluations": self.evaluations,
                "jobs": [asdict(cost) for cost in self.samples],
            },
        }


def look_ahead(recipe: Recipe) -> Outlook:
    """Count what `recipe` will take; seconds, and no memory to speak of.

    Raises:
        DddmError: for whatever a component refuses.
    """
    facts = _facts_of(recipe)
    with torch.device("meta"):
        backbone: Backbone = recipe.backbone.make(shape=facts.shape, classes=len(facts.classes))
    parameters = sum(parameter.numel() for parameter in backbone.parameters())
    each = parameters * _FLOAT32_BYTES
    return Outlook(
        facts=facts,
        parameters=parameters,
        flops=count_flops(backbone, shape=facts.shape),
        plan=BatchPlan.make(
            images=facts.train_images,
            batch_images=recipe.train.batch_images,
            shards=recipe.train.shards,
            seed=recipe.seed,
        ),
        epochs=recipe.train.epochs,
        weights_bytes=each,
        gradient_bytes=each,
        adam_bytes=_ADAM_AVERAGES * each,
        ema_bytes=(1 + len(recipe.train.more_emas)) * each,
        store=_footprint(recipe, facts),
        image_bytes=facts.train_images * facts.shape.values,
        samples=tuple(_sample_cost(SampleSpec.of_job(job)) for job in recipe.sample),
    )


def _sample_cost(spec: SampleSpec) -> SampleCost:
    each = evaluations_of_image(build_sampler(spec), spec.steps)
    return SampleCost(
        sampler=spec.name,
        steps=spec.steps,
        images=spec.images,
        evaluations_of_image=each,
        evaluations=spec.images * each,
    )


def _facts_of(recipe: Recipe) -> DataFacts:
    facts = recipe.data.component.facts(DataFacts, recipe.data.options)
    if facts is not None:
        return facts
    split = build_split(recipe)
    return DataFacts(shape=split.shape, train_images=len(split), classes=split.classes)


def _footprint(recipe: Recipe, facts: DataFacts) -> Footprint:
    store: TargetStore = recipe.targets.make()
    return store.footprint(
        rows=facts.train_images, shape=facts.shape, kept_snapshots=kept_snapshots(recipe)
    )
