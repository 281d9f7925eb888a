"""Which observers follow a run."""

from dddm.interfaces.observer import Observer
from dddm.interfaces.plugin import Kind
from dddm.recipe.model import Recipe
from dddm.registry.catalogue import Catalogue
from dddm.run.folder import RunFolder


def observers_for(recipe: Recipe, *, catalogue: Catalogue, folder: RunFolder) -> list[Observer]:
    """The recipe's observers, or where it names none those that are registered as default."""
    if recipe.observe is not None:
        return [use.make(folder=folder.path) for use in recipe.observe]
    return [
        component.load()(component.options(), folder=folder.path)
        for component in catalogue.components(Kind.OBSERVER)
        if component.default
    ]
