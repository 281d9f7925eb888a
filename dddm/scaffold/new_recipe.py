"""Write a recipe for images that were looked at: the second half of `dddm init`.

Settings are those of the recipes `arena_…`, of networks that train in an hour on one core;
docs/objectives.md says which of them were measured, and on what:

| Goal | Objective |
| --- | --- |
| speed | drifting, one step; from 16 pixels on with features that are learned first |
| quality | flow matching, ten steps of Heun's method and more |
| paper | directly denoising as printed, with Pseudo-Huber, which needs no file, for Pseudo-LPIPS |
"""

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, final

import torch
from attrs import evolve, frozen

from dddm.errors import DataError, UsageError
from dddm.interfaces.plugin import Kind
from dddm.recipe.model import Recipe
from dddm.recipe.read import read_component, read_recipe
from dddm.recipe.write import inline
from dddm.registry.catalogue import Catalogue
from dddm.scaffold.own_images import OwnImages
from dddm.support.files import atomic_write_text
from dddm.support.quantities import counted
from dddm.support.weights import find_weights
from dddm.train.resources import free_memory
from dddm.train.speed import network_speed, training_seconds
from dddm.train.training_cost import training_cost

Goal = Literal["speed", "quality", "paper"]

_GIB: Final = 1 << 30
_LITTLE_MEMORY: Final = 2 * _GIB
_LARGE: Final = 32
_MEDIUM: Final = 16
_SETS_OF_IMAGES: Final = 128
_MOST_REAL: Final = 128
_MOST_BATCH: Final = 64
_LEARNED_IMAGES: Final = 250_000
"""Images that features are learned on, in all passes together."""
_FEWEST_STEPS: Final = 20


@final
@frozen(kw_only=True)
class Budget:
    """How long training takes.

    Attributes:
        steps: of training.
        every_epochs: epochs between checkpoints.
        seconds: about what the steps take on the machine that they were measured on.
    """

    steps: int
    every_epochs: int
    seconds: float

    @property
    def in_words(self) -> str:
        return counted(max(1, round(self.seconds / 60)), "minute")


def write_recipe(
    images: OwnImages,
    path: Path,
    *,
    goal: Goal,
    minutes: float,
    catalogue: Catalogue,
    device: torch.device,
) -> Budget:
    """Write a recipe that runs as it stands, for about so many minutes of training on this machine.

    Raises:
        UsageError: if `path` exists.
        DddmError: if there is no such recipe for these images.
    """
    if path.exists():
        raise UsageError(
            f"{path} exists already", where=str(path), remedy="choose another file with -o"
        )
    provisional = Budget(steps=_FEWEST_STEPS, every_epochs=1, seconds=0.0)
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "trial.toml"
        lines = recipe_lines(
            images, goal=goal, budget=provisional, catalogue=catalogue, device=device
        )
        trial.write_text("\n".join(lines) + "\n", encoding="utf-8")
        recipe = read_recipe(trial, catalogue=catalogue)
    budget = _budget(recipe, images, minutes=minutes, device=device)
    lines = recipe_lines(images, goal=goal, budget=budget, catalogue=catalogue, device=device)
    atomic_write_text(path, "\n".join(lines) + "\n")
    return budget


def _budget(recipe: Recipe, images: OwnImages, *, minutes: float, device: torch.device) -> Budget:
    facts = images.facts if images.uses_classes else evolve(images.facts, classes=())
    cost = training_cost(recipe, facts=facts)
    flops = cost.flops * recipe.train.batch_images
    each = training_seconds(flops, speed=network_speed(recipe, facts=facts, device=device))
    steps = max(_FEWEST_STEPS, round(60 * minutes / each))
    if steps > 1000:  # noqa: PLR2004 - a round number is easier to change
        steps = steps // 100 * 100
    epochs = steps * recipe.train.batch_images / images.facts.train_images
    return Budget(steps=steps, every_epochs=max(1, round(epochs / 10)), seconds=steps * each)


def recipe_lines(
    images: OwnImages,
    *,
    goal: Goal,
    budget: Budget,
    catalogue: Catalogue,
    device: torch.device,
) -> list[str]:
    """The lines of the recipe, fewer than 30.

    Raises:
        DataError: if the images are too small for a network that halves them.
    """
    side = min(images.facts.shape.height, images.facts.shape.width)
    rate = 1e-3 if side >= _LARGE or goal == "paper" else 2e-3
    wants = {
        "speed": "images in one step",
        "quality": "the best images, in ten steps or more",
        "paper": "DDDM as printed",
    }[goal]
    falling = {"use": "steps", "rate": rate, "drops": [0.7], "factor": 0.25}
    train, objective = _train(images, goal=goal, budget=budget)
    top: dict[str, Any] = {
        "format": 2,
        "name": images.name,
        **objective,
        "backbone": _backbone(images, goal=goal, device=device),
        "learning_rate": {"rate": rate} if goal == "paper" else falling,
        "sample": [_sampler(goal)],
        "evaluate": {"scores": ["fd", "nearest"], "features": _features(images, catalogue)},
    }
    return [
        f"# {'; '.join(images.remarks)}.  For {wants}.",
        *_keys({name: (value, "") for name, value in top.items()}),
        "",
        "[data]",
        *_keys(images.options),
        "",
        "[train]",
        *_keys(train),
    ]


def _keys(values: Any) -> Iterator[str]:
    for name, (value, comment) in values.items():
        line = f"{name} = {inline(value)}"
        yield f"{line.ljust(23)} # {comment}" if comment else line


