"""A catalogue of toy components, so that recipes are tested without any built-in plugin."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import frozen
from measures import FD, KID, NEAREST

from dddm.errors import DddmError, RecipeError
from dddm.interfaces.info import (
    DatasetInfo,
    ImageShape,
    Measure,
    MemoryField,
    ObjectiveInfo,
    ScoreInfo,
)
from dddm.interfaces.plugin import Issue, Kind, NoOptions, RecipeContext, option
from dddm.recipe.model import Recipe
from dddm.recipe.read import read_recipe
from dddm.registry.catalogue import Catalogue
from dddm.registry.registrar import PluginRegistrar


@frozen(kw_only=True)
class ToyOptions:
    """One option of each type."""

    size: int = option(at_least=1, help="How large.")
    rate: float = option(0.5, above=0, below=1, help="How fast.")
    flag: bool = option(default=False, help="Whether.")
    word: Literal["left", "right"] = option("left", help="Which way.")
    list: tuple[int, ...] = option((), at_least=0, help="Some.")
    maybe: float | None = option(None, at_most=9, help="Perhaps.")
    text: str = option("", help="What.")


def describe(options: Any) -> DatasetInfo:
    return DatasetInfo(
        shape=ImageShape(channels=1, height=4, width=4), train_images=100, classes=("a", "b")
    )


@frozen(kw_only=True)
class RateOptions:
    """Of a learning rate."""

    rate: float = option(2e-4, above=0, help="The rate.")


@frozen(kw_only=True)
class DirectOptions:
    """Of the objective that a recipe has by default."""

    dropout: float = option(0.0, at_least=0, at_most=1, help="How often x̂ is noise.")


@frozen(kw_only=True)
class StoreOptions:
    """Of the store that a recipe has by default."""

    large: bool = option(default=False, help="Whether.")


@frozen(kw_only=True)
class AdamOptions:
    """Of the optimizer that a recipe has by default."""

    eps: float = option(1e-8, above=0, help="Added to the denominator.")


def describe_remember(options: Any) -> ObjectiveInfo:
    return ObjectiveInfo(memory=(MemoryField(name="estimate"),), estimate="estimate")


def describe_forget(options: Any) -> ObjectiveInfo:
    return ObjectiveInfo(estimate="estimate")


def describe_self_taught(options: Any) -> ObjectiveInfo:
    return ObjectiveInfo(memory=(MemoryField(name="estimate"),), estimate="estimate", metric=False)


def check(options: ToyOptions, context: RecipeContext) -> Iterator[Issue]:
    assert context.data is not None
    if options.size > context.data.shape.height:
        yield Issue(option="size", what="larger than the image", remedy="use 4 or less")
    if context.tables.get("metric", {}).get("rate") == options.rate:
        yield Issue(option="rate", what="the same as the metric's")


@frozen(kw_only=True)
class ToyScoreOptions:
    """One option, of the score `kid`."""

    sampled: int | None = option(None, at_least=4, help="How many.")


@cache
def facts_of_score(measure: Measure, *, fewest_images: int = 2) -> Callable[[Any], ScoreInfo]:
    return lambda _options: ScoreInfo(measures=(measure,), fewest_images=fewest_images)


def toy_catalogue() -> Catalogue:
    """Namespace `toy`, a second one, `other`, and toys under the ids of a recipe's defaults."""
    toy = PluginRegistrar(plugin="toy", package="toys", version="1.0")
    toy.add(Kind.DATASET, "images", target="toys:X", summary=".", describe=describe)
    for name, describing in (
        ("remember", describe_remember),
        ("forget", describe_forget),
        ("self-taught", describe_self_taught),
    ):
        toy.add(Kind.OBJECTIVE, name, target="toys:X", summary=".", describe=describing)
    toy.add(Kind.PARAMETRIZATION, "straight", target="toys:X", summary=".")
    toy.add(Kind.OPTIMIZER, "descent", target="toys:X", summary=".", options=NoOptions)
    toy.add(Kind.LEARNING_RATE, "flat", target="toys:X", summary=".", options=RateOptions)
    toy.add(Kind.SCHEDULE, "plain", target="toys:X", summary=".")
    toy.add(Kind.BACKBONE, "net", target="toys:X", summary=".", options=ToyOptions, check=check)
    toy.add(Kind.METRIC, "near", target="toys:X", summary=".", options=ToyOptions)
    toy.add(Kind.TARGET_STORE, "kept", target="toys:X", summary=".")
    toy.add(Kind.SAMPLER, "steps", target="toys:X", summary=".", options=ToyOptions)
    toy.add(Kind.FEATURES, "pixels", target="toys:X", summary=".", options=NoOptions)
    for measure in (FD, NEAREST):
        describe_score = facts_of_score(measure)
        toy.add(
            Kind.SCORE, measure.name, target="toys:X", summary=".", describe=describe_score,
            default=True,
        )  # fmt: skip
    toy.add(
        Kind.SCORE, "kid", target="toys:X", summary=".", options=ToyScoreOptions,
        describe=facts_of_score(KID, fewest_images=4),
    )  # fmt: skip
    toy.add(Kind.OBSERVER, "eye", target="toys:X", summary=".", default=True)
    other = PluginRegistrar(plugin="other.more", package="others", version="2.0")
    other.add(Kind.METRIC, "far", target="toys:X", summary=".")
    other.add(Kind.FEATURES, "pixels", target="toys:X", summary=".")
    ours = PluginRegistrar(plugin="dddm", package="dddm", version="3.0")
    ours.add(
        Kind.OBJECTIVE,
        "directly-denoising",
        target="toys:X",
        summary=".",
        options=DirectOptions,
        describe=describe_remember,
    )
    ours.add(Kind.TARGET_STORE, "ram", target="toys:X", summary=".", options=StoreOptions)
    ours.add(Kind.OPTIMIZER, "adam", target="toys:X", summary=".", options=AdamOptions)
    ours.add(Kind.LEARNING_RATE, "constant", target="toys:X", summary=".", options=RateOptions)
    return Catalogue([*toy.components, *other.components, *ours.components])


RECIPE = """\
format = 2
name = "toy"
seed = 3

[data]
use = "images"

[objective]
use = "remember"

[schedule]
use = "plain"

[backbone]
use = "net"
size = 2

[metric]
use = "near"
size = 1
rate = 0.25

[targets]
use = "kept"

[optimizer]
use = "descent"

[learning_rate]
use = "flat"
rate = 1e-3

[train]
epochs = 5
batch_images = 20

[[sample]]
use = "steps"
size = 7
steps = [1, 2]
images = 8

[[sample]]
use = "toy:steps"
size = 8
steps = [3]

[evaluate]
features = "toy:pixels"
"""

TOYS = toy_catalogue()


def read_toy(folder: Path, text: str = RECIPE, *overrides: str) -> Recipe:
    """The recipe `text`, as the file toy.toml of a folder, with the toy components."""
    (folder / "toy.toml").write_text(text, encoding="utf-8")
    return read_recipe(folder / "toy.toml", overrides=overrides, catalogue=TOYS)


def error_of_toy(
    folder: Path, text: str, *overrides: str, kind: type[DddmError] = RecipeError
) -> str:
    """The message with which that recipe is refused, by an error of exactly this class."""
    with pytest.raises(kind) as caught:
        read_toy(folder, text, *overrides)
    assert type(caught.value) is kind
    return str(caught.value)
