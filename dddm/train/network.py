"""The network of a recipe, for training, sampling and counting alike."""

from dddm.errors import RecipeError
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.info import ImageShape
from dddm.recipe.model import Recipe


def instantiate_backbone(recipe: Recipe, *, shape: ImageShape, classes: int) -> Backbone:
    """The network, for training images of `shape` and of so many classes.

    Raises:
        RecipeError: if labels are to be dropped, and it uses none.
    """
    backbone: Backbone = recipe.backbone.instantiate(
        shape=shape, classes=recipe.network_classes(classes)
    )
    if recipe.train.label_dropout and not backbone.uses_labels:
        raise RecipeError(
            f"label_dropout: the backbone {recipe.backbone.component.name} uses no classes here",
            where="train.label_dropout",
            remedy="use a network and images with classes, or remove label_dropout",
        )
    return backbone