def _train(
    images: OwnImages, *, goal: Goal, budget: Budget
) -> tuple[dict[str, tuple[Any, str]], dict[str, Any]]:
    """`[train]`, and the tables of the objective and its path, whose sets the batch must fit."""
    facts = images.facts
    lasts = f"about {budget.in_words} on this machine; more steps are better"
    if goal == "speed":
        objective = _drifting(images)
        rows = objective["rows"]
        batch = rows * max(1, min(_SETS_OF_IMAGES, facts.train_images) // rows)
        tables = {
            "objective": objective,
            "schedule": {"use": "vp", "timesteps": 1000},
            "parametrization": {"use": "v-prediction"},
        }
    else:
        batch = 1 << (min(_MOST_BATCH, facts.train_images).bit_length() - 1)
        c = float(f"{0.00054 * math.sqrt(facts.shape.values):.2g}")
        tables = (
            {"objective": {"use": "flow-matching"}, "schedule": {"use": "linear"}}
            if goal == "quality"
            else {
                "objective": {"use": "directly-denoising"},
                "schedule": {"use": "vp", "timesteps": 1000},
                "metric": {"use": "pseudo-huber", "c": c},
            }
        )
    clip = {} if goal == "paper" else {"gradient_clip": (5.0, "")}
    return {
        "steps": (budget.steps, lasts),
        "batch_images": (batch, ""),
        **clip,
        "ema_warmup": (True, "the average forgets the first weights"),
        "checkpoint_every_epochs": (budget.every_epochs, ""),
        "sample_every_epochs": (budget.every_epochs, ""),
        "diagnose_every_epochs": (budget.every_epochs, ""),
    }, tables


def _drifting(images: OwnImages) -> dict[str, Any]:
    """Sets as large as the smallest class allows; kernels by the size of images."""
    rows = 1 << (
        max(2, min(64 if not images.uses_classes else 32, images.fewest // 4)).bit_length() - 1
    )
    real = min(_MOST_REAL, images.fewest - rows)
    shape = images.facts.shape
    side = min(shape.height, shape.width)
    sets = {"use": "drifting", "rows": rows, "real": real}
    if side < _MEDIUM:
        return sets
    learned = {"features": _learned(images)}
    if shape.channels == 1:
        kernels = {"pixels": 0.2, "pixel_windows": [2], "patches": 0.1, "patch_sizes": [5],
                   "random": 0.0, "statistics": 0.2, "features_weight": 0.5}  # fmt: skip
    else:
        kernels = {"temperatures": [0.02, 0.05, 0.2], "pixels": 0.1, "pixel_windows": [4],
                   "patches": 0.05, "random": 0.0, "statistics": 0.1,
                   "features_weight": 0.75}  # fmt: skip
    return {**sets, **kernels, **learned}


def _backbone(images: OwnImages, *, goal: Goal, device: torch.device) -> dict[str, Any]:
    """A U-Net whose lowest maps are a few pixels wide, as wide as this machine allows."""
    shape = images.facts.shape
    side = min(shape.height, shape.width)
    halvings = min((n & -n).bit_length() - 1 for n in (shape.height, shape.width))
    if side >= _LARGE:
        channels, multipliers = 32, [1, 2, 2, 2]
    elif side >= _MEDIUM:
        channels, multipliers = (16 if shape.channels == 1 else 32), [1, 2, 4]
    else:
        channels, multipliers = 32, [1, 2]
    multipliers = multipliers[: halvings + 1]
    heights = [shape.height >> stage for stage in range(len(multipliers))]
    attention = [height for height in heights[1:] if height <= _MEDIUM][-2:] or heights[-1:]
    if side >= _MEDIUM and heights[-1] > _MEDIUM:
        raise DataError(
            f"images of {shape.height}×{shape.width} pixels cannot be halved often enough",
            where="the size of the images",
            remedy="use --size 32, or crop them to a multiple of 8 where they are in an .npz file",
        )
    memory = free_memory()
    if device.type == "cuda":
        channels *= 2
    elif memory is not None and memory < _LITTLE_MEMORY:
        channels = 16
    table = {
        "use": "adm",
        "channels": channels,
        "multipliers": multipliers,
        "blocks": 1,
        "attention": attention,
    }
    if goal != "paper":
        table |= {"estimate": "none"}
        if images.uses_classes:
            table |= {"classes": True}
    return table


def _sampler(goal: Goal) -> dict[str, Any]:
    name, steps = {
        "speed": ("fixed-time", [1]),
        "quality": ("heun", [5, 10]),
        "paper": ("fixed-time", [1, 2, 10, 100]),
    }[goal]
    return {"use": name, "steps": steps, "images": 500}


def _features(images: OwnImages, catalogue: Catalogue) -> Any:
    """What scores compare in: a published network only where it fits and its file is here."""
    shape = images.facts.shape
    if images.options["use"][0] == "digits":
        return "digits-classifier"
    if shape.as_tuple == (3, 32, 32) and _has_weights("resnet20", catalogue):
        return "resnet20"
    if min(shape.height, shape.width) < 8:  # noqa: PLR2004 - what `learned` accepts
        return "pixels"
    return _learned(images)


def _learned(images: OwnImages) -> dict[str, Any]:
    """Features that are learned on these images; fewer images are seen more often."""
    passes = max(5, min(30, _LEARNED_IMAGES // images.facts.train_images))
    return {"use": "learned", "epochs": passes}


def _has_weights(name: str, catalogue: Catalogue) -> bool:
    config = read_component(Kind.FEATURES, name, catalogue=catalogue)
    try:
        for file in config.component.weights_for(config.options):
            find_weights(file)
    except DataError:
        return False
    return True
