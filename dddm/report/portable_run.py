"""Writes a portable run (see `dddm.training.portable`) with its model card."""

import json
import shutil
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
import tomli_w
from attrs import evolve
from safetensors import safe_open

from dddm.errors import DataError, UsageError
from dddm.evaluate.record import ScoreRecord
from dddm.evaluate.verify import OF_IMAGES, draw_again
from dddm.generate.generate import planned_sample_folders
from dddm.generate.storage import ARRAYS, Samples, load_samples
from dddm.interfaces.info import ImageShape
from dddm.recipe.model import Recipe, SampleSpec
from dddm.report.history import read_history, read_run_info
from dddm.report.html import render
from dddm.report.run_page import head_facts
from dddm.report.scores import ScoreSection, gather_scores, leading_measure
from dddm.support.files import atomic_directory
from dddm.support.quantities import counted
from dddm.training import checkpoint as checkpoints
from dddm.training.context import RunContext
from dddm.training.portable import CARD, write_list
from dddm.training.run_folder import RunFolder

LARGE_SAMPLES_BYTES: Final = 32 << 20
"""Sets of samples that are larger together are cut to their first `FEW_IMAGES`."""
FEW_IMAGES: Final = 1000
_COMPARED: Final = 64
_SHOWN_GRIDS: Final = 3
_LEFT_OUT: Final = frozenset({"parameters", "training"})
"""Facts of the report's head that the card says elsewhere, or that are of a log."""


def write_portable_run(
    context: RunContext,
    path: Path,
    *,
    name: str,
    precision: str = "float32",
    images: int | None = None,
) -> list[str]:
    """Write the run of `context` to the new folder `path`; sentences that a user should read.

    Paths of this machine are cut to their last part wherever they stand.

    Args:
        name: what others call it, as `hf://user/name`.
        precision: of the stored weights: `float32`, `float16` or `bfloat16`.
        images: how many of each set of samples; None for all, unless they are large.

    Raises:
        DataError: if the run has no checkpoint, some of its files are damaged, or the weights
            give other images in this precision.
        UsageError: if `path` exists.
    """
    refuse_existing(path)
    folder, recipe = context.folder, context.recipe
    found = checkpoints.find_newest(folder.checkpoints, memory=False).checkpoint
    if found is None:
        raise DataError(
            "this run has no checkpoint yet",
            where=str(folder.path),
            remedy=f"train it first: dddm run {folder.recipe} --folder {folder.path}",
        )
    cut: set[str] = set()
    with atomic_directory(path) as aside:
        here = RunFolder(aside)
        tables = tomllib.loads(folder.recipe.read_text(encoding="utf-8"))
        here.recipe.write_text(tomli_w.dumps(_without_places(tables, cut)), encoding="utf-8")
        _write_json(here.about, _without_places(folder.read_about(), cut))
        if folder.scores.is_file():
            scores = json.loads(folder.scores.read_text(encoding="utf-8"))
            _write_json(here.scores, _without_places(scores, cut))
        saved = checkpoints.export(found, here.checkpoints, precision=precision)
        notes = list(_copy_samples(recipe, folder, here, images=images))
        origin = checkpoints.read(saved).origin
        difference = (0, 0.0)
        if origin["precision"] != "float32":
            sets = draw_again(evolve(context, folder=here), images=_COMPARED, random=Random(0))  # noqa: S311 - no secret
            difference = (
                max((one.largest for one in sets), default=0),
                max((one.mean for one in sets), default=0.0),
            )
            if any(one.agrees is False for one in sets):
                raise DataError(
                    f"images drawn from weights in {precision} differ by {difference[1]:.2g} of "
                    "255 levels on average from those that were scored: too much to share the "
                    "scores with them",
                    where=str(folder.path),
                    remedy="choose another --precision",
                )
        card = model_card(
            recipe,
            folder=folder,
            here=here,
            name=name,
            step=found.step,
            precision=origin["precision"],
            difference=difference,
        )
        (aside / CARD).write_text(card, encoding="utf-8")
        write_list(aside)
    if cut:
        notes.append(f"paths of this machine were cut to their last part: {', '.join(sorted(cut))}")
    return notes


