"""Saving a training run, and resuming it from its newest checkpoint whose rows are there too."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
from safetensors import SafetensorError
from torch import Tensor

from dddm.errors import DataError, EstimatesLost
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.observer import CheckpointSaved, DataProgress
from dddm.support.json_files import NUMBER, OBJECT, OPTIONAL, TEXT, WHOLE, check_object
from dddm.support.optimizer_state import load_optimizer_state, optimizer_state
from dddm.support.quantities import counted
from dddm.support.sharded_tensors import whole_in_first
from dddm.support.state_dict import one_line
from dddm.training import checkpoint as checkpoints
from dddm.training.checkpoint import Checkpoint, Groups, LatestCheckpoint, Saved
from dddm.training.context import RunContext
from dddm.training.processes import Processes
from dddm.training.resources import free_memory
from dddm.training.sharding import load_whole
from dddm.training.training import Best, Position, Training
from dddm.training.versions import changed_versions, components, machine, mismatch_remedy, versions


def save(training: Training) -> None:
    """Start saving a checkpoint; all processes call this at the same step.

    A thread writes it from copies while training continues.  If memory has no room for copies, it
    is written before this returns.  `training.saver` reports when it is complete.
    """
    began = time.perf_counter()
    context, memory = training.context, training.parts.memory
    if context.processes.main:
        context.folder.refuse_removed()
    processes, folder = context.processes, context.folder.checkpoints
    announce_saved(training, training.saver.wait())
    # In this order: a snapshot names rows, which must outlive a crash before the checkpoint does.
    memory.flush()
    own = memory.snapshot(rank=processes.rank)
    # Of what is sharded each has a part, so that all take part in gathering it.
    shared = _what_all_have(training) if processes.main or training.sharded else {}
    shared = shared if processes.main else {}
    state = _state(training)
    at_once = not _room_for_copies(own, shared, processes=processes)
    if not at_once:
        own, shared = _copied(own), _copied(shared)
    stalled = time.perf_counter() - began

    def write() -> Saved:
        path = checkpoints.save(
            folder,
            step=step,
            groups=shared,
            state=state,
            own=own,
            processes=training.saver.processes,
        )
        if processes.main:
            checkpoints.prune_checkpoints(
                folder,
                count=context.recipe.train.keep_checkpoints,
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

    step = training.position.step
    training.saver.begin(write)
    if at_once:
        announce_saved(training, training.saver.wait())


def announce_saved(training: Training, saved: Saved | None) -> None:
    """Tell of a checkpoint that has become complete, if there is one."""
    if saved is not None and training.context.processes.main:
        training.context.events.emit(
            CheckpointSaved,
            step=saved.step,
            folder=saved.folder,
            size_bytes=saved.size_bytes,
            save_seconds=saved.seconds,
            stalled_seconds=saved.stalled_seconds,
        )


def _what_all_have(training: Training) -> Groups:
    objective = training.parts.objective.state()
    return {
        "model": _whole_state(training.parts.backbone),
        "ema": _whole_state(training.ema.backbone),
        **{name: _whole_state(ema.backbone) for name, ema in training.extra_emas.items()},
        "optimizer": optimizer_state(training.parts.optimizer),
        **({"objective": objective} if objective else {}),
    }


def _whole_state(backbone: Backbone) -> dict[str, Tensor]:
    return {name: whole_in_first(tensor) for name, tensor in backbone.state_dict().items()}


def _state(training: Training) -> dict[str, Any]:
    context, position = training.context, training.position
    recipe = context.recipe
    return {
        "position": {
            "epoch": position.epoch,
            "batch": position.batch,
            "loss_sum": position.loss_sum.hex(),
            "train_seconds": position.train_seconds,
            "overflows": position.overflows,
        },
        "total_steps": training.total_steps,
        "duration": recipe.train.duration,
        "scaler": training.scaler.state_dict(),
        "best": None if training.best is None else attrs.asdict(training.best),
        "log_bytes": 0 if training.log is None else training.log.position(),
        "processes": context.processes.count,
        "recipe": recipe.fingerprint,
        "components": components(recipe.components),
        "versions": versions(recipe.components),
        "machine": machine(context.device),
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
    best, context = training.best, training.context
    assert best is not None
    path = checkpoints.save(
        context.folder.best,
        step=best.step,
        groups={"ema": training.ema.backbone.state_dict()},
        state={"best": attrs.asdict(best), "recipe": context.recipe.fingerprint},
    )
    for older in checkpoints.list_checkpoints(context.folder.best):
        if older != path:
            checkpoints.remove(older)


def _steps_between_kept(training: Training) -> int | None:
    epochs = training.context.recipe.train.keep_every_epochs
    return None if epochs is None else epochs * training.parts.plan.batches_per_epoch


def restore(training: Training, found: Checkpoint) -> None:
    """Return to a checkpoint: the memory first, which may have lost what it refers to.

    Raises:
        DataError: if it does not fit this network or memory.
        EstimatesLost: if its rows are not there; then nothing else has changed.
    """
    parts = training.parts
    try:
        parts.memory.restore(found.files)
        averages = {"ema": training.ema, **training.extra_emas}
        for name, backbone in {
            "model": parts.backbone,
            **{name: ema.backbone for name, ema in averages.items()},
        }.items():
            load_whole(backbone, found.load(name, like=backbone.state_dict()))
        load_optimizer_state(parts.optimizer, found.load("optimizer"))
        parts.objective.restore(found.load("objective") if "objective" in found.files else {})
        position: Mapping[str, Any] = found.state["position"]
        loss_sum = float.fromhex(position["loss_sum"])
        training.position = Position(**{**position, "step": found.step, "loss_sum": loss_sum})
        if training.scaler.is_enabled():
            training.scaler.load_state_dict(found.state["scaler"])
        best: Mapping[str, Any] | None = found.state["best"]
        training.best = None if best is None else Best(**best)
    except (LookupError, RuntimeError, TypeError, ValueError, SafetensorError) as error:
        raise DataError(
            f"this checkpoint does not fit what the recipe builds: {one_line(error)}",
            where=str(found.folder),
            remedy=mismatch_remedy(found.state["versions"], training.context.recipe.components),
        ) from error


_STATE: Final = {
    "position": OBJECT,
    "total_steps": WHOLE,
    "scaler": OBJECT,
    "best": (*OBJECT, *OPTIONAL),
    "log_bytes": WHOLE,
    "processes": WHOLE,
    "recipe": TEXT,
    "components": OBJECT,
    "versions": OBJECT,
    "machine": OBJECT,
}
_ALSO: Final = {"duration": OBJECT}
"""What older checkpoints lack."""
_POSITION: Final = {
    "epoch": WHOLE,
    "batch": WHOLE,
    "loss_sum": TEXT,
    "train_seconds": NUMBER,
    "overflows": WHOLE,
}
_BEST: Final = {"value": NUMBER, "epoch": WHOLE, "step": WHOLE}


def _check_state(found: Checkpoint) -> None:
    """Refuse a checkpoint whose state is not what `save` writes."""
    if found.origin:
        raise DataError(
            f"checkpoint {found.folder.name} holds averaged weights alone, as portable runs do; "
            "another run can begin with them, by train.start_from",
            where=str(found.folder),
        )
    try:
        state = check_object(found.state, {**_STATE, **_ALSO}, required=_STATE)
        position = check_object(state["position"], _POSITION, required=_POSITION)
        best = {} if state["best"] is None else check_object(state["best"], _BEST, required=_BEST)
        loss_sum = float.fromhex(position["loss_sum"])
    except (ValueError, OverflowError) as error:
        raise checkpoints.damaged(found.folder / "state.json", str(error)) from error
    surplus = {*position, *best} - {*_POSITION, *_BEST}
    counts = [position["epoch"], position["batch"], position["overflows"], state["log_bytes"]]
    wrong = None
    if not math.isfinite(loss_sum):
        wrong = f"'loss_sum' is {loss_sum}"
    elif surplus:
        wrong = f"{min(surplus)!r} is unexpected"
    elif min(*counts, state["processes"] - 1) < 0:
        wrong = "a count is negative"
    if wrong is not None:
        raise checkpoints.damaged(found.folder / "state.json", wrong)


def find_latest(context: RunContext, *, lost: Mapping[int, str] | None = None) -> LatestCheckpoint:
    """The newest whole checkpoint; all processes call this."""
    return checkpoints.find_newest(
        context.folder.checkpoints, lost=lost, check=_check_state, processes=context.processes
    )


def fallback_notice(sentence: str) -> str:
    return f"{sentence}; resuming from the one before it"


def resume(training: Training, latest: LatestCheckpoint) -> None:
    """Restore the newest usable checkpoint.

    Rows that a store keeps outside the checkpoint may be lost although the checkpoint is complete;
    then all processes fall back to the previous one together.

    Raises:
        DataError: if there are checkpoints, and none can be resumed from.
    """
    told = len(latest.damaged)
    lost: dict[int, str] = {}
    context = training.context
    while latest.checkpoint is not None:
        why = _what_is_lost(training, latest.checkpoint)
        if why is None:
            break
        lost[latest.checkpoint.step] = why
        latest = find_latest(context, lost=lost)
    if latest.checkpoint is None:
        return
    if lost and context.processes.main:
        _go_back(training, latest.checkpoint, lost=lost)
        for sentence in latest.damaged[told:]:
            context.events.notice(fallback_notice(sentence))
    _say_if_processes_changed(context, before=latest.checkpoint.state["processes"])
    _say_if_versions_changed(context, before=latest.checkpoint.state["versions"])


def _what_is_lost(training: Training, checkpoint: Checkpoint) -> str | None:
    """Restore a checkpoint; the first process that misses rows says which."""
    mine = None
    try:
        restore(training, checkpoint)
        training.parts.memory.verify(progress=_shown_by(training.context))
    except EstimatesLost as error:
        mine = error.what
    gathered = training.context.processes.gather(mine)
    return next((why for why in gathered if why is not None), None)


def _shown_by(context: RunContext) -> Callable[[str, int, int], None]:
    def show(what: str, done: int, total: int) -> None:
        context.events.emit(DataProgress, what=what, done=done, total=total)

    return show


def _go_back(training: Training, checkpoint: Checkpoint, *, lost: Mapping[int, str]) -> None:
    """Make the folder look as it did when this checkpoint was the newest."""
    # They are made again when training comes there, with their rows in other places.
    for step in lost:
        checkpoints.remove(checkpoints.path_of(training.context.folder.checkpoints, step=step))
    if training.log is not None:
        training.log.cut_back(checkpoint.state["log_bytes"])


def _say_if_processes_changed(context: RunContext, *, before: int) -> None:
    now = context.processes.count
    if now != before:
        context.events.notice(
            f"saved by {counted(before, 'process', 'processes')}, resumed on {now}: the same "
            "batches, noise and order"
        )


def _say_if_versions_changed(context: RunContext, *, before: Mapping[str, str]) -> None:
    changed = changed_versions(before, versions(context.recipe.components))
    if changed:
        context.events.notice(
            f"the checkpoint was saved with other versions: {', '.join(changed)}; results may "
            "differ from those of the saved versions"
        )
