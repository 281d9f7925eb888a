"""From a generator to samples on the disk, for `dddm run` and `dddm sample` alike."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import torch
from attrs import frozen

from dddm.errors import UsageError
from dddm.interfaces.observer import SampleProgress, SamplesDrawn
from dddm.interfaces.sampler import Sampler
from dddm.recipe.model import Use, plain
from dddm.run.announce import Announcer
from dddm.run.sample_files import Samples, read_facts, write_samples
from dddm.run.stopping import StopRequest
from dddm.run.versions import machine
from dddm.tasks.generator import Generator
from dddm.tasks.sample import BLOCK_IMAGES, Order, draw_samples, evaluations_of

_MOST_COLUMNS = 16


@final
@frozen(kw_only=True)
class Request:
    """One sampler at some numbers of steps.

    Attributes:
        folders: where the samples of each step count go.
        labels: classes that images take in turn; None takes all of them in turn.
        separate: whether each image is also written as a PNG of its own.
    """

    use: Use
    folders: dict[int, Path]
    images: int
    seed: int
    labels: tuple[int, ...] | None = None
    separate: bool = False


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
) -> bool:
    """Draw what of a request is not there yet; whether anything had to be drawn.

    Raises:
        StoppedEarly: when asked to stop; finished samples of other requests stay.
        UsageError: if there are more steps than times.
    """
    sampler = build_sampler(request.use)
    refuse_too_many_steps(
        request.use, sampler=sampler, generator=generator, steps=list(request.folders)
    )
    wanted = {steps: _facts(request, steps=steps, generator=generator) for steps in request.folders}
    if all(_is_there(request.folders[steps], facts) for steps, facts in wanted.items()):
        return False
    order = Order(
        steps=tuple(request.folders),
        images=request.images,
        seed=request.seed,
        shape=generator.shape,
        classes=len(generator.classes),
        labels=request.labels,
    )
    name = request.use.component.name

    began = time.perf_counter()
    evaluations = evaluations_of(order, sampler)

    def progress(images_done: int, evaluations_done: int) -> None:
        each = (time.perf_counter() - began) / evaluations_done
        announcer.announce(
            SampleProgress,
            sampler=name,
            steps=order.steps,
            images_done=images_done,
            images=order.images,
            evaluations_done=evaluations_done,
            evaluations=evaluations,
            seconds_left=each * (evaluations - evaluations_done),
        )
        stop.obey(where=f"{name}: {images_done} of {order.images} images", saved=False)

    blocks = list(
        draw_samples(
            model=generator.model, sampler=sampler, order=order, device=device, progress=progress
        )
    )
    seconds = time.perf_counter() - began
    classes = len(generator.classes)
    for steps, folder in request.folders.items():
        labels = [block.label for block in blocks if block.label is not None]
        samples = Samples(
            images=torch.cat([block.images[steps] for block in blocks]),
            label=torch.cat(labels) if labels else None,
            facts={
                **wanted[steps],
                "seconds": round(seconds, 3),
                "evaluations_in_these_seconds": blocks[0].evaluations,
                "machine": machine(device),
            },
        )
        if folder.exists():
            shutil.rmtree(folder)
        grid = write_samples(
            folder,
            samples,
            columns=classes if 1 < classes <= _MOST_COLUMNS else None,
            separate=request.separate,
        )
        announcer.announce(SamplesDrawn, sampler=name, steps=steps, images=order.images, grid=grid)
    return True


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
        "block_images": BLOCK_IMAGES,
    }


def _is_there(folder: Path, facts: dict[str, Any]) -> bool:
    there = read_facts(folder)
    return there is not None and {name: there.get(name) for name in facts} == facts
