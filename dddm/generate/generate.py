"""From a generator to samples on the disk, for `dddm run` and `dddm sample` alike."""

import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dddm.errors import StoppedEarly, UsageError
from dddm.generate.generator import NEWEST, Generator, Weights, load_generator
from dddm.generate.sample import (
    build_sampler,
    choose_labels,
    evaluations_of_image,
    generate_blocks,
    label_of,
    marks,
    refuse_too_many_steps,
)
from dddm.generate.sample_files import read_facts, write_batches
from dddm.generate.sample_parts import SampleParts
from dddm.interfaces.observer import SampleProgress, SamplesDrawn
from dddm.interfaces.sampler import Sampler
from dddm.recipe.model import SampleSpec, plain
from dddm.support.quantities import counted
from dddm.train.context import RunContext
from dddm.train.versions import machine

_MOST_COLUMNS = 16


def generate_from_run(
    spec: SampleSpec, *, context: RunContext, weights: Weights, out: Path | None
) -> dict[int, Path]:
    """Samples beside those that the run's recipe names; their folder for each step count.

    The observers are closed afterwards.

    Args:
        weights: which of the run's weights; others than the newest average go to folders of their
            own.
        out: where to put them; None for `drawn/` in the run folder.

    Raises:
        UsageError: for an unknown label, or an `out` that holds something else.
        DataError: if the run has no whole checkpoint.
    """
    try:
        generator = load_generator(context, weights=weights)
        folders = _folders(spec, context=context, weights=weights, out=out)
        choose_labels(spec.labels, classes=generator.classes)
        for path in folders.values():
            _refuse_foreign(path)
        generate(spec, context=context, generator=generator, folders=folders)
    finally:
        context.events.report_failures()
        context.events.close()
    return folders


def _folders(
    spec: SampleSpec, *, context: RunContext, weights: Weights, out: Path | None
) -> dict[int, Path]:
    if out is not None and len(spec.steps) == 1:
        return {spec.steps[0]: out}
    within = context.folder.path / "drawn" if out is None else out
    of = "" if weights == NEWEST else "-" + str(weights).replace(" ", "-")
    return {steps: within / f"{spec.name}-{steps}-seed{spec.seed}{of}" for steps in spec.steps}


def _refuse_foreign(path: Path) -> None:
    """Samples are written over samples, and over nothing else."""
    if path.is_file() or (path.is_dir() and any(path.iterdir()) and read_facts(path) is None):
        raise UsageError(
            f"{path} holds something that is no folder of samples",
            remedy="choose another place with --out",
        )


def generate(
    spec: SampleSpec, *, context: RunContext, generator: Generator, folders: Mapping[int, Path]
) -> bool:
    """Generate what is not there yet; whether anything had to be generated.

    Processes take blocks in turn; the first puts them together.

    Args:
        folders: where the samples of each step count go.

    Raises:
        StoppedEarly: when asked to stop; what is generated stays, and is not generated again.
        UsageError: if there are more steps than times, or for an unknown label.
    """
    sampler = build_sampler(spec)
    refuse_too_many_steps(spec, sampler=sampler, schedule=generator.model.schedule)
    wanted = {steps: _facts(spec, steps=steps, generator=generator) for steps in spec.steps}
    if context.processes.from_main(
        lambda: all(_is_there(folders[steps], facts) for steps, facts in wanted.items())
    ):
        return False
    parts = SampleParts(
        _place_of_parts(folders), facts=_facts_of_parts(wanted, device=context.device)
    )
    made = _generate_missing(spec, sampler, parts=parts, context=context, generator=generator)
    if context.processes.main:
        parts.finished()
        made["evaluations_of_an_image"] = parts.evaluations() / (spec.blocks * spec.block_images)
        made["saved"] = _compare_with_reference(spec, sampler, parts=parts, generator=generator)
        if made["saved"] is not None:
            context.events.notice(_saving(made["saved"]))
        made["machine"] = machine(context.device)
        for steps, folder in folders.items():
            evaluations = sampler.evaluations(steps)
            facts = {**wanted[steps], "evaluations": evaluations, **made}
            grid = _put_together(folder, spec, steps, parts=parts, generator=generator, facts=facts)
            context.events.emit(
                SamplesDrawn,
                sampler=spec.name,
                steps=steps,
                evaluations=evaluations,
                images=spec.images,
                grid=grid,
            )
        parts.remove()
    context.processes.barrier()
    return True


