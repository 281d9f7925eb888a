"""Whether training may fit what a score measures."""

from collections.abc import Iterator
from typing import final

from attrs import frozen

from dddm.errors import DataError
from dddm.interfaces.dataset import Split
from dddm.interfaces.features import Features
from dddm.interfaces.metric import Metric
from dddm.interfaces.plugin import Kind
from dddm.recipe.model import ComponentConfig, Recipe


@final
@frozen(kw_only=True)
class Relation:
    """What the features of a score have in common with the loss.

    Attributes:
        sentence: for the reader.
        trained_the_loss: whether the loss was computed in them, or in features that are learned
            from the same images, in however many passes: the score says nothing and is not ranked.
    """

    sentence: str
    trained_the_loss: bool = False


def relations(
    recipe: Recipe, config: ComponentConfig, features: Features, *, images: Split
) -> tuple[Relation, ...]:
    """Those of features with the loss that a recipe trains by.

    Args:
        config: of `features`, which were told their images and have not learned from them yet.
        images: the training images.
    """
    return tuple(
        relation
        for one in _networks_of_the_loss(recipe)
        for relation in _relation(one, recipe, config, features, images)
    )


def _networks_of_the_loss(recipe: Recipe) -> Iterator[ComponentConfig]:
    """The features that metric and objective use, and the metric where it brings its own."""
    of_metric, of_objective = (
        [] if user is None else [one for one in user.nested if one.component.kind is Kind.FEATURES]
        for user in (recipe.metric, recipe.objective)
    )
    if recipe.metric is not None and not of_metric:
        yield recipe.metric
    yield from of_metric
    yield from of_objective


def _relation(
    one: ComponentConfig, recipe: Recipe, config: ComponentConfig, features: Features, images: Split
) -> Iterator[Relation]:
    name, title = config.component.name, f"the {one.component.kind.value} {one.component.name}"
    same = one.component == config.component
    if not same and features.trained_on is None:
        return
    try:
        trained: Metric | Features = one.instantiate()
        if isinstance(trained, Features):
            trained.identify(images, flips=recipe.train.flips)
    except DataError as error:  # scoring does not need the weights of the loss
        sentence = (
            f"it is unknown whether {title} was trained on {features.trained_on}, "
            f"like the features {name}: {error.what.partition(':')[0]}"
        )
        yield Relation(sentence=sentence, trained_the_loss=same)
        return
    if trained.trained_on != features.trained_on:
        return
    if not same:
        sentence = (
            f"the features {name} and {title} were both trained on {features.trained_on}, so "
            "training may fit what the score measures; score in other features too"
        )
        yield Relation(sentence=sentence)
        return
    related = isinstance(trained, Features) and trained.fingerprint != features.fingerprint
    in_which = f"{title}, which are related: trained on the same images" if related else title
    sentence = (
        f"the loss was computed in {in_which}, so training fits what the score measures; "
        "score in other features"
    )
    yield Relation(sentence=sentence, trained_the_loss=True)
