"""A trained generator: the averaged weights of a run's newest checkpoint, ready to sample."""

from collections.abc import Callable
from typing import final

import torch
from attrs import frozen

from dddm.errors import DataError
from dddm.interfaces.facts import ImageShape
from dddm.interfaces.sampler import Denoiser
from dddm.method.denoiser import ScheduledDenoiser
from dddm.recipe.model import Recipe
from dddm.run import checkpoint as checkpoints
from dddm.run.folder import RunFolder
from dddm.tasks.build import build_schedule


@final
@frozen(kw_only=True)
class Generator:
    """What samples are drawn from.

    Attributes:
        shape: of one image.
        classes: names of the classes that the network is conditioned on; empty for none.
        step: optimiser steps that the weights have behind them.
        checkpoint_sha256: of the checkpoint's manifest.
    """

    model: Denoiser
    shape: ImageShape
    classes: tuple[str, ...]
    step: int
    checkpoint_sha256: str


def load_generator(
    recipe: Recipe, *, folder: RunFolder, device: torch.device, say: Callable[[str], None]
) -> Generator:
    """Load the averaged weights of the newest whole checkpoint.

    Args:
        say: told, in a sentence, of checkpoints that were damaged and passed over.

    Raises:
        DataError: if there is no checkpoint, or it does not fit the recipe's network.
    """
    found = checkpoints.newest_whole(folder.checkpoints)
    for sentence in found.damaged:
        say(f"{sentence}; the one before it is used")
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
    backbone = recipe.backbone.make(shape=shape, classes=len(classes))
    try:
        backbone.load_state_dict(dict(found.checkpoint.groups["ema"]))
    except (KeyError, RuntimeError) as error:
        raise DataError(
            f"the checkpoint does not fit the recipe's network: {error}",
            where=str(found.checkpoint.folder),
            remedy="use the versions that its state.json names",
        ) from error
    backbone.to(device).eval().requires_grad_(requires_grad=False)
    return Generator(
        model=ScheduledDenoiser(schedule=build_schedule(recipe), backbone=backbone),
        shape=shape,
        classes=classes if backbone.uses_labels else (),
        step=found.checkpoint.step,
        checkpoint_sha256=found.checkpoint.sha256,
    )
