"""Write a recipe for images that were looked at: the second half of `dddm init`.

Settings are those of `dddm.recipe.choices`, which a recipe that leaves tables out gets too, here
with the width and the length that this machine allows:

| Goal | Objective |
| --- | --- |
| speed | drifting, one step; from 16 pixels on with features that are learned first |
| quality | flow matching, ten steps of Heun's method and more |
| paper | directly denoising as printed, with Pseudo-Huber, which needs no file, for Pseudo-LPIPS |
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, final

import torch
from attrs import evolve, frozen

from dddm.errors import DataError, UsageError
from dddm.interfaces.info import ObjectiveInfo
from dddm.interfaces.plugin import Kind
from dddm.recipe import choices
from dddm.recipe.choices import Images
from dddm.recipe.model import Recipe
from dddm.recipe.read import read_component, read_recipe
from dddm.recipe.write import inline
from dddm.registry.catalogue import Catalogue
from dddm.scaffold.own_images import OwnImages
from dddm.support.files import atomic_write_text
from dddm.support.quantities import counted
from dddm.support.weights import find_weights
from dddm.training.resources import free_memory
from dddm.training.speed import network_speed, training_seconds
from dddm.training.training_cost import preparation_flops, training_cost

Goal = Literal["speed", "quality", "paper"]

_GIB: Final = 1 << 30
_LITTLE_MEMORY: Final = 2 * _GIB
_PATH: Final = ("schedule", "parametrization")
_PRINTED_SAMPLES: Final = [{"use": "fixed-time", "steps": [1, 2, 10, 100], "images": 500}]
_FEWEST_STEPS: Final = 20
_LEARNING: Final = 0.2
"""Of the time, at most."""
_FASTER: Final = 2.5
"""Operations a second of the network that learns features, beside those of the generator: its maps
have more channels for their size.  A rough figure: 2.7 and 3.2 on a CPU that others used too."""
_FEW_SECONDS: Final = 90


@final
@frozen(kw_only=True)
class Budget:
    """How long training takes.

    Attributes:
        steps: of training.
        seconds: about what learning and the steps take on the machine that they were measured on.
        learning_seconds: how many of them features are learned for.
        picture_seconds: after which the first picture is drawn.
        passes: over the images by which features are learned; None for as many as are of use.
    """

    steps: int
    seconds: float
    learning_seconds: float = 0.0
    picture_seconds: float = 0.0
    passes: int | None = None

    @property
    def in_words(self) -> str:
        return _minutes(self.seconds)

    def in_sentences(self) -> Iterator[str]:
        """What happens when."""
        if self.learning_seconds:
            yield f"features are learned first, about {_minutes(self.learning_seconds)}"
        yield (
            f"{self.steps:,} steps; in all about {self.in_words} on this machine, the first "
            f"picture after about {_minutes(self.picture_seconds)}"
        )


def _minutes(seconds: float) -> str:
    if seconds < _FEW_SECONDS:
        return counted(max(10, round(seconds / 10) * 10), "second")
    return counted(round(seconds / 60), "minute")


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
    provisional = Budget(steps=_FEWEST_STEPS, seconds=0.0)
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
    forward = cost.network.forward
    speed = network_speed(recipe, facts=facts, forward_flops=forward, device=device)
    learning = training_seconds(preparation_flops(recipe, facts=facts), speed=_FASTER * speed)
    passes = None
    if learning > _LEARNING * 60 * minutes:
        most = choices.learning_passes(images.chosen)
        passes = max(1, int(most * _LEARNING * 60 * minutes / learning))
        learning *= passes / most
    each = training_seconds(cost.flops * recipe.train.batch_images, speed=speed)
    steps = max(_FEWEST_STEPS, round((60 * minutes - learning) / each))
    if steps > 1000:  # noqa: PLR2004 - a round number is easier to change
        steps = steps // 100 * 100
    budget = Budget(
        steps=steps, seconds=learning + steps * each, learning_seconds=learning, passes=passes
    )
    every = _train(images.chosen, goal="speed", needs=recipe.needs, budget=budget)
    epochs = every["sample_every_epochs"][0]
    first = max(1, images.facts.train_images // recipe.train.batch_images) * epochs
    return evolve(budget, picture_seconds=learning + min(first, steps) * each)


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
    wants = {
        "speed": "images in one step",
        "quality": "the best images, in ten steps or more",
        "paper": "DDDM as printed",
    }[goal]
    method = _objective(images.chosen, goal, passes=budget.passes)
    needs = _needs_of(method, catalogue)
    rate = choices.learning_rate(images.chosen, needs=needs)
    if goal == "paper":
        rate = {"rate": 1e-3}
    top: dict[str, Any] = {
        "format": 2,
        "name": images.name,
        "objective": method,
        "schedule": {"use": "vp", "timesteps": 1000},
        **{name: needs.usual[name] for name in _PATH if name in needs.usual},
        **({"metric": choices.pseudo_huber(images.chosen)} if needs.metric else {}),
        "backbone": _backbone(images, goal=goal, needs=needs, device=device),
        "learning_rate": rate,
        "sample": _PRINTED_SAMPLES if goal == "paper" else needs.usual["sample"],
    }
    scores = {"scores": ["fd", "nearest"], "features": _features(images, catalogue)}
    train = _train(images.chosen, goal=goal, needs=needs, budget=budget)
    return [
        f"# {'; '.join(images.remarks)}.  For {wants}.",
        *_keys({name: (value, "") for name, value in top.items()}),
        "# Scores in features that the loss does not use.",
        *_keys({"evaluate": (scores, "")}),
        "",
        "[data]",
        *_keys(images.options),
        "",
        "[train]",
        *_keys(train),
    ]


def _keys(values: Any) -> Iterator[str]:
    for name, (value, comment) in values.items():
        line = f"{name} = {inline(value)}".replace('"dddm:', '"')
        yield f"{line.ljust(23)} # {comment}" if comment else line


def _objective(images: Images, goal: Goal, *, passes: int | None) -> dict[str, Any]:
    if goal == "speed":
        return choices.drifting(images, passes=passes)
    return {"use": "flow-matching" if goal == "quality" else "directly-denoising"}


def _needs_of(objective: Mapping[str, Any], catalogue: Catalogue) -> ObjectiveInfo:
    options = [f"{key}={inline(value)}" for key, value in objective.items() if key != "use"]
    config = read_component(Kind.OBJECTIVE, objective["use"], options=options, catalogue=catalogue)
    return config.info(ObjectiveInfo) or ObjectiveInfo()


def _train(
    images: Images, *, goal: Goal, needs: ObjectiveInfo, budget: Budget
) -> dict[str, tuple[Any, str]]:
    # A picture a minute, so that a long run shows early where it goes.
    pictures = max(10, round((budget.seconds - budget.learning_seconds) / 60))
    table = choices.train(images, needs=needs, steps=budget.steps, pictures=pictures)
    if goal == "paper":
        del table["gradient_clip"]
    comments = {
        "steps": f"in all about {budget.in_words} on this machine; more steps are better",
        "ema_warmup": "the average forgets the first weights",
    }
    return {key: (value, comments.get(key, "")) for key, value in table.items()}


def _backbone(
    images: OwnImages, *, goal: Goal, needs: ObjectiveInfo, device: torch.device
) -> dict[str, Any]:
    """As wide as this machine allows."""
    chosen = images.chosen if goal != "paper" else evolve(images.chosen, uses_classes=False)
    memory = free_memory()
    wider = 1.0
    if device.type == "cuda":
        wider = 2.0
    elif memory is not None and memory < _LITTLE_MEMORY:
        wider = 0.5
    return choices.backbone(chosen, needs=needs, wider=wider)


def _features(images: OwnImages, catalogue: Catalogue) -> Any:
    """What scores compare in: a published network only where it fits and its file is here."""
    if images.facts.shape.as_tuple == (3, 32, 32) and _has_weights("resnet20", catalogue):
        return "resnet20"
    return choices.features(data={"use": images.options["use"][0]})


def _has_weights(name: str, catalogue: Catalogue) -> bool:
    config = read_component(Kind.FEATURES, name, catalogue=catalogue)
    try:
        for file in config.component.weights_for(config.options):
            find_weights(file)
    except DataError:
        return False
    return True
