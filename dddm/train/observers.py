"""Which observers follow a run."""

from functools import partial

from dddm.interfaces.observer import Observer
from dddm.interfaces.plugin import Kind
from dddm.recipe.model import Recipe
from dddm.registry.catalogue import Catalogue
from dddm.registry.component import Component
from dddm.train.events import Subscriber
from dddm.train.run_folder import RunFolder


def subscribers_for(recipe: Recipe, *, catalogue: Catalogue, folder: RunFolder) -> list[Subscriber]:
    """The recipe's observers, or where it names none those that are registered as default."""
    if recipe.observe is not None:
        return [
            Subscriber(title=use.component.title, make=partial(use.instantiate, folder=folder.path))
            for use in recipe.observe
        ]
    return [
        Subscriber(title=one.title, make=partial(_make_default, one, folder=folder), named=False)
        for one in catalogue.components(Kind.OBSERVER)
        if one.default
    ]


def _make_default(component: Component, *, folder: RunFolder) -> Observer:
    observer: Observer = component.load()(component.options(), folder=folder.path)
    return observer
