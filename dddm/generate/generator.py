"""A trained generator: the averaged weights of a run's newest checkpoint, ready to sample."""

from typing import Final, final

import torch
from attrs import frozen

from dddm.core.denoiser import ScheduledDenoiser
from dddm.errors import DataError, UsageError
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.info import ImageShape
from dddm.interfaces.sampler import Denoiser
from dddm.train import checkpoint as checkpoints
from dddm.train.build import build_parametrization, build_schedule
from dddm.train.context import RunContext
from dddm.train.training import ema_group
from dddm.train.versions import how_to_fit


@final
@frozen(kw_only=True)
class Generator:
    """What samples are drawn from.

    Attributes:
        backbone: the network that the model computes with.
        device: where it computes.
        shape: of one image.
        classes: names of the classes that the network is conditioned on; empty for none.
        step: optimizer steps that the weights have behind them.
        checkpoint_sha256: of the checkpoint's manifest; None while it is being trained.
        weights: which of the run's weights they are, in words.
    """

    model: Denoiser
    backbone: Backbone
    device: torch.device
    shape: ImageShape
    classes: tuple[str, ...]
    step: int
    checkpoint_sha256: str | None
    weights: str


@final
@frozen(kw_only=True)
class Weights:
    """Which of a run's weights samples are drawn from.

    Attributes:
        ema: decay of one of the recipe's `extra_ema_decays`; None for that of `ema`.
        best: the weights that scored best during training instead of the newest.
    """

    ema: float | None = None
    best: bool = False

    @property
    def group(self) -> str:
        """What they are called in a checkpoint."""
        return "ema" if self.ema is None else ema_group(self.ema)

    def __str__(self) -> str:
        return f"best {self.group}" if self.best else self.group


LATEST: Final = Weights()
"""The average `ema` of the newest checkpoint."""


def load_generator(context: RunContext, *, weights: Weights = LATEST) -> Generator:
    """Load averaged weights of the newest whole checkpoint, or the best.

    Raises:
        DataError: if there is no checkpoint, or it does not fit the recipe's network.
        UsageError: if the run keeps no such weights.
    """
    recipe, folder = context.recipe, context.folder
    _refuse_unkept(context, weights)
    found = checkpoints.newest_whole(folder.best if weights.best else folder.checkpoints)
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
    except (KeyError, TypeError) as error:
        raise DataError(
            f"run.json does not say which images the run was trained on ({error!r})",
            where=str(folder.about),
            remedy="give the run's `dddm run` command again: it writes the file anew",
        ) from error
    backbone: Backbone = recipe.backbone.instantiate(shape=shape, classes=len(classes))
    try:
        backbone.load_state_dict(dict(found.checkpoint.groups[weights.group]))
    except (KeyError, RuntimeError) as error:
        # The best weights do not say it themselves.
        before = found.checkpoint.state.get("versions", about.get("versions", {}))
        raise DataError(
            f"the checkpoint does not fit the recipe's network: {error}",
            where=str(found.checkpoint.folder),
            remedy=how_to_fit(before, recipe.uses),
        ) from error
    backbone.to(context.device).eval().requires_grad_(requires_grad=False)
    schedule = build_schedule(recipe)
    parametrization = build_parametrization(recipe, schedule=schedule)
    return Generator(
        model=ScheduledDenoiser(
            schedule=schedule, backbone=backbone, parametrization=parametrization
        ),
        backbone=backbone,
        device=context.device,
        shape=shape,
        classes=classes if backbone.uses_labels else (),
        step=found.checkpoint.step,
        checkpoint_sha256=found.checkpoint.sha256,
        weights=str(weights),
    )


def _refuse_unkept(context: RunContext, weights: Weights) -> None:
    kept = context.recipe.train.extra_ema_decays
    if weights.ema is not None and weights.ema not in kept:
        raise UsageError(
            f"this run keeps no average with decay {weights.ema:g}",
            where="--ema",
            remedy="leave --ema out"
            + (f", or choose {' or '.join(f'{decay:g}' for decay in kept)}" if kept else ""),
        )
    if weights.best and weights.ema is not None:
        raise UsageError(
            "the best weights are kept of the average `ema` alone",
            where="--best",
            remedy="give --best or --ema, not both",
        )
    if weights.best and not checkpoints.list_checkpoints(context.folder.best):
        raise UsageError(
            "this run keeps no best weights",
            where="--best",
            remedy="train with train.score_every_epochs, or leave --best out",
        )
