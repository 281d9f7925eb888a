"""The network of a recipe and what it is called by, for training, sampling and counting alike."""

import torch

from dddm.errors import RecipeError
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import Objective
from dddm.interfaces.parametrization import Parametrization
from dddm.interfaces.schedule import Schedule
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


def build_schedule(recipe: Recipe) -> Schedule:
    """The forward process."""
    schedule: Schedule = recipe.schedule.instantiate()
    return schedule


def build_parametrization(recipe: Recipe, *, schedule: Schedule) -> Parametrization | None:
    """How estimates are formed; None for the schedule's own way."""
    if recipe.parametrization is None:
        return None
    parametrization: Parametrization = recipe.parametrization.instantiate(schedule=schedule)
    return parametrization


def build_objective(recipe: Recipe, *, device: torch.device) -> Objective:
    """What one training step asks of the network."""
    objective: Objective = recipe.objective.instantiate()
    objective.to(device)
    return objective
