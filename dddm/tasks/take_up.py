"""Going on with a run: from its newest checkpoint whose estimates are there too."""

from collections.abc import Callable, Mapping

from dddm.errors import EstimatesLost
from dddm.interfaces.observer import DataProgress
from dddm.run import checkpoint as checkpoints
from dddm.run.checkpoint import Checkpoint, Found
from dddm.run.folder import RunFolder
from dddm.run.processes import Processes
from dddm.run.versions import changed_versions, versions
from dddm.support.quantities import counted
from dddm.tasks.keep import restore
from dddm.tasks.training import Training


def find(
    folder: RunFolder, *, processes: Processes, lost: Mapping[int, str] | None = None
) -> Found:
    """The newest whole checkpoint, which the first process looks for."""
    found = processes.from_main(lambda: checkpoints.newest_whole(folder.checkpoints, lost=lost))
    if processes.main or found.checkpoint is None:
        return found
    mine = checkpoints.read(found.checkpoint.folder, prove=False)
    return Found(checkpoint=mine, damaged=())


def passed_over(sentence: str) -> str:
    """What a person is told about a checkpoint that cannot be used."""
    return f"{sentence}; going on from the one before it"


def take_up(training: Training, found: Found) -> None:
    """Bring training to where the newest checkpoint stands that can be gone on from.

    Estimates that a store keeps elsewhere may be lost although the checkpoint is whole; all
    processes go back to the one before together.

    Raises:
        DataError: if there are checkpoints, and none can be gone on from.
    """
    told = len(found.damaged)
    lost: dict[int, str] = {}
    while found.checkpoint is not None:
        why = _what_is_lost(training, found.checkpoint)
        if why is None:
            break
        lost[found.checkpoint.step] = why
        found = find(training.folder, processes=training.processes, lost=lost)
    if found.checkpoint is None:
        return
    if lost and training.processes.main:
        _go_back(training, found.checkpoint, lost=lost)
        for sentence in found.damaged[told:]:
            training.announcer.say(passed_over(sentence))
    _say_if_processes_changed(training, before=found.checkpoint.state["processes"])
    _say_if_versions_changed(training, before=found.checkpoint.state["versions"])


def _what_is_lost(training: Training, checkpoint: Checkpoint) -> str | None:
    """Restore a checkpoint; the first process that misses estimates says which."""
    mine = None
    try:
        restore(training, checkpoint)
        training.parts.store.prove(progress=_shown_by(training))
    except EstimatesLost as error:
        mine = error.what
    return next((why for why in training.processes.gather(mine) if why is not None), None)


def _shown_by(training: Training) -> Callable[[str, int, int], None]:
    def show(what: str, done: int, total: int) -> None:
        training.announcer.announce(DataProgress, what=what, done=done, total=total)

    return show


def _go_back(training: Training, checkpoint: Checkpoint, *, lost: Mapping[int, str]) -> None:
    """Make the folder look as it did when this checkpoint was the newest."""
    # They are made again when training comes there, with their estimates in other places.
    for step in lost:
        checkpoints.remove(checkpoints.path_of(training.folder.checkpoints, step=step))
    if training.log is not None:
        training.log.cut_back(checkpoint.state["log_bytes"])


def _say_if_processes_changed(training: Training, *, before: int) -> None:
    now = training.processes.count
    if now != before:
        training.announcer.say(
            f"saved by {counted(before, 'process', 'processes')}, gone on with by {now}: the same "
            "batches, noise and order"
        )


def _say_if_versions_changed(training: Training, *, before: Mapping[str, str]) -> None:
    changed = changed_versions(before, versions(training.recipe.uses))
    if changed:
        training.announcer.say(
            f"the checkpoint was saved with other versions: {', '.join(changed)}; what follows may "
            "differ from what they would have made"
        )
