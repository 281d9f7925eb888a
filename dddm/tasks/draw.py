"""From a generator to samples on the disk, for `dddm run` and `dddm sample` alike."""

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.errors import StoppedEarly, UsageError
from dddm.interfaces.observer import SampleProgress, SamplesDrawn
from dddm.interfaces.sampler import Sampler
from dddm.recipe.model import Use, plain
from dddm.run.announce import Announcer
from dddm.run.processes import ALONE, Processes
from dddm.run.sample_files import read_facts, write_batches
from dddm.run.stopping import StopRequest
from dddm.run.versions import machine
from dddm.support.quantities import counted
from dddm.tasks.generator import Generator
from dddm.tasks.sample import BLOCK_IMAGES, Order, draw_blocks, marks, passes_of
from dddm.tasks.sample_parts import SampleParts

_MOST_COLUMNS = 16


@final
@frozen(kw_only=True)
class Request:
    """One sampler at some numbers of steps.

    Attributes:
        folders: where the samples of each step count go.
        labels: classes that images take in turn; None takes all of them in turn.
        separate: whether each image is also written as a PNG of its own.
        block_images: how many images are computed together.
    """

    use: Use
    folders: dict[int, Path]
    images: int
    seed: int
    labels: tuple[int, ...] | None = None
    separate: bool = False
    block_images: int = BLOCK_IMAGES


def build_sampler(use: Use) -> Sampler:
    """The sampler that a recipe or a command names."""
    sampler: Sampler = use.make()
    return sampler


def refuse_too_many_steps(
    use: Use, *, sampler: Sampler, generator: Generator, steps: Sequence[int]
) -> None:
    """Refuse step counts for which the schedule has not enough times.

    Raises:
        UsageError: with the largest number of steps that there is.
    """
    if sampler.nested:
        return
    try:
        generator.model.schedule.grid(steps=max(steps))
    except ValueError as error:
        raise UsageError(
            f"the sampler {use.component.name} visits a new time at each step: {error}",
            where="steps",
            remedy="ask for fewer steps, or use a sampler that stays at one time",
        ) from error


def draw_request(
    request: Request,
    *,
    generator: Generator,
    device: torch.device,
    announcer: Announcer,
    stop: StopRequest,
    processes: Processes = ALONE,
) -> bool:
    """Draw what of a request is not there yet; whether anything had to be drawn.

    Processes take blocks in turn; the first puts them together.

    Raises:
        StoppedEarly: when asked to stop; what is drawn stays, and is not drawn again.
        UsageError: if there are more steps than times.
    """
    sampler = build_sampler(request.use)
    refuse_too_many_steps(
        request.use, sampler=sampler, generator=generator, steps=list(request.folders)
    )
    wanted = {steps: _facts(request, steps=steps, generator=generator) for steps in request.folders}
    if processes.from_main(
        lambda: all(_is_there(request.folders[steps], facts) for steps, facts in wanted.items())
    ):
        return False
    order = Order(
        steps=tuple(request.folders),
        images=request.images,
        seed=request.seed,
        shape=generator.shape,
        classes=len(generator.classes),
        labels=request.labels,
        block_images=request.block_images,
    )
    parts = SampleParts(_place_of_parts(request), facts=_facts_of_parts(wanted, device=device))
    drawn = _draw_missing(
        order,
        sampler,
        name=request.use.component.name,
        parts=parts,
        generator=generator,
        device=device,
        announcer=announcer,
        stop=stop,
        processes=processes,
    )
    if processes.main:
        parts.finished()
        drawn["evaluations_of_an_image"] = parts.evaluations() / (order.blocks * order.block_images)
        saved = _beside_exact(order, sampler, parts=parts, generator=generator, device=device)
        if saved is not None:
            announcer.say(_saving(saved))
        for steps, folder in request.folders.items():
            facts = {**wanted[steps], **drawn, "saved": saved, "machine": machine(device)}
            _put_together(
                folder, order, steps, request=request, parts=parts, facts=facts, announcer=announcer
            )
        parts.remove()
    processes.barrier()
    return True