def _generate_missing(
    spec: SampleSpec,
    sampler: Sampler,
    *,
    parts: SampleParts,
    context: RunContext,
    generator: Generator,
) -> dict[str, Any]:
    """Generate this process's share of the blocks that are not there; what it took.

    Raises:
        StoppedEarly: when any of the processes was asked to stop; finished blocks are kept.
    """
    processes = context.processes
    missing = processes.from_main(lambda: _missing(spec, parts))
    mine = missing[processes.rank :: processes.count]
    began = time.perf_counter()
    total = len(mine) * evaluations_of_image(sampler, spec.steps)
    before = spec.blocks - len(missing)

    def progress(blocks_done: int, evaluations_done: int) -> None:
        # The other processes are taken to be as far.
        blocks = min(before + blocks_done * processes.count, spec.blocks)
        images_done = min(blocks * spec.block_images, spec.images)
        took = (time.perf_counter() - began) / max(evaluations_done, 1)
        context.events.emit(
            SampleProgress,
            sampler=spec.name,
            steps=spec.steps,
            images_done=images_done,
            images=spec.images,
            evaluations_done=evaluations_done,
            evaluations=total,
            seconds_left=took * (total - evaluations_done),
        )
        where = f"{spec.name}: {images_done} of {spec.images} images"
        context.stop.raise_if_requested(where=where)

    blocks = generate_blocks(
        spec, generator=generator, sampler=sampler, numbers=mine, progress=progress
    )
    with suppress(StoppedEarly):  # all processes stop together, below
        for block in blocks:
            parts.add(block)
    parts.flush()
    context.stop.synchronize(processes)
    context.stop.raise_if_requested(where=f"samples of {spec.name}")
    return {
        "seconds": round(time.perf_counter() - began, 3),
        "images_in_these_seconds": min(len(missing) * spec.block_images, spec.images),
        "processes": processes.count,
    }


def _compare_with_reference(
    spec: SampleSpec, sampler: Sampler, *, parts: SampleParts, generator: Generator
) -> dict[str, Any] | None:
    """What a sampler's short cut saves, and what it costs; None for one that takes none.

    The images of the first block are generated once more without it.
    """
    reference = sampler.reference_sampler
    if reference is None:
        return None
    (block,) = generate_blocks(spec, generator=generator, sampler=reference, numbers=[0])
    steps = max(spec.steps)
    count = min(spec.block_images, spec.images)
    expected_BCHW = block.images[steps][:count].int()
    apart_BCHW = (next(parts.images(steps, images=count)).int() - expected_BCHW).abs()
    return {
        "of_evaluations": 1 - parts.evaluations() / (spec.blocks * block.evaluations),
        "compared_images": count,
        "compared_at_steps": steps,
        "largest_difference_levels": int(apart_BCHW.max()),
        "mean_difference_levels": _short(apart_BCHW.double().mean()),
    }


def _saving(saved: dict[str, Any]) -> str:
    return (
        f"{saved['of_evaluations']:.1%} of the network evaluations were saved; at "
        f"{counted(saved['compared_at_steps'], 'step')} the first "
        f"{counted(saved['compared_images'], 'image')} differ from those without the tolerance by "
        f"{counted(saved['largest_difference_levels'], 'level')} of 255 at most, "
        f"{saved['mean_difference_levels']} on average"
    )


def _missing(spec: SampleSpec, parts: SampleParts) -> list[int]:
    """Numbers of the blocks that are still to be generated."""
    parts.prepare()
    finished = parts.finished()
    return [number for number in range(spec.blocks) if number not in finished]


def _put_together(
    folder: Path,
    spec: SampleSpec,
    steps: int,
    *,
    parts: SampleParts,
    generator: Generator,
    facts: dict[str, Any],
) -> Path:
    """Make the folder of one step count from the parts; the path of its grid."""
    if folder.exists():
        shutil.rmtree(folder)
    classes = len(generator.classes)
    change_NK = parts.change(steps, images=spec.images)
    return write_batches(
        folder,
        parts.images(steps, images=spec.images),
        images=spec.images,
        shape=generator.shape,
        label=label_of(spec, torch.arange(spec.images), classes=generator.classes),
        facts={**facts, "change_of_estimate": _change(change_NK, steps=steps)},
        columns=classes if 1 < classes <= _MOST_COLUMNS else None,
        separate=spec.separate,
    )


def _change(change_NK: Tensor, *, steps: int) -> dict[str, list[float]]:
    """How far estimates moved in some of the steps: whether more steps would change anything."""
    return {
        "steps": [float(mark) for mark in marks(steps)],
        "median": [_short(value) for value in change_NK.median(dim=0).values],
        "largest": [_short(value) for value in change_NK.amax(dim=0)],
    }


def _short(value: Tensor) -> float:
    return float(f"{float(value):.3g}")


def _place_of_parts(folders: Mapping[int, Path]) -> Path:
    """Beside the samples, under a name that is passed over where samples are looked for."""
    first = folders[min(folders)]
    return first.with_name(f".{first.name}.drawing")


def _facts_of_parts(wanted: dict[int, dict[str, Any]], *, device: torch.device) -> dict[str, Any]:
    """What blocks depend on: all of the facts but how many images there are to be."""
    first = dict(next(iter(wanted.values())))
    del first["images"], first["steps"]
    return {**first, "steps": sorted(wanted), "torch": torch.__version__, "device": device.type}


def _facts(spec: SampleSpec, *, steps: int, generator: Generator) -> dict[str, Any]:
    """All that decides the samples, as far as this machine's arithmetic allows."""
    labels = choose_labels(spec.labels, classes=generator.classes)
    return {
        "sampler": spec.name,
        "sampler_id": spec.sampler.component.id,
        "sampler_options": plain(spec.sampler.options),
        "steps": steps,
        "images": spec.images,
        "seed": spec.seed,
        "labels": None if labels is None else list(labels),
        "classes": list(generator.classes),
        "weights": generator.weights,
        "checkpoint": {"step": generator.step, "sha256": generator.checkpoint_sha256},
        "block_images": spec.block_images,
    }


def _is_there(folder: Path, facts: dict[str, Any]) -> bool:
    there = read_facts(folder)
    return there is not None and {name: there.get(name) for name in facts} == facts
