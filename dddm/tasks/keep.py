"""Keeping a training run: its state into a checkpoint, and back."""

import time
from collections.abc import Mapping
from typing import Any

import attrs

from dddm.errors import DataError
from dddm.interfaces.observer import CheckpointSaved
from dddm.run import checkpoint as checkpoints
from dddm.run.checkpoint import Groups
from dddm.run.processes import Processes
from dddm.run.resources import free_memory
from dddm.run.versions import components, how_to_fit, machine, versions
from dddm.tasks.optimiser import load_optimiser_state, optimiser_state
from dddm.tasks.saver import Saved
from dddm.tasks.store_state import SavedStates, group_of, to_group
from dddm.tasks.training import Best, Position, Training


def save(training: Training) -> None:
    """Begin to save a checkpoint of where training stands; all processes call it at the same step.

    It is written from copies while training goes on.  Where memory has no room for them it is
    written before this returns.  `training.saver` says when it is complete.
    """
    began = time.perf_counter()
    processes, store, position = training.processes, training.parts.store, training.position
    announce_saved(training, training.saver.wait())
    # In this order: a snapshot names rows, which must outlive a crash before the checkpoint does.
    store.flush()
    own: Groups = {group_of(processes.rank): to_group(store.snapshot())}
    shared = _what_all_have(training) if processes.main else {}
    state = _state(training)
    at_once = not _room_for_copies(own, shared, processes=processes)
    if not at_once:
        own, shared = _copied(own), _copied(shared)
    stalled = time.perf_counter() - began

    def write() -> Saved:
        path = checkpoints.save(
            training.folder.checkpoints,
            step=step,
            groups=shared,
            state=state,
            own=own,
            processes=training.saver.processes,
        )
        if processes.main:
            checkpoints.keep_newest(
                training.folder.checkpoints,
                count=training.recipe.train.keep_checkpoints,
                every_steps=_steps_between_kept(training),
            )
        seconds = time.perf_counter() - began
        return Saved(
            step=step,
            folder=path,
            size_bytes=checkpoints.size_bytes(path) if processes.main else 0,
            seconds=seconds,
            stalled_seconds=seconds if at_once else stalled,
        )

    step = position.step
    training.saver.begin(write)
    if at_once:
        announce_saved(training, training.saver.wait())


def announce_saved(training: Training, saved: Saved | None) -> None:
    """Tell of a checkpoint that has become complete, if there is one."""
    if saved is not None and training.processes.main:
        training.announcer.announce(
            CheckpointSaved,
            step=saved.step,
            folder=saved.folder,
            size_bytes=saved.size_bytes,
            save_seconds=saved.seconds,
            stalled_seconds=saved.stalled_seconds,
        )


def _what_all_have(training: Training) -> Groups:
    return {
        "model": training.parts.backbone.state_dict(),
        "ema": training.ema.backbone.state_dict(),
        **{name: ema.backbone.state_dict() for name, ema in training.more_emas.items()},
        "optimiser": optimiser_state(training.optimiser),
    }


def _state(training: Training) -> dict[str, Any]:
    position = training.position
    return {
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
        "processes": training.processes.count,
        "recipe": training.recipe.fingerprint,
        "components": components(training.recipe.uses),
        "versions": versions(training.recipe.uses),
        "machine": machine(training.device),
    }


def _room_for_copies(*several: Groups, processes: Processes) -> bool:
    """Whether the processes on this machine can all hold copies in memory."""
    taken = sum(
        tensor.nbytes
        for groups in several
        for group in groups.values()
        for tensor in group.values()
    )
    free = free_memory()
    return free is None or taken * processes.here < free


def _copied(groups: Groups) -> Groups:
    """The tensors in main memory, where training does not change them."""
    return {
        name: {key: tensor.detach().to("cpu", copy=True) for key, tensor in group.items()}
        for name, group in groups.items()
    }


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
            remedy=how_to_fit(found.state["versions"], training.recipe.uses),
        ) from error
