"""`dddm run`: train, sample, evaluate and report, each only as far as it is not done yet."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from dddm.errors import DddmError, RecipeError, StoppedEarly
from dddm.evaluate.evaluator import build_features
from dddm.generate.generate import generate, planned_sample_folders
from dddm.generate.generator import load_generator
from dddm.interfaces.data_report import no_progress
from dddm.interfaces.dataset import Split
from dddm.interfaces.observer import DataProgress, RunStopped
from dddm.recipe.model import Recipe
from dddm.registry.catalogue import Catalogue
from dddm.report.run_page import write_report
from dddm.report.wording import duration
from dddm.training import checkpoint as checkpoints
from dddm.training.build import TrainingParts, build_for_training, build_split
from dddm.training.checkpointing import fallback_notice, find_latest, resume
from dddm.training.context import RunContext, open_run
from dddm.training.device import refuse_without_compiler
from dddm.training.event_log import EventLog
from dddm.training.events import Subscriber, subscribers_for
from dddm.training.loop import train
from dddm.training.processes import caused_by_peer
from dddm.training.run_folder import RunFolder
from dddm.training.start_from import start_from
from dddm.training.stopping import StopRequest
from dddm.training.training import Training
from dddm.training.versions import machine, versions
from dddm.workflow.accumulation import accumulation_steps
from dddm.workflow.progress import Progress


def run_recipe(
    recipe: Recipe, path: Path, *, catalogue: Catalogue, device: str, stop: StopRequest
) -> Path | None:
    """Run `recipe` in the run folder `path`, with its observers.

    Returns:
        The path of the report; None in a process that is not the first.

    Raises:
        DddmError: for whatever goes wrong; StoppedEarly when asked to stop.
    """
    with open_run(recipe, path, device=device, stop=stop) as context:
        if not context.processes.main:
            run(context)
            return None
        observers = subscribers_for(recipe, catalogue=catalogue, folder=context.folder)
        return run(context, observers=observers)


def run(context: RunContext, *, observers: Sequence[Subscriber] = ()) -> Path:
    """Do all that the recipe says and is not done yet; returns the path of the report.

    All processes train, sample and extract features; the first one writes the report.

    Raises:
        DddmError: for whatever goes wrong; StoppedEarly when asked to stop.
    """
    folder, events = context.folder, context.events
    if context.processes.main:
        for place in (folder.checkpoints, folder.best):
            checkpoints.remove_leftovers(place)
    found = find_latest(context)
    if not context.processes.main:
        _work(context, found, log=None)
        return folder.report
    log_bytes = 0 if found.checkpoint is None else found.checkpoint.state["log_bytes"]
    trained = _trained(context.recipe, found)
    log = EventLog(folder.events, keep_bytes=None if trained else log_bytes)
    try:
        events.subscribe([Subscriber(title="the event log", make=lambda: log), *observers])
        for sentence in found.damaged:
            events.notice(fallback_notice(sentence))
        if not trained:
            _say_what_changed(context, found)
        _work(context, found, log=log)
        context.stop.raise_if_requested(where="after the scores")
        folder.refuse_removed()
        page = write_report(context.recipe, folder=folder)
    except BaseException as error:
        message = _in_words(error)
        reason = "interrupted" if isinstance(error, StoppedEarly) else "failed"
        events.report_failures()
        events.emit(RunStopped, reason=reason, step=_saved_step(folder), message=message)
        raise
    else:
        events.report_failures()
        taken = duration(sum(folder.read_about().get("seconds", {}).values()))
        done = f"training, samples and scores took {taken}: see {page}"
        events.emit(RunStopped, reason="finished", step=_saved_step(folder), message=done)
        return page
    finally:
        events.close()


def _work(
    context: RunContext, found: checkpoints.LatestCheckpoint, *, log: EventLog | None
) -> None:
    """What all processes do together, one step after the other."""
    _train(context, found, log=log)
    context.stop.synchronize(context.processes)
    context.stop.raise_if_requested(where="after training")
    if context.processes.main:
        context.folder.refuse_removed()
    changed = _sample(context)
    if context.processes.main:
        context.folder.refuse_removed()
    _evaluate(context, changed=changed)


def _in_words(error: BaseException) -> str:
    if caused_by_peer(error):
        return "another process of this run has failed"
    return error.what if isinstance(error, DddmError) else repr(error)


def _saved_step(folder: RunFolder) -> int:
    """Steps that the newest checkpoint has behind it."""
    saved = checkpoints.list_checkpoints(folder.checkpoints)
    return checkpoints.step_of(saved[0]) if saved else 0


def _trained(recipe: Recipe, found: checkpoints.LatestCheckpoint) -> bool:
    """Whether the newest checkpoint is that of the last step that the recipe asks for."""
    if found.checkpoint is None:
        return False
    state, asked = found.checkpoint.state, recipe.train.duration
    steps: int = state["total_steps"]
    return found.checkpoint.step >= steps and bool(state.get("duration", asked) == asked)


def _say_what_changed(context: RunContext, found: checkpoints.LatestCheckpoint) -> None:
    """Say that the run goes on otherwise than it began, once: after the step where it changed."""
    step = None if found.checkpoint is None else found.checkpoint.step
    for entry in context.folder.read_about().get("changed", ()):
        if step is not None and entry.get("step") == step:
            changes = "; ".join(map(str, entry.get("changes", ())))
            context.events.notice(f"going on after step {step:,}, with changes: {changes}")


def _train(
    context: RunContext, found: checkpoints.LatestCheckpoint, *, log: EventLog | None
) -> None:
    """Train what is left of the run."""
    recipe, folder, processes = context.recipe, context.folder, context.processes
    if _trained(recipe, found):
        if processes.main and not {"image_shape", "classes"} <= folder.read_about().keys():
            _note_again(context, found)
        return
    if recipe.train.compile:
        refuse_without_compiler(context.device)
    accumulation = accumulation_steps(context)  # before anything takes memory
    parts = build_for_training(context, progress=partial(_progress, context))
    if found.checkpoint is not None and parts.total_steps < found.checkpoint.step:
        raise RecipeError(
            f"this run has made {found.checkpoint.step:,} steps already, and the recipe asks for "
            f"{parts.total_steps:,}",
            where=str(folder.recipe),
            remedy="let it go on for longer, or choose another folder with --folder",
        )
    if recipe.evaluate is not None:  # a mistake in it is found before training, not after
        build_features(recipe.evaluate, images=parts.split)
    for spec in recipe.sample:  # likewise
        spec.sampler.instantiate()
    if processes.main:
        _note_parts(
            context,
            parts.split,
            versions=versions(recipe.components),
            machine=machine(context.device),
            processes=processes.count,
            **({} if recipe.train.micro_batches else {"accumulation_steps": accumulation}),
        )
    _prepare_objective(context, parts)
    training = Training(context=context, parts=parts, log=log, accumulation_steps=accumulation)
    try:
        if found.checkpoint is None and recipe.train.start_from is not None:
            _start_from(training, recipe.train.start_from)
        resume(training, found)
        train(training, after_epoch=Progress(recipe).after_epoch)
    finally:
        training.saver.close()
        training.reader.close()
        parts.memory.close()
    if processes.main:
        _note_seconds(folder, train=training.position.train_seconds)


def _start_from(training: Training, other: str) -> None:
    started = start_from(training, other)
    if training.context.processes.main:
        training.context.folder.note_about(started_from=attrs.asdict(started))
        training.context.events.notice(started.in_words)


def _note_parts(context: RunContext, split: Split, **facts: Any) -> None:
    shape = split.shape
    context.folder.note_about(
        image_shape={"channels": shape.channels, "height": shape.height, "width": shape.width},
        classes=list(split.classes),
        data_manifest=split.manifest,
        **facts,
    )


def _note_again(context: RunContext, found: checkpoints.LatestCheckpoint) -> None:
    """What `run.json` lacks, which was removed after training; the rest is in the checkpoint."""
    assert found.checkpoint is not None
    names = ("versions", "machine", "processes")
    facts = {name: found.checkpoint.state[name] for name in names}
    _note_parts(context, build_split(context.recipe), **facts)


def _prepare_objective(context: RunContext, parts: TrainingParts) -> None:
    """Let the objective do what is done once: the first process, then the others."""
    prepare = partial(
        parts.objective.prepare,
        images=parts.split,
        flips=context.recipe.train.flips,
        device=context.device,
    )
    sentence = context.processes.from_main(lambda: prepare(progress=partial(_progress, context)))
    if not context.processes.main:
        prepare(progress=no_progress)
    if sentence is not None:
        context.events.notice(sentence)


def _progress(context: RunContext, what: str, done: int, total: int) -> None:
    context.events.emit(DataProgress, what=what, done=done, total=total)
    context.stop.raise_if_requested(where=f"{what}: {done} of {total} images")


def _note_seconds(folder: RunFolder, **seconds: float) -> None:
    before = folder.read_about().get("seconds", {})
    rounded = {name: round(value, 2) for name, value in seconds.items()}
    folder.note_about(seconds={**before, **rounded})


def _sample(context: RunContext) -> bool:
    """Generate the samples that are not there yet; whether there were any."""
    if not context.recipe.sample:
        return False
    began = time.perf_counter()
    generator = load_generator(context)
    changed = False
    for spec, folders in planned_sample_folders(context.recipe, context.folder):
        changed |= generate(spec, context=context, generator=generator, folders=folders)
    if changed and context.processes.main:
        _note_seconds(context.folder, sample=time.perf_counter() - began)
    return changed


def _evaluate(context: RunContext, *, changed: bool) -> None:
    recipe, folder, processes = context.recipe, context.folder, context.processes
    if recipe.evaluate is None or not recipe.sample:
        return
    scored_as = recipe.tables["evaluate"]
    if not changed and processes.from_main(lambda: _scored_as(folder) == scored_as):
        return
    # Imported when training is over: what scores takes seconds to import.
    from dddm.evaluate.evaluate import evaluate

    began = time.perf_counter()
    evaluate(context)
    if processes.main:
        _note_seconds(folder, evaluate=time.perf_counter() - began)
        folder.note_about(scored=scored_as)


def _scored_as(folder: RunFolder) -> object:
    """The table by which the run was scored; None where it was not."""
    return folder.read_about().get("scored") if folder.scores.exists() else None
