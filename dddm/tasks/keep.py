"""Keeping a training run: its state into a checkpoint, and back."""

import time
from collections.abc import Mapping
from typing import Any

import attrs
from torch import Tensor

from dddm.errors import DataError
from dddm.interfaces.observer import CheckpointSaved
from dddm.run import checkpoint as checkpoints
from dddm.run.versions import machine, versions
from dddm.tasks.optimiser import load_optimiser_state, optimiser_state
from dddm.tasks.store_state import SavedStates, group_of, to_group
from dddm.tasks.training import Best, Position, Training


def save(training: Training) -> None:
    """Save a checkpoint of where training stands, and drop those that are no longer kept.

    All processes call it at the same step.
    """
    began = time.perf_counter()
    processes = training.processes
    # In this order: a snapshot names rows, which must outlive a crash before the checkpoint does.
    training.parts.store.flush()
    own = {group_of(processes.rank): to_group(training.parts.store.snapshot())}
    groups: dict[str, Mapping[str, Tensor]] = {
        "model": training.parts.backbone.state_dict(),
        "ema": training.ema.backbone.state_dict(),
        **{name: ema.backbone.state_dict() for name, ema in training.more_emas.items()},
        "optimiser": optimiser_state(training.optimiser),
    }
    position = training.position
    state = {
        "position": {
            "epoch": position.epoch,
            "batch": position.batch,
            "loss_sum": position.loss_sum.hex(),
            "train_seconds": position.train_seconds,
            "overflows": position.overflows,
        },
        "scaler": training.scaler.state_dict(),
        "best": None if training.best is None else attrs.asdict(training.best),
        "log_bytes": 0 if training.log is None else training.log.position(),
        "processes": processes.count,
        "recipe": training.recipe.fingerprint,
        "versions": versions(training.recipe),
        "machine": machine(training.device),
    }
    path = checkpoints.save(
        training.folder.checkpoints,
        step=position.step,
        groups=groups,
        state=state,
        own=own,
        processes=processes,
    )
    if not processes.main:
        return
    checkpoints.keep_newest(
        training.folder.checkpoints,
        count=training.recipe.train.keep_checkpoints,
        every_steps=_steps_between_kept(training),
    )
    training.announcer.announce(
        CheckpointSaved,
        step=position.step,
        folder=path,
        size_bytes=checkpoints.size_bytes(path),
        save_seconds=time.perf_counter() - began,
    )


def keep_best(training: Training) -> None:
    """Keep the averaged weights as they are now as the best so far, in place of those before."""
    best = training.best
    assert best is not None
    path = checkpoints.save(
        training.folder.best,
        step=best.step,
        groups={"ema": training.ema.backbone.state_dict()},
        state={"best": attrs.asdict(best), "recipe": training.recipe.fingerprint},
    )
    for older in checkpoints.list_checkpoints(training.folder.best):
        if older != path:
            checkpoints.remove(older)


def _steps_between_kept(training: Training) -> int | None:
    epochs = training.recipe.train.keep_every_epochs
    return None if epochs is None else epochs * training.parts.plan.batches_per_epoch


def restore(training: Training, found: checkpoints.Checkpoint) -> None:
    """Return to a checkpoint: the store first, which may have lost what it refers to.

    Raises:
        DataError: if it does not fit this network or store.
        EstimatesLost: if its estimates are not there; then nothing else has changed.
    """
    try:
        training.parts.store.restore(SavedStates(found.groups))
        training.parts.backbone.load_state_dict(dict(found.groups["model"]))
        training.ema.backbone.load_state_dict(dict(found.groups["ema"]))
        for name, ema in training.more_emas.items():
            ema.backbone.load_state_dict(dict(found.groups[name]))
        load_optimiser_state(training.optimiser, found.groups["optimiser"])
        position: Mapping[str, Any] = found.state["position"]
        training.position = Position(
            step=found.step,
            epoch=position["epoch"],
            batch=position["batch"],
            loss_sum=float.fromhex(position["loss_sum"]),
            train_seconds=position["train_seconds"],
            overflows=position["overflows"],
        )
        if training.scaler.is_enabled():
            training.scaler.load_state_dict(found.state["scaler"])
        best: Mapping[str, Any] | None = found.state["best"]
        training.best = None if best is None else Best(**best)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(
            f"this checkpoint does not fit what the recipe builds: {error}",
            where=str(found.folder),
            remedy="the network's or store's code has changed since; use the versions in "
            "state.json, or train anew in another folder with --folder",
        ) from error
