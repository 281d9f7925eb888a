"""How far training has come, for the eye and in numbers: grids and scores between epochs.

Both are drawn from the averaged weights by the recipe's first sampler.  A loss says nothing about
the samples of this method, so the weights that are kept as the best are those that score best.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import final

from attrs import evolve
from torch import Tensor

from dddm.evaluate.evaluator import build_features, measure, prepare_features
from dddm.evaluate.extract import EvaluationContext, extract, real_features
from dddm.generate.generator import LATEST, Generator, no_class_of
from dddm.generate.sample import evaluations_at, generate_images
from dddm.interfaces.features import Features
from dddm.interfaces.observer import SamplesDrawn, ScoreMeasured
from dddm.interfaces.sampler import Sampler
from dddm.interfaces.score import Reference
from dddm.recipe.model import BLOCK_IMAGES, Recipe, SampleSpec, score_info
from dddm.support.files import raise_on_disk_full
from dddm.support.images import grid, png_bytes
from dddm.training.checkpointing import keep_best
from dddm.training.training import Best, Training

_GRID_STEPS = 10


@final
class Progress:
    """Draws and scores during training what the recipe asks for, after the epochs it asks for."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe

    def after_epoch(self, training: Training) -> None:
        """Do what is due after the epoch that `training` has just done; all processes call this.

        The first one draws and scores; all share the features of the training images.
        """
        settings, epochs = self._recipe.train, training.position.epoch + 1
        if not self._recipe.sample:
            return
        main = training.context.processes.main
        if main and settings.sample_every_epochs and epochs % settings.sample_every_epochs == 0:
            self._draw_grid(training)
        if settings.score_every_epochs and epochs % settings.score_every_epochs == 0:
            self._score(training)

    @property
    def _spec(self) -> SampleSpec:
        return self._recipe.sample[0]

    @cached_property
    def _sampler(self) -> Sampler:
        sampler: Sampler = self._spec.sampler.instantiate()
        return sampler

    def _samples(
        self, training: Training, *, steps: Sequence[int], images: int
    ) -> dict[int, Tensor]:
        """Images (N, C, H, W), uint8, for each number of steps."""
        parts = training.parts
        generator = Generator(
            model=training.averaged_denoiser(),
            backbone=training.ema.backbone,
            device=training.context.device,
            shape=parts.split.shape,
            classes=parts.split.classes if parts.backbone.uses_labels else (),
            step=training.position.step,
            checkpoint_sha256=None,
            weights=str(LATEST),
            objective=self._recipe.objective,
            no_class=no_class_of(self._recipe, classes=parts.split.classes),
        )
        # Not compiled: that takes longer than these few images.
        spec = evolve(self._spec, steps=tuple(steps), images=images, compile=False)
        return generate_images(spec, generator=generator, sampler=self._sampler)

    def _draw_grid(self, training: Training) -> None:
        """A grid at 10 steps, or the recipe's nearest number below; one class a column."""
        asked = self._spec.steps
        steps = max((s for s in asked if s <= _GRID_STEPS), default=min(asked))
        images_NCHW = self._samples(training, steps=[steps], images=BLOCK_IMAGES)[steps]
        split = training.parts.split
        classes = len(split.classes) if training.parts.backbone.uses_labels else 0
        columns = classes if 1 < classes <= BLOCK_IMAGES // 2 else None
        whole_rows = BLOCK_IMAGES // columns * columns if columns else BLOCK_IMAGES
        path = training.context.folder.progress / f"epoch-{training.position.epoch + 1:05d}.png"
        with raise_on_disk_full(path):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(png_bytes(grid(images_NCHW[:whole_rows], columns=columns)))
        training.context.events.emit(
            SamplesDrawn,
            sampler=self._spec.name,
            steps=steps,
            evaluations=evaluations_at(self._spec, sampler=self._sampler, steps=steps),
            images=whole_rows,
            grid=path,
        )

    def _score(self, training: Training) -> None:
        """The first score at the recipe's `score_steps`; the best weights at the first of them.

        Distances of few images are higher than those of many: they compare epochs of one run.
        """
        settings, evaluation = self._recipe.train, self._recipe.evaluate
        if evaluation is None:
            return
        features, reference = self._features_and_reference(training)
        if reference is None:
            return
        samples = self._samples(training, steps=settings.score_steps, images=settings.score_images)
        use = evaluation.scores[0]
        deciding = score_info(use).measures[0]
        first = evaluation.features[0].component.name
        name = f"{deciding.name}-{first}@{settings.score_images}"
        values = {}
        for steps, images_NCHW in samples.items():
            generated = extract(features, images_NCHW)
            found = measure(use, generated=generated, reference=reference)
            values[steps] = found[deciding.name].value
            training.context.events.emit(
                ScoreMeasured,
                score=name,
                sampler=self._spec.name,
                steps=steps,
                evaluations=evaluations_at(self._spec, sampler=self._sampler, steps=steps),
                value=values[steps],
                epoch=training.position.epoch,
            )
        value = values[settings.score_steps[0]]
        before = training.best
        if before is None or (
            value != before.value and deciding.best([value, before.value]) == value
        ):
            epoch, step = training.position.epoch, training.position.step
            training.best = Best(value=value, epoch=epoch, step=step)
            keep_best(training)

    def _features_and_reference(self, training: Training) -> tuple[Features, Reference | None]:
        """The recipe's first features, and in the first process those of the training images.

        They are extracted once.
        """
        if self._scored_in is None:
            assert self._recipe.evaluate is not None
            split, use = training.parts.split, self._recipe.evaluate.features[0]
            features, *_ = build_features(self._recipe.evaluate, images=split)
            run = training.context
            context = EvaluationContext(
                events=run.events, device=run.device, stop=run.stop, processes=run.processes
            )
            prepare_features(features, split, context=context)
            real = real_features(features, split, identity=use.identity, context=context)
            reference = (
                None
                if real is None
                else Reference(
                    train=real.kept.features,
                    train_logits=real.kept.logits,
                    train_image_statistics=real.kept.image_statistics,
                    train_labels=real.kept.labels,
                    statistics=real.statistics,
                    train_images=real.images,
                )
            )
            self._scored_in = (features, reference)
        return self._scored_in

    _scored_in: tuple[Features, Reference | None] | None = None
