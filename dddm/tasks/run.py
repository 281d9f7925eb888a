"""`dddm run`: train, sample, evaluate and report, each only as far as it is not done yet."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from dddm.errors import DddmError, StoppedEarly
from dddm.interfaces.dataset import Dataset
from dddm.interfaces.facts import ImageShape
from dddm.interfaces.observer import DataProgress, RunStopped
from dddm.recipe.model import Recipe, SampleJob
from dddm.run import checkpoint as checkpoints
from dddm.run.announce import Announcer, Follower
from dddm.run.context import RunContext
from dddm.run.device import refuse_without_compiler
from dddm.run.event_log import EventLog
from dddm.run.folder import RunFolder
from dddm.run.processes import ALONE, Processes, is_consequence
from dddm.run.stopping import StopRequest
from dddm.run.versions import machine, versions
from dddm.tasks.build import TrainingParts, build_for_training
from dddm.tasks.checkpointing import find_latest, passed_over, resume
from dddm.tasks.draw import Request, draw_request
from dddm.tasks.generator import load_generator
from dddm.tasks.judge import Bench, refuse_unfit
from dddm.tasks.progress import Progress
from dddm.tasks.train import train
from dddm.tasks.training import Training


def run(
    recipe: Recipe,
    *,
    folder: RunFolder,
    device: torch.device,
    observers: Sequence[Follower],
    stop: StopRequest,
    processes: Processes = ALONE,
) -> Path:
    """Do all that a recipe says and is not done yet; the path of the report.

    All processes train, draw samples and extract features; the report is the first one's.

    Raises:
        DddmError: for whatever goes wrong; StoppedEarly when asked to stop.
    """
    found = find_latest(folder, processes=processes)
    work = partial(_work, recipe, found, folder, device=device, stop=stop, processes=processes)
    if not processes.main:
        work(announcer=Announcer(()), log=None)
        return folder.report
    log_bytes = 0 if found.checkpoint is None else found.checkpoint.state["log_bytes"]
    log = EventLog(folder.events, keep_bytes=None if _trained(found) else log_bytes)
    logging = Follower(title="the event log", make=lambda: log)
    announcer = Announcer([logging, *observers], stop=stop)
    try:
        for sentence in found.damaged:
            announcer.say(passed_over(sentence))
        work(announcer=announcer, log=log)
        stop.obey(where="after the scores", saved=True)
        page = _report(recipe, folder)
    except BaseException as error:
        message = _in_words(error)
        reason = "interrupted" if isinstance(error, StoppedEarly) else "failed"
        announcer.tally()
        announcer.announce(RunStopped, reason=reason, step=_saved_step(folder), message=message)
        raise
    else:
        step = _saved_step(folder)
        announcer.tally()
        announcer.announce(RunStopped, reason="finished", step=step, message=f"see {page}")
        return page
    finally:
        announcer.close()


def _work(
    recipe: Recipe,
    found: checkpoints.LatestCheckpoint,
    folder: RunFolder,
    *,
    device: torch.device,
    announcer: Announcer,
    log: EventLog | None,
    stop: StopRequest,
    processes: Processes,
) -> None:
    """What all processes do together, one step after the other."""
    _train(
        recipe,
        found,
        folder,
        device=device,
        announcer=announcer,
        log=log,
        stop=stop,
        processes=processes,
    )
    stop.agree(processes)
    stop.obey(where="after training", saved=True)
    changed = _sample(
        recipe, folder, device=device, announcer=announcer, stop=stop, processes=processes
    )
    _evaluate(
        recipe,
        folder,
        changed=changed,
        device=device,
        announcer=announcer,
        stop=stop,
        processes=processes,
    )


def _in_words(error: BaseException) -> str:
    if is_consequence(error):
        return "another process of this run has failed"
    return error.what if isinstance(error, DddmError) else repr(error)


def _saved_step(folder: RunFolder) -> int:
    """Steps that the newest checkpoint has behind it."""
    saved = checkpoints.list_checkpoints(folder.checkpoints)
    return checkpoints.step_of(saved[0]) if saved else 0


def _trained(found: checkpoints.LatestCheckpoint) -> bool:
    """Whether the newest checkpoint is that of the last step."""
    if found.checkpoint is None:
        return False
    steps: int = found.checkpoint.state["total_steps"]
    return found.checkpoint.step >= steps


def _train(
    recipe: Recipe,
    found: checkpoints.LatestCheckpoint,
    folder: RunFolder,
    *,
    device: torch.device,
    announcer: Announcer,
    log: EventLog | None,
    stop: StopRequest,
    processes: Processes,
) -> None:
    """Train what is left of the run."""
    if _trained(found):
        return
    if recipe.train.compile:
        refuse_without_compiler(device)
    processes.from_main(lambda: _prepare_data(recipe, announcer=announcer, stop=stop))
    context = RunContext(
        recipe=recipe,
        folder=folder,
        device=device,
        announcer=announcer,
        stop=stop,
        processes=processes,
    )
    parts = build_for_training(context)
    _refuse_unfit_features(recipe, shape=parts.split.shape)
    if processes.main:
        _note_parts(recipe, folder, parts=parts, device=device, processes=processes)
    training = Training(context=context, parts=parts, log=log)
    try:
        resume(training, found)
        train(training, progress=Progress(recipe))
    finally:
        training.saver.close()
        training.reader.close()
        parts.memory.close()
    if processes.main:
        _note_seconds(folder, train=training.position.train_seconds)


def _note_parts(
    recipe: Recipe,
    folder: RunFolder,
    *,
    parts: TrainingParts,
    device: torch.device,
    processes: Processes,
) -> None:
    shape = parts.split.shape
    folder.note_about(
        image_shape={"channels": shape.channels, "height": shape.height, "width": shape.width},
        classes=list(parts.split.classes),
        data_manifest=parts.split.manifest,
        versions=versions(recipe.uses),
        machine=machine(device),
        processes=processes.count,
    )


def _refuse_unfit_features(recipe: Recipe, *, shape: ImageShape) -> None:
    """Find before training, and not after it, that samples could not be judged."""
    if recipe.evaluate is not None:
        refuse_unfit(recipe.evaluate, shape=shape)


def _prepare_data(recipe: Recipe, *, announcer: Announcer, stop: StopRequest) -> None:
    """Let the data set do what is done once, such as packing; it goes on where it was stopped."""

    def progress(what: str, done: int, total: int) -> None:
        announcer.announce(DataProgress, what=what, done=done, total=total)
        stop.obey(where=f"{what}: {done} of {total} images", saved=True)

    data: Dataset = recipe.data.make()
    data.prepare(progress=progress)


def _note_seconds(folder: RunFolder, **seconds: float) -> None:
    before = folder.read_about().get("seconds", {})
    rounded = {name: round(value, 2) for name, value in seconds.items()}
    folder.note_about(seconds={**before, **rounded})


def sample_folders(recipe: Recipe, folder: RunFolder) -> list[tuple[SampleJob, dict[int, Path]]]:
    """Where each job's samples go: `fixed-time-100`, with a number where that name is taken."""
    taken: set[str] = set()
    places = []
    for job in recipe.sample:
        paths = {}
        for steps in job.settings.steps:
            name = plain = f"{job.sampler.component.name}-{steps}"
            count = 1
            while name in taken:
                count += 1
                name = f"{plain}-{count}"
            taken.add(name)
            paths[steps] = folder.samples / name
        places.append((job, paths))
    return places


