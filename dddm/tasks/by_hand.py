"""Samples that a person asks for, beside those that the recipe names."""

from collections.abc import Sequence
from pathlib import Path

import torch

from dddm.errors import UsageError
from dddm.recipe.model import Recipe, Use
from dddm.run.announce import Announcer, Follower
from dddm.run.folder import RunFolder
from dddm.run.processes import ALONE, Processes
from dddm.run.sample_files import read_facts
from dddm.run.stopping import StopRequest
from dddm.tasks.draw import Request, draw_request
from dddm.tasks.generator import NEWEST, Weights, load_generator


def draw_by_hand(
    recipe: Recipe,
    *,
    folder: RunFolder,
    use: Use,
    steps: Sequence[int],
    images: int,
    seed: int,
    labels: str | None,
    out: Path | None,
    weights: Weights,
    block_images: int,
    device: torch.device,
    observers: Sequence[Follower],
    stop: StopRequest,
    processes: Processes = ALONE,
) -> dict[int, Path]:
    """Draw samples and return their folder for each step count.

    Args:
        weights: which of the run's weights; others than the newest average go to folders of their
            own.
        labels: names or numbers of classes, separated by commas, taken in turn; None for all.
        out: where to put them; None for `drawn/` in the run folder.
        block_images: how many images are computed together.

    Raises:
        UsageError: for an unknown label, or an `out` that holds something else.
        DataError: if the run has no whole checkpoint.
    """
    announcer = Announcer(observers, stop=stop)
    try:
        generator = load_generator(
            recipe, folder=folder, device=device, say=announcer.say, weights=weights
        )
        request = Request(
            use=use,
            folders=_places(folder, use=use, steps=steps, seed=seed, out=out, weights=weights),
            images=images,
            seed=seed,
            labels=choose_labels(labels, classes=generator.classes),
            separate=True,
            block_images=block_images,
        )
        for path in request.folders.values():
            _refuse_foreign(path)
        draw_request(
            request,
            generator=generator,
            device=device,
            announcer=announcer,
            stop=stop,
            processes=processes,
        )
    finally:
        announcer.tally()
        announcer.close()
    return request.folders


def _places(
    folder: RunFolder,
    *,
    use: Use,
    steps: Sequence[int],
    seed: int,
    out: Path | None,
    weights: Weights,
) -> dict[int, Path]:
    counts = sorted(set(steps))
    if out is not None and len(counts) == 1:
        return {counts[0]: out}
    within = folder.path / "drawn" if out is None else out
    of = "" if weights == NEWEST else "-" + str(weights).replace(" ", "-")
    return {count: within / f"{use.component.name}-{count}-seed{seed}{of}" for count in counts}


def _refuse_foreign(path: Path) -> None:
    """Samples are written over samples, and over nothing else."""
    if path.is_file() or (path.is_dir() and any(path.iterdir()) and read_facts(path) is None):
        raise UsageError(
            f"{path} holds something that is no folder of samples",
            remedy="choose another place with --out",
        )


def choose_labels(text: str | None, *, classes: Sequence[str]) -> tuple[int, ...] | None:
    """Labels from names or numbers separated by commas; None for all classes in turn.

    Raises:
        UsageError: if the network has no classes, or not this one.
    """
    if text is None:
        return None
    if not classes:
        raise UsageError(
            "this network was trained without classes", where="--labels", remedy="leave it out"
        )
    return tuple(_label(word.strip(), classes) for word in text.split(","))


def _label(word: str, classes: Sequence[str]) -> int:
    if word in classes:
        return classes.index(word)
    if word.isascii() and word.isdigit() and int(word) < len(classes):
        return int(word)
    known = ", ".join(classes[:20]) + (", …" if len(classes) > 20 else "")  # noqa: PLR2004
    raise UsageError(
        f"there is no class {word!r}",
        where="--labels",
        remedy=f"choose among {known}, or a number from 0 to {len(classes) - 1}",
    )