def _draw_missing(
    order: Order,
    sampler: Sampler,
    *,
    name: str,
    parts: SampleParts,
    generator: Generator,
    device: torch.device,
    announcer: Announcer,
    stop: StopRequest,
    processes: Processes,
) -> dict[str, Any]:
    """Draw this process's share of the blocks that are not there; what it took.

    Raises:
        StoppedEarly: when any of the processes was asked to stop; finished blocks are kept.
    """
    missing = processes.from_main(lambda: _missing(order, parts))
    mine = missing[processes.rank :: processes.count]
    began = time.perf_counter()
    each = sum(passes_of(order, sampler))
    total = len(mine) * each
    before = order.blocks - len(missing)

    def progress(blocks_done: int, evaluations_done: int) -> None:
        # The other processes are taken to be as far.
        blocks = min(before + blocks_done * processes.count, order.blocks)
        images_done = min(blocks * order.block_images, order.images)
        took = (time.perf_counter() - began) / evaluations_done
        announcer.announce(
            SampleProgress,
            sampler=name,
            steps=tuple(order.steps),
            images_done=images_done,
            images=order.images,
            evaluations_done=evaluations_done,
            evaluations=total,
            seconds_left=took * (total - evaluations_done),
        )
        stop.obey(where=f"{name}: {images_done} of {order.images} images", saved=True)

    blocks = draw_blocks(
        model=generator.model,
        sampler=sampler,
        order=order,
        device=device,
        numbers=mine,
        progress=progress,
    )
    with suppress(StoppedEarly):  # all processes stop together, below
        for block in blocks:
            parts.add(block)
    parts.flush()
    stop.agree(processes)
    stop.obey(where=f"samples of {name}", saved=True)
    return {
        "seconds": round(time.perf_counter() - began, 3),
        "images_in_these_seconds": min(len(missing) * order.block_images, order.images),
        "processes": processes.count,
    }


def _beside_exact(
    order: Order,
    sampler: Sampler,
    *,
    parts: SampleParts,
    generator: Generator,
    device: torch.device,
) -> dict[str, Any] | None:
    """What a sampler's short cut saves, and what it costs; None for one that takes none.

    The images of the first block are drawn once more without it.
    """
    if sampler.exact is None:
        return None
    (block,) = draw_blocks(
        model=generator.model, sampler=sampler.exact, order=order, device=device, numbers=[0]
    )
    steps = max(order.steps)
    count = min(order.block_images, order.images)
    exact_BCHW = block.images[steps][:count].int()
    apart_BCHW = (next(parts.images(steps, images=count)).int() - exact_BCHW).abs()
    return {
        "of_evaluations": 1 - parts.evaluations() / (order.blocks * block.evaluations),
        "compared_images": count,
        "compared_at_steps": steps,
        "largest_difference_levels": int(apart_BCHW.max()),
        "mean_difference_levels": _short(apart_BCHW.double().mean()),
    }


def _saving(saved: dict[str, Any]) -> str:
    return (
        f"{saved['of_evaluations']:.1%} of the evaluations were saved; at "
        f"{counted(saved['compared_at_steps'], 'step')} the first "
        f"{counted(saved['compared_images'], 'image')} differ from those without the tolerance by "
        f"{counted(saved['largest_difference_levels'], 'level')} of 255 at most, "
        f"{saved['mean_difference_levels']} on average"
    )


def _missing(order: Order, parts: SampleParts) -> list[int]:
    """Numbers of the blocks that are still to be drawn."""
    parts.prepare()
    finished = parts.finished()
    return [number for number in range(order.blocks) if number not in finished]


def _put_together(
    folder: Path,
    order: Order,
    steps: int,
    *,
    request: Request,
    parts: SampleParts,
    facts: dict[str, Any],
    announcer: Announcer,
) -> None:
    """Make the folder of one step count from the parts."""
    if folder.exists():
        shutil.rmtree(folder)
    grid = write_batches(
        folder,
        parts.images(steps, images=order.images),
        images=order.images,
        shape=order.shape,
        label=order.label_of(torch.arange(order.images)),
        facts={
            **facts,
            "change_of_estimate": _change(parts.change(steps, images=order.images), steps=steps),
        },
        columns=order.classes if 1 < order.classes <= _MOST_COLUMNS else None,
        separate=request.separate,
    )
    announcer.announce(
        SamplesDrawn,
        sampler=request.use.component.name,
        steps=steps,
        images=order.images,
        grid=grid,
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


def _place_of_parts(request: Request) -> Path:
    """Beside the samples, under a name that is passed over where samples are looked for."""
    first = request.folders[min(request.folders)]
    return first.with_name(f".{first.name}.drawing")


def _facts_of_parts(wanted: dict[int, dict[str, Any]], *, device: torch.device) -> dict[str, Any]:
    """What blocks depend on: all of the facts but how many images there are to be."""
    first = dict(next(iter(wanted.values())))
    del first["images"], first["steps"]
    return {**first, "steps": sorted(wanted), "torch": torch.__version__, "device": device.type}


def _facts(request: Request, *, steps: int, generator: Generator) -> dict[str, Any]:
    """All that decides the samples, as far as this machine's arithmetic allows."""
    return {
        "sampler": request.use.component.name,
        "sampler_id": request.use.component.id,
        "sampler_options": plain(request.use.options),
        "steps": steps,
        "images": request.images,
        "seed": request.seed,
        "labels": None if request.labels is None else list(request.labels),
        "classes": list(generator.classes),
        "weights": generator.weights,
        "checkpoint": {"step": generator.step, "sha256": generator.checkpoint_sha256},
        "block_images": request.block_images,
    }


def _is_there(folder: Path, facts: dict[str, Any]) -> bool:
    there = read_facts(folder)
    return there is not None and {name: there.get(name) for name in facts} == facts