def _sample(
    recipe: Recipe,
    folder: RunFolder,
    *,
    device: torch.device,
    announcer: Announcer,
    stop: StopRequest,
    processes: Processes,
) -> bool:
    """Draw the samples that are not there yet; whether there were any."""
    if not recipe.sample:
        return False
    began = time.perf_counter()
    generator = load_generator(recipe, folder=folder, device=device, say=announcer.say)
    changed = False
    for job, paths in sample_folders(recipe, folder):
        request = Request(
            use=job.sampler, folders=paths, images=job.settings.images, seed=job.settings.seed
        )
        changed |= draw_request(
            request,
            generator=generator,
            device=device,
            announcer=announcer,
            stop=stop,
            processes=processes,
        )
    if changed and processes.main:
        _note_seconds(folder, sample=time.perf_counter() - began)
    return changed


def _report(recipe: Recipe, folder: RunFolder) -> Path:
    # Imported when training is over: what draws curves takes a second to import.
    from dddm.tasks.report import report

    return report(recipe, folder=folder)


def _evaluate(
    recipe: Recipe,
    folder: RunFolder,
    *,
    changed: bool,
    device: torch.device,
    announcer: Announcer,
    stop: StopRequest,
    processes: Processes,
) -> None:
    if recipe.evaluate is None or not recipe.sample:
        return
    scored_as = recipe.tables["evaluate"]
    if not changed and processes.from_main(lambda: _scored_as(folder) == scored_as):
        return
    # Imported when training is over: what scores takes seconds to import.
    from dddm.tasks.evaluate import evaluate

    began = time.perf_counter()
    bench = Bench(
        notify=announcer.notify,
        clock=announcer.clock,
        device=device,
        stop=stop,
        processes=processes,
    )
    evaluate(recipe, folder=folder, bench=bench)
    if processes.main:
        _note_seconds(folder, evaluate=time.perf_counter() - began)
        folder.note_about(scored=scored_as)


def _scored_as(folder: RunFolder) -> object:
    """The table by which the run was scored; None where it was not."""
    return folder.read_about().get("scored") if folder.scores.exists() else None
