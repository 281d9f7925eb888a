"""From a generator to samples on disk, for `dddm run` and `dddm sample` alike."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from dddm.errors import StoppedEarly, UsageError
from dddm.generate.generator import LATEST, Generator, Weights, load_generator
from dddm.generate.sample import (
    check_guidance,
    check_sampler,
    check_steps,
    choose_labels,
    evaluations_at,
    evaluations_per_image,
    generate_blocks,
    labels_of,
    recorded_steps,
)
from dddm.generate.storage import UnfinishedSamples, load_samples, read_manifest
from dddm.interfaces.observer import SampleProgress, SamplesDrawn
from dddm.interfaces.sampler import Sampler
from dddm.recipe.model import Recipe, SampleSpec, plain
from dddm.support.quantities import counted
from dddm.training.context import RunContext
from dddm.training.run_folder import RunFolder
from dddm.training.versions import machine

_MAX_COLUMNS: Final = 16


def planned_sample_folders(
    recipe: Recipe, folder: RunFolder
) -> list[tuple[SampleSpec, dict[int, Path]]]:
    """Where the recipe's samples go: `fixed-time-100`, with a number where that name is taken."""
    taken: set[str] = set()
    planned = []
    for spec in recipe.sample:
        paths = {}
        for steps in spec.steps:
            name = base = f"{spec.name}-{steps}"
            count = 1
            while name in taken:
                count += 1
                name = f"{base}-{count}"
            taken.add(name)
            paths[steps] = folder.samples / name
        planned.append((spec, paths))
    return planned


def generate_from_run(
    spec: SampleSpec, *, context: RunContext, weights: Weights, out: Path | None
) -> dict[int, Path]:
    """Generate samples beside those that the run's recipe names; their folder by step count.

    The observers are closed afterwards.

    Args:
        weights: which of the run's weights; others than the latest average get folders of their
            own.
        out: where to put them; None for `drawn/` in the run folder.

    Raises:
        UsageError: for an unknown label, or an `out` that holds something else.
        DataError: if the run has no complete checkpoint.
    """
    try:
        generator = load_generator(context, weights=weights)
        if out is not None and len(spec.steps) == 1:
            folders = {spec.steps[0]: out}
        else:
            within = out or context.folder.drawn
            suffix = "" if weights == LATEST else "-" + str(weights).replace(" ", "-")
            name = f"{spec.name}-{{}}-seed{spec.seed}{suffix}"
            folders = {steps: within / name.format(steps) for steps in spec.steps}
        choose_labels(spec.labels, classes=generator.classes)
        for path in folders.values():
            holds_files = path.is_dir() and any(path.iterdir())
            other = path.exists() and not path.is_dir()
            if other or (holds_files and read_manifest(path) is None):
                raise UsageError(
                    f"{path} exists and does not hold samples",
                    remedy="choose another folder with --out",
                )
        generate(spec, context=context, generator=generator, folders=folders)
    finally:
        context.events.report_failures()
        context.events.close()
    return folders


def generate(
    spec: SampleSpec, *, context: RunContext, generator: Generator, folders: Mapping[int, Path]
) -> bool:
    """Generate the samples that are missing; whether there were any.

    Processes take blocks in turn and write them in place; the first one completes the files.

    Args:
        folders: where the samples of each step count go.

    Raises:
        StoppedEarly: when asked to stop; finished blocks are kept and not generated again.
        UsageError: if there are more steps than times, for an unknown label, for a sampler that
            cannot use the network, or for guidance of one that cannot be guided.
    """
    sampler: Sampler = spec.sampler.instantiate()
    check_sampler(spec, generator=generator)
    check_steps(spec, sampler=sampler, schedule=generator.model.schedule)
    check_guidance(spec.guidance, generator=generator)
    identity = {steps: identity_of(spec, steps=steps, generator=generator) for steps in spec.steps}
    processes = context.processes
    pending = processes.from_main(
        lambda: [steps for steps in spec.steps if not _is_there(folders[steps], identity[steps])]
    )
    first = folders[min(folders)]
    unfinished = UnfinishedSamples(
        first.with_name(f".{first.name}.partial"),  # `sample_folders` leaves hidden ones out
        order=_order(identity, device=context.device),
        shape=generator.shape,
        rank=processes.rank,
    )
    if not pending:
        if processes.main:
            unfinished.remove_leftover()
        return False
    missing = processes.from_main(lambda: unfinished.missing_blocks(spec.blocks, steps=pending))
    made = _generate_missing(
        spec, sampler, missing=missing, unfinished=unfinished, context=context, generator=generator
    )
    if processes.main:
        change, evaluations = unfinished.change_and_evaluations(spec.blocks)
        made["evaluations_of_an_image"] = evaluations / (spec.blocks * spec.block_images)
        last, compared = max(spec.steps), min(spec.block_images, spec.images)
        made["saved"] = _compare_with_reference(
            spec,
            sampler,
            image_BCHW=unfinished.images(last, images=compared)
            if last in pending
            else load_samples(folders[last]).images[:compared],
            evaluations=evaluations,
            generator=generator,
        )
        if made["saved"] is not None:
            context.events.notice(_saved_text(made["saved"]))
        made["machine"] = machine(context.device)
        classes = len(generator.classes)
        label_N = labels_of(spec, torch.arange(spec.images), classes=generator.classes)
        for steps in pending:
            evaluations = evaluations_at(spec, sampler=sampler, steps=steps)
            change_of_estimate = _change_table(change[steps][: spec.images], steps=steps)
            grid = unfinished.finish(
                steps,
                folders[steps],
                label=label_N,
                manifest={
                    **identity[steps],
                    "evaluations": evaluations,
                    **made,
                    "change_of_estimate": change_of_estimate,
                },
                columns=classes if 1 < classes <= _MAX_COLUMNS else None,
                separate=spec.separate,
            )
            context.events.emit(
                SamplesDrawn,
                sampler=spec.name,
                steps=steps,
                evaluations=evaluations,
                images=spec.images,
                grid=grid,
            )
        unfinished.remove()
    processes.barrier()
    return True


