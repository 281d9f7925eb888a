"""The decoder: its size and cost, what an image is made from, and where it is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

from dddm.core.flops import count_flops
from dddm.errors import RecipeError
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.interfaces.plugin import RecipeContext
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.testing.tensors import perturb
from dddm_backbones.adm import Adm
from dddm_backbones.decoder import Decoder
from dddm_backbones.options import AdmOptions, DecoderOptions, check_decoder

CIFAR = ImageShape(channels=3, height=32, width=32)
SMALL: dict[str, Any] = {"widths": (16, 8), "latent": 12}


def decoder(shape: ImageShape = CIFAR, *, classes: int = 0, **options: Any) -> Decoder:
    torch.manual_seed(0)
    return Decoder(
        DecoderOptions(classes=classes > 0, **options), shape=shape, classes=classes
    ).eval()


def test_it_is_small_and_cheap() -> None:
    """2.2 million parameters, and a third of the operations of an ADM of about that many."""
    with torch.device("meta"):
        small = decoder(classes=10)
        adm = Adm(
            AdmOptions(channels=40, multipliers=(1, 2, 2, 2), blocks=1, estimate="none"),
            shape=CIFAR,
            classes=0,
        )
    sizes = [sum(p.numel() for p in one.parameters()) / 1e6 for one in (small, adm)]
    assert sizes[0] == pytest.approx(2.2, abs=0.05)
    assert sizes[1] == pytest.approx(2.6, abs=0.3)
    operations = [count_flops(one, shape=CIFAR).forward for one in (small, adm)]
    assert operations[0] < operations[1] / 3


@pytest.mark.parametrize(
    "shape",
    [
        ImageShape(channels=1, height=8, width=8),
        ImageShape(channels=3, height=12, width=20),
        ImageShape(channels=1, height=28, width=28),
    ],
)
def test_any_size_that_can_be_halved(shape: ImageShape) -> None:
    """The result has the image's shape and lies in (−1, 1)."""
    network = decoder(shape, widths=(16, 12, 8), latent=5, blocks=2)
    found = network(x_t=100 * torch.randn(3, *shape.as_tuple), t=torch.ones(3))
    assert found.shape == (3, *shape.as_tuple)
    assert bool((found.abs() <= 1).all())


@torch.no_grad()
def test_an_image_is_made_from_the_first_numbers_of_the_noise_and_the_class() -> None:
    network = decoder(classes=4, **SMALL)
    perturb(network)  # the branches of its blocks, which the class scales, are zero at first
    noise, label = torch.randn(4, 3, 32, 32), torch.arange(4)
    t = torch.full((4,), 1000.0)
    first = network(x_t=noise, t=t, label=label)
    other = noise.clone()
    other.flatten(1)[:, 12:] = 0
    assert torch.equal(network(x_t=other, t=t / 7, label=label), first)
    for number in (0, 11):
        other = noise.clone()
        other.flatten(1)[:, number] += 1
        changed = (network(x_t=other, t=t, label=label) - first).flatten(1).abs().amax(1)
        assert bool((changed > 1e-4).all())
    changed = (network(x_t=noise, t=t, label=label.roll(1)) - first).flatten(1).abs().amax(1)
    assert bool((changed > 1e-4).all())


@torch.no_grad()
def test_its_first_images_differ() -> None:
    """Before training: sets of equal images would have no drift to spread them."""
    found = decoder(**SMALL)(x_t=torch.randn(8, 3, 32, 32), t=torch.ones(8))
    assert float(found.std(dim=0).mean()) > 0.02


def test_classes_need_labels() -> None:
    with pytest.raises(ValueError, match="no labels were given"):
        decoder(classes=2, **SMALL)(x_t=torch.zeros(1, 3, 32, 32), t=torch.ones(1))


@pytest.mark.parametrize(
    ("options", "where", "words"),
    [
        ({"widths": (8,) * 7, "latent": 3}, "widths", "cannot be halved"),
        ({"widths": (), "latent": 3}, "widths", "is empty"),
        ({"widths": (8, 8), "latent": 3073}, "latent", "has 3072 numbers, not 3073"),
        ({"widths": (8, 8), "latent": 3, "classes": 0}, "classes", "no classes"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], where: str, words: str) -> None:
    if "classes" in options:
        options = {**options, "classes": True}
    with pytest.raises(RecipeError) as caught:
        Decoder(DecoderOptions(**options), shape=CIFAR, classes=0)
    assert words in caught.value.what
    assert caught.value.where == f"backbone.{where}"


@pytest.mark.parametrize(
    ("table", "fits"),
    [
        ({"parametrization": {"use": "dddm:x-prediction"}}, True),
        ({"parametrization": {"use": "dddm:v-prediction"}}, True),
        ({"parametrization": {"use": "mine:other"}}, True),
        ({"parametrization": {"use": "dddm:residual"}}, False),
        ({"parametrization": {"use": "dddm:velocity"}}, False),
        ({}, False),
    ],
)
def test_the_parametrization_must_take_an_image(table: dict[str, Any], *, fits: bool) -> None:
    """The schedule's own, x_t − F, would add the noise to the image."""
    data = DatasetInfo(shape=CIFAR, train_images=10, classes=("a", "b"))
    found = list(check_decoder(DecoderOptions(), RecipeContext(data=data, tables=table)))
    assert not found if fits else "x-prediction" in str(found[0].remedy)


TO_DECODER = (
    "backbone={use='decoder', widths=[16, 8], latent=32, classes=true}",
    "parametrization.use=x-prediction",
)


@pytest.mark.parametrize(
    ("recipe", "overrides", "words"),
    [
        ("digits_denoising", TO_DECODER, "trains at all times, and the backbone decoder does not"),
        ("digits", TO_DECODER, "passes an estimate x̂ to the network, which the backbone decoder"),
        ("digits_drifting", (*TO_DECODER, "backbone.latent=65"), "has 64 numbers, not 65"),
        (
            "digits_drifting",
            (*TO_DECODER, "parametrization.use=residual"),
            "expects something else",
        ),
        ("digits_drifting", (*TO_DECODER, "sample.0.steps=[1, 2]"), "steps"),
    ],
)
def test_a_recipe_is_refused(recipe: str, overrides: tuple[str, ...], words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read_recipe(Path(recipe), overrides=overrides, catalogue=load_catalogue())
    assert words in str(caught.value)
    assert "try: " in str(caught.value)


def test_one_that_fits_is_not() -> None:
    read_recipe(Path("digits_drifting"), overrides=TO_DECODER, catalogue=load_catalogue())
