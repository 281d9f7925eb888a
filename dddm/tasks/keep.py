"""Keeping a training run: its state into a checkpoint, and back."""

import time
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dddm.errors import DataError
from dddm.interfaces.observer import CheckpointSaved
from dddm.run import checkpoint as checkpoints
from dddm.run.versions import machine, versions
from dddm.tasks.optimiser import load_optimiser_state, optimiser_state
from dddm.tasks.training import Position, Training


def save(training: Training) -> None:
    """Save a checkpoint of where training stands, and drop those that are no longer kept."""
    began = time.perf_counter()
    training.parts.store.flush()
    groups: dict[str, Mapping[str, Tensor]] = {
        "model": training.parts.backbone.state_dict(),
        "ema": training.ema.backbone.state_dict(),
        "optimiser": optimiser_state(training.optimiser),
        "store": training.parts.store.snapshot(),
    }
    position = training.position
    state = {
        "position": {
            "epoch": position.epoch,
            "batch": position.batch,
            "loss_sum": position.loss_sum.hex(),
            "train_seconds": position.train_seconds,
        },
        "log_bytes": training.log.position(),
        "recipe": training.recipe.fingerprint,
        "versions": versions(training.recipe),
        "machine": machine(training.device),
    }
    path = checkpoints.save(
        training.folder.checkpoints, step=position.step, groups=groups, state=state
    )
    checkpoints.keep_newest(
        training.folder.checkpoints, count=training.recipe.train.keep_checkpoints
    )
    training.announcer.announce(
        CheckpointSaved,
        step=position.step,
        folder=path,
        size_bytes=checkpoints.size_bytes(path),
        save_seconds=time.perf_counter() - began,
    )


def restore(training: Training, found: checkpoints.Checkpoint) -> None:
    """Take up training from a checkpoint.

    Raises:
        DataError: if it does not fit this network or store.
    """
    try:
        training.parts.backbone.load_state_dict(dict(found.groups["model"]))
        training.ema.backbone.load_state_dict(dict(found.groups["ema"]))
        load_optimiser_state(training.optimiser, found.groups["optimiser"])
        training.parts.store.restore(found.groups["store"])
        position: Mapping[str, Any] = found.state["position"]
        training.position = Position(
            step=found.step,
            epoch=position["epoch"],
            batch=position["batch"],
            loss_sum=float.fromhex(position["loss_sum"]),
            train_seconds=position["train_seconds"],
        )
    except (KeyError, RuntimeError, ValueError) as error:
        raise DataError(
            f"this checkpoint does not fit what the recipe builds: {error}",
            where=str(found.folder),
            remedy="the network's or store's code has changed since; use the versions in "
            "state.json, or train anew in another folder with --folder",
        ) from error
