"""Loads a trained generator: the averaged weights of a run's latest checkpoint."""

from collections.abc import Sequence
from typing import Final, final

import torch
from attrs import evolve, frozen

from dddm.core.denoiser import ScheduledDenoiser
from dddm.errors import DataError, UsageError
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.info import ImageShape
from dddm.interfaces.sampler import Denoiser
from dddm.recipe.model import ComponentConfig, Recipe, SampleSpec
from dddm.support.state_dict import one_line
from dddm.training import checkpoint as checkpoints
from dddm.training.checkpoint import Checkpoint
from dddm.training.context import RunContext
from dddm.training.device import refuse_without_compiler
from dddm.training.network import build_parametrization, build_schedule, instantiate_backbone
from dddm.training.training import PRECISIONS, ema_group
from dddm.training.versions import mismatch_remedy


@final
@frozen(kw_only=True)
class Generator:
    """A trained network, ready to sample from.

    Attributes:
        backbone: the network of `model`.
        shape: of one image.
        classes: names of the classes that the network is conditioned on; empty for none.
        sampler: of the recipe's first samples; None where it has none.
        no_class: the label of an image without class; None where training always showed the class.
        step: optimizer steps after which the weights were saved.
        checkpoint_sha256: of the checkpoint's manifest; None during training.
        weights: which of the run's weights they are, such as `ema` or `best ema`.
        objective: what it was trained by; None where that is unknown.
    """

    model: Denoiser
    backbone: Backbone
    device: torch.device
    shape: ImageShape
    classes: tuple[str, ...]
    step: int
    checkpoint_sha256: str | None
    weights: str
    objective: ComponentConfig | None = None
    sampler: ComponentConfig | None = None
    no_class: int | None = None

    def computing(self, spec: SampleSpec) -> "Generator":
        """The same, whose network computes as `spec` says."""
        if spec.precision == "float32" and not spec.compile:
            return self
        assert isinstance(self.model, ScheduledDenoiser)
        if spec.compile:
            refuse_without_compiler(self.device, where="compile")
        precision = PRECISIONS[spec.precision]
        return evolve(self, model=self.model.computed(precision=precision, compiled=spec.compile))


@final
@frozen(kw_only=True)
class Weights:
    """Which of a run's weights to sample from.

    Attributes:
        ema: decay of one of the recipe's `extra_ema_decays`; None for that of `ema`.
        best: the weights that scored best during training, not the latest.
    """

    ema: float | None = None
    best: bool = False

    @property
    def group(self) -> str:
        """Their name in a checkpoint."""
        return "ema" if self.ema is None else ema_group(self.ema)

    def __str__(self) -> str:
        return f"best {self.group}" if self.best else self.group


LATEST: Final = Weights()
"""The average `ema` of the latest checkpoint."""


def load_generator(context: RunContext, *, weights: Weights = LATEST) -> Generator:
    """Load averaged weights from the latest complete checkpoint, or the best ones.

    Raises:
        DataError: if there is no checkpoint, or it does not fit the recipe's network.
        UsageError: if the run keeps no such weights.
    """
    recipe, folder = context.recipe, context.folder
    _check_kept(context, weights)
    found = checkpoints.find_newest(
        folder.best if weights.best else folder.checkpoints,
        memory=False,
        processes=context.processes,
    )
    for sentence in found.damaged:
        context.events.notice(f"{sentence}; the one before it is used")
    if found.checkpoint is None:
        raise DataError(
            "this run has no checkpoint yet",
            where=str(folder.path),
            remedy=f"train it first: dddm run {folder.recipe} --folder {folder.path}",
        )
    about = folder.read_about()
    try:
        shape = ImageShape(**about["image_shape"])
        classes = tuple(about["classes"])
    except KeyError as error:
        raise DataError(
            f"run.json lacks the shape or classes of the training images ({error!r})",
            where=str(folder.about),
            remedy="repeat the run's `dddm run` command, which writes the file again",
        ) from error
    if folder.foreign:
        _check_size(recipe, found.checkpoint, shape=shape, classes=len(classes))
    backbone = instantiate_backbone(recipe, shape=shape, classes=len(classes))
    try:
        like = backbone.state_dict()
        backbone.load_state_dict(found.checkpoint.load(weights.group, like=like))
    except (KeyError, RuntimeError, ValueError) as error:
        # Checkpoints of the best weights have no versions of their own.
        before = found.checkpoint.state.get("versions")
        if not isinstance(before, dict):
            before = about.get("versions", {})
        raise DataError(
            f"the checkpoint does not fit the recipe's network: {one_line(error)}",
            where=str(found.checkpoint.folder),
            remedy=mismatch_remedy(before, recipe.components),
        ) from error
    backbone.to(context.device).eval().requires_grad_(requires_grad=False)
    schedule = build_schedule(recipe)
    parametrization = build_parametrization(recipe, schedule=schedule)
    return Generator(
        model=ScheduledDenoiser(
            schedule=schedule,
            backbone=backbone,
            parametrization=parametrization,
            takes_latent=recipe.needs.estimate == "latent",
        ),
        backbone=backbone,
        device=context.device,
        shape=shape,
        classes=classes if backbone.uses_labels else (),
        step=found.checkpoint.step,
        checkpoint_sha256=found.checkpoint.sha256,
        weights=str(weights),
        objective=recipe.objective,
        sampler=recipe.own_sampler,
        no_class=no_class_of(recipe, classes=classes),
    )


def _check_size(recipe: Recipe, found: Checkpoint, *, shape: ImageShape, classes: int) -> None:
    """Refuse a stranger's recipe whose network has more numbers than its weights have bytes.

    It would take memory before anything else is found to be wrong.
    """
    with torch.device("meta"):
        backbone = instantiate_backbone(recipe, shape=shape, classes=classes)
    numbers = sum(tensor.numel() for tensor in backbone.state_dict().values())
    there = sum(path.stat().st_size for path in found.files.values())
    if numbers > there:
        raise DataError(
            f"the recipe's network has {numbers:,} numbers, and the file of its weights "
            f"{there:,} bytes",
            where=str(found.folder),
            remedy="do not use this run",
        )


def no_class_of(recipe: Recipe, *, classes: Sequence[str]) -> int | None:
    """`Generator.no_class` of a network that `recipe` trains on images of these classes."""
    return len(classes) if recipe.train.label_dropout else None


def _check_kept(context: RunContext, weights: Weights) -> None:
    kept = context.recipe.train.extra_ema_decays
    if weights.ema is not None and weights.ema not in kept:
        raise UsageError(
            f"this run has no average with decay {weights.ema:g}",
            where="--ema",
            remedy="leave --ema out"
            + (f", or use {' or '.join(f'{decay:g}' for decay in kept)}" if kept else ""),
        )
    if weights.best and weights.ema is not None:
        raise UsageError(
            "the best weights are those of the average `ema` only",
            where="--best",
            remedy="use --best or --ema, not both",
        )
    if weights.best and not checkpoints.list_checkpoints(context.folder.best):
        raise UsageError(
            "this run has no best weights",
            where="--best",
            remedy="set train.score_every_epochs when training, or leave --best out",
        )