def _generate_missing(
    spec: SampleSpec,
    sampler: Sampler,
    *,
    missing: Sequence[int],
    unfinished: UnfinishedSamples,
    context: RunContext,
    generator: Generator,
) -> dict[str, Any]:
    """Generate this process's share of the missing blocks; how long it took.

    Raises:
        StoppedEarly: when any of the processes was asked to stop; finished blocks are kept.
    """
    processes = context.processes
    mine = missing[processes.rank :: processes.count]
    began = time.perf_counter()
    total = len(mine) * evaluations_per_image(spec, sampler=sampler)
    before = spec.blocks - len(missing)

    def progress(blocks_done: int, evaluations_done: int) -> None:
        # The other processes are assumed to be as far.
        blocks = min(before + blocks_done * processes.count, spec.blocks)
        images_done = min(blocks * spec.block_images, spec.images)
        seconds_each = (time.perf_counter() - began) / max(evaluations_done, 1)
        context.events.emit(
            SampleProgress,
            sampler=spec.name,
            steps=spec.steps,
            images_done=images_done,
            images=spec.images,
            evaluations_done=evaluations_done,
            evaluations=total,
            seconds_left=seconds_each * (total - evaluations_done),
        )
        where = f"{spec.name}: {images_done} of {spec.images} images"
        context.stop.raise_if_requested(where=where)

    blocks = generate_blocks(
        spec, generator=generator, sampler=sampler, numbers=mine, progress=progress
    )
    with suppress(StoppedEarly):  # all processes stop together, below
        for block in blocks:
            unfinished.add(block)
    context.stop.synchronize(processes)
    context.stop.raise_if_requested(where=f"samples of {spec.name}")
    return {
        "seconds": round(time.perf_counter() - began, 3),
        "images_in_these_seconds": min(len(missing) * spec.block_images, spec.images),
        "processes": processes.count,
    }


def _compare_with_reference(
    spec: SampleSpec,
    sampler: Sampler,
    *,
    image_BCHW: Tensor,
    evaluations: int,
    generator: Generator,
) -> dict[str, Any] | None:
    """What an approximate sampler saves and how far its images differ; None for an exact one.

    The images of the first block are generated again by the reference sampler.
    """
    reference = sampler.reference_sampler
    if reference is None:
        return None
    (block,) = generate_blocks(spec, generator=generator, sampler=reference, numbers=[0])
    steps, count = max(spec.steps), len(image_BCHW)
    difference_BCHW = (image_BCHW.int() - block.images[steps][:count].int()).abs()
    return {
        "of_evaluations": 1 - evaluations / (spec.blocks * block.evaluations),
        "compared_images": count,
        "compared_at_steps": steps,
        "largest_difference_levels": int(difference_BCHW.max()),
        "mean_difference_levels": _rounded(difference_BCHW.double().mean()),
    }


def _saved_text(saved: Mapping[str, Any]) -> str:
    return (
        f"{saved['of_evaluations']:.1%} of the network evaluations were saved; at "
        f"{counted(saved['compared_at_steps'], 'step')} the first "
        f"{counted(saved['compared_images'], 'image')} differ from those without the tolerance by "
        f"at most {counted(saved['largest_difference_levels'], 'level')} of 255, by "
        f"{saved['mean_difference_levels']} on average"
    )


def _change_table(change_NK: Tensor, *, steps: int) -> dict[str, list[float]]:
    """How far estimates moved in the recorded steps: whether more steps would change anything."""
    return {
        "steps": [float(step) for step in recorded_steps(steps)],
        "median": [_rounded(value) for value in change_NK.median(dim=0).values],
        "largest": [_rounded(value) for value in change_NK.amax(dim=0)],
    }


def _rounded(value: Tensor) -> float:
    return float(f"{float(value):.3g}")


def _order(identity: Mapping[int, dict[str, Any]], *, device: torch.device) -> dict[str, Any]:
    """What blocks depend on: the identity of the samples, but not how many images there are."""
    first = dict(next(iter(identity.values())))
    del first["images"], first["steps"]
    return {**first, "steps": sorted(identity), "torch": torch.__version__, "device": device.type}


def identity_of(spec: SampleSpec, *, steps: int, generator: Generator) -> dict[str, Any]:
    """Everything that decides the samples, as far as this machine's arithmetic allows."""
    labels = choose_labels(spec.labels, classes=generator.classes)
    return {
        "sampler": spec.name,
        "sampler_id": spec.sampler.component.id,
        "sampler_options": plain(spec.sampler.options),
        "guidance": None if spec.guidance is None else spec.guidance.as_table,
        "steps": steps,
        "images": spec.images,
        "seed": spec.seed,
        "labels": None if labels is None else list(labels),
        "random_classes": spec.random_classes or None,
        "classes": list(generator.classes),
        "weights": generator.weights,
        "checkpoint": {"step": generator.step, "sha256": generator.checkpoint_sha256},
        "block_images": spec.block_images,
        # None, which older manifests lack too, for what is usual; so `random_classes`.
        "precision": None if spec.precision == "float32" else spec.precision,
        "compiled": spec.compile or None,
    }


def _is_there(folder: Path, identity: dict[str, Any]) -> bool:
    manifest = read_manifest(folder)
    return manifest is not None and {name: manifest.get(name) for name in identity} == identity