def refuse_existing(path: Path) -> None:
    """Check that nothing is where a folder to share is to be written.

    Raises:
        UsageError: if something is.
    """
    if path.exists():
        raise UsageError(
            "the folder to write exists",
            where=str(path),
            remedy="remove it, or choose another one",
        )


def _without_places(value: Any, cut: set[str]) -> Any:
    """The same, with absolute paths cut to their last part; `cut` collects them."""
    if isinstance(value, dict):
        return {name: _without_places(one, cut) for name, one in value.items()}
    if isinstance(value, list):
        return [_without_places(one, cut) for one in value]
    if isinstance(value, str) and value.startswith(("/", "~")) and Path(value).name:
        cut.add(value)
        return Path(value).name
    return value


def _write_json(path: Path, contents: Any) -> None:
    text = json.dumps(contents, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _copy_samples(
    recipe: Recipe, folder: RunFolder, here: RunFolder, *, images: int | None
) -> Iterator[str]:
    paths = [
        path
        for _, folders in planned_sample_folders(recipe, folder)
        for path in folders.values()
        if path.is_dir()
    ]
    if (
        images is None
        and sum((path / ARRAYS).stat().st_size for path in paths) > LARGE_SAMPLES_BYTES
    ):
        images = FEW_IMAGES
        yield f"the first {images:,} of each set of samples are taken; --images says how many"
    for path in paths:
        samples, target = load_samples(path), here.samples / path.name
        target.mkdir(parents=True)
        shutil.copyfile(path / "grid.png", target / "grid.png")
        count = len(samples.images)
        if images is None or images >= count:
            shutil.copyfile(path / ARRAYS, target / ARRAYS)
            facts = samples.facts
        else:
            _write_first(samples, target / ARRAYS, images=images)
            facts = {OF_IMAGES: count, **samples.facts, "images": images}
        _write_json(target / "manifest.json", facts)


def _write_first(samples: Samples, path: Path, *, images: int) -> None:
    arrays = {"arr_0": samples.images[:images].permute(0, 2, 3, 1).numpy()}
    if samples.label is not None:
        arrays["arr_1"] = samples.label[:images].numpy()
    np.savez(path, **arrays)  # type: ignore[arg-type]


def model_card(
    recipe: Recipe,
    *,
    folder: RunFolder,
    here: RunFolder,
    name: str,
    step: int,
    precision: str,
    difference: tuple[int, float],
) -> str:
    """The text of `README.md`.

    Args:
        folder: of the run, whose log and scores are shown.
        here: the portable run, complete but for the card.
        name: what others call it.
        step: of the checkpoint.
        precision: of the stored weights.
        difference: of images drawn from these to those stored, largest and mean, in levels.
    """
    about = folder.read_about()
    shape = ImageShape(**about["image_shape"])
    history, info = read_history(folder.events), read_run_info(folder)
    scores = gather_scores(recipe, path=here.scores)
    records = [one for table in (*scores.tables, *scores.checks) for one in table.scores]
    best, steps = _best(records, recipe)
    words = _call(best, recipe)
    return render(
        "card.md.j2",
        recipe=recipe,
        front_matter=_front_matter(recipe, scores),
        shape=shape,
        classes=[" ".join(one.split()) for one in about["classes"]],
        version=about.get("versions", {}).get("dddm"),
        grids=list(_grids(recipe, here, first=(best, steps))),
        name=name,
        python="".join(f", {key}={json.dumps(value)}" for key, value in words.items()),
        shell="".join(f" --{key} {value}" for key, value in words.items()),
        steps=steps,
        train_images=history.whole("train_images")
        or next((one.reference_images for one in records), None),
        data_manifest=about.get("data_manifest", ""),
        parameters=_parameters(here),
        step=step,
        precision=precision,
        difference=difference,
        facts=[
            fact
            for fact in head_facts(recipe, history=history, info=info)
            if fact.name not in _LEFT_OUT
        ],
        scores=scores,
        floors={floor.name for one in records for floor in one.floors},
        unknown=list(_unknown(recipe, records)),
    ).lstrip()


def _best(records: Sequence[ScoreRecord], recipe: Recipe) -> tuple[SampleSpec | None, int]:
    """Sampler and steps that the leading measure likes best; None for a recipe without samples."""
    leading = leading_measure(records)
    ranked = [one for one in records if one.measure == leading and not one.trained_the_loss]
    best = None if leading is None else leading.best([one.value for one in ranked])
    for one in ranked:
        for spec in recipe.sample:
            if one.value == best and spec.name == one.sampler and one.steps in spec.steps:
                return spec, one.steps
    return next(((spec, spec.steps[0]) for spec in recipe.sample), (None, 1))


def _call(spec: SampleSpec | None, recipe: Recipe) -> dict[str, Any]:
    """What has to be said to sample so, beside the number of steps."""
    if spec is None:
        return {}
    words: dict[str, Any] = {}
    if spec.sampler != recipe.own_sampler:
        words["sampler"] = spec.sampler.component.name
    if spec.guidance is not None:
        words["guidance"] = spec.guidance.scale
    return words


def _grids(
    recipe: Recipe, here: RunFolder, *, first: tuple[SampleSpec | None, int]
) -> Iterator[tuple[str, int, int, str]]:
    """The first grid and few others: sampler, steps, number of images and path."""
    there = [
        (spec, steps, path)
        for spec, folders in planned_sample_folders(recipe, here)
        for steps, path in folders.items()
        if (path / "grid.png").is_file()
    ]
    there.sort(key=lambda one: one[:2] != first)
    for spec, steps, path in there[:_SHOWN_GRIDS]:
        picture = (path / "grid.png").relative_to(here.path).as_posix()
        yield spec.name, steps, spec.images, picture


def _parameters(here: RunFolder) -> int:
    (folder,) = checkpoints.list_checkpoints(here.checkpoints)
    with safe_open(folder / "ema.safetensors", framework="pt") as file:
        return sum(
            int(np.prod(file.get_slice(key).get_shape(), dtype=np.int64))
            for key in file.keys()  # noqa: SIM118 - it is not a mapping
        )


def _front_matter(recipe: Recipe, scores: ScoreSection) -> str:
    """YAML, of which JSON is a part."""
    metrics = [
        {
            "type": one.measure.name,
            "name": f"{one.name}, {one.sampler}, {counted(one.steps, 'step')}",
            "value": one.value,
        }
        for table in scores.tables
        for one in table.scores
    ]
    data = recipe.data.component.name
    task = "unconditional-image-generation"
    lines: dict[str, Any] = {
        "library_name": "dddm",
        "pipeline_tag": task,
        "tags": ["dddm", "few-step", "image-generation", recipe.objective.component.name],
    }
    if metrics:
        lines["metrics"] = sorted({str(one["type"]) for one in metrics})
        lines["model-index"] = [
            {
                "name": recipe.name,
                "results": [
                    {
                        "task": {"type": task},
                        "dataset": {"type": data, "name": data},
                        "metrics": metrics,
                    }
                ],
            }
        ]
    return "\n".join(
        f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in lines.items()
    )


def _unknown(recipe: Recipe, records: Iterable[ScoreRecord]) -> Iterator[str]:
    measured = {one.measure.name for one in records}
    yield (
        "How much chance there is in these scores: this is one training with the seed "
        f"{recipe.seed}, and another seed gives another network."
    )
    if "nearest" not in measured:
        yield "Whether samples repeat training images: that was not measured."
    if measured:
        yield (
            "How people would judge the images: scores compare statistics of features, and see "
            "nothing that these features do not see."
        )
    else:
        yield "How good the images are: nothing was measured."
    yield "Who or what the training images show, who may use them, and what is under-represented."
    yield (
        "How it fares on other machines in the last bits: these round differently, which changes "
        "images by little, and by more the more steps a sampler makes."
    )
