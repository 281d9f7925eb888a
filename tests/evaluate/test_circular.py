"""Scores in features that trained the loss are told from others."""

from pathlib import Path

import numpy as np
import pytest
import torch
from attrs import evolve

from dddm.evaluate.circular import Relation, relations
from dddm.interfaces.dataset import Split
from dddm.interfaces.features import Features
from dddm.interfaces.plugin import Kind, NoOptions
from dddm.recipe.model import Recipe
from dddm.recipe.read import read_component, read_recipe
from dddm.registry.loader import load_catalogue
from dddm_datasets.digits import Digits

CATALOGUE = load_catalogue()
SCORED = "epochs=5"


@pytest.fixture(scope="module")
def digits() -> Split:
    return Digits(NoOptions()).splits()["train"]


@pytest.fixture(scope="module")
def others(digits: Split, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Fifty of the digits in a file, as a recipe names it."""
    path = tmp_path_factory.mktemp("others") / "others.npz"
    images = digits.images(torch.arange(50)).permute(0, 2, 3, 1).numpy()
    np.savez(path, arr_0=images)
    return f'images={{use="npz", path="{path}"}}'


def recipe_with(features: str, *, flips: bool = False) -> Recipe:
    """Whose loss compares images in these features."""
    objective = read_component(
        Kind.OBJECTIVE, "drifting", options=[f"features={features}"], catalogue=CATALOGUE
    )
    recipe = read_recipe(Path("digits_drifting"), catalogue=CATALOGUE)
    return evolve(recipe, objective=objective, train=evolve(recipe.train, flips=flips))


def found(recipe: Recipe, images: Split, *options: str) -> tuple[Relation, ...]:
    """How features that are learned with these options are related to the loss."""
    config = read_component(Kind.FEATURES, "learned", options=options, catalogue=CATALOGUE)
    features: Features = config.instantiate()
    features.identify(images, flips=False)
    return relations(recipe, config, features, images=images)


def test_the_same_features(digits: Split) -> None:
    """On the same images in the same way, whether the images are named or not."""
    for loss in ('{use="learned", epochs=5}', '{use="learned", epochs=5, images={use="digits"}}'):
        (relation,) = found(recipe_with(loss), digits, SCORED)
        assert relation.trained_the_loss
        assert relation.sentence.startswith("the loss was computed in the features learned, so")


@pytest.mark.parametrize(
    ("loss", "flips"), [('{use="learned", epochs=6}', False), ('{use="learned", epochs=5}', True)]
)
def test_related_features(digits: Split, loss: str, *, flips: bool) -> None:
    """On the same images in another way: as little worth."""
    (relation,) = found(recipe_with(loss, flips=flips), digits, SCORED)
    assert relation.trained_the_loss
    assert "learned, which are related: trained on the same images" in relation.sentence


def test_features_of_other_images(digits: Split, others: str) -> None:
    """Neither is circular, whichever of both was learned on the other images."""
    here, there = '{use="learned", epochs=5}', f'{{use="learned", epochs=5, {others}}}'
    assert found(recipe_with(here), digits, SCORED, others) == ()
    assert found(recipe_with(there), digits, SCORED) == ()
    (relation,) = found(recipe_with(there), digits, SCORED, others)
    assert relation.trained_the_loss


def test_other_features(digits: Split) -> None:
    assert found(recipe_with('{use="digits-classifier"}'), digits, SCORED) == ()


def test_what_is_gone_is_taken_as_circular(digits: Split, tmp_path: Path) -> None:
    """Nobody can say any more on which images the loss learned its features."""
    gone = f'{{use="learned", images={{use="npz", path="{tmp_path}/gone.npz"}}}}'
    (relation,) = found(recipe_with(gone), digits, SCORED)
    assert relation.trained_the_loss
    assert "unknown" in relation.sentence
