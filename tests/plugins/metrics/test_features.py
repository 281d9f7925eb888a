"""The metric `features` against plain loops, and how it uses the network that it is given."""

import math
from pathlib import Path
from typing import Any, final

import pytest
import torch
from torch import Tensor

from dddm.errors import RecipeError
from dddm.interfaces.features import Features
from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import NestedComponent
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm_metrics.features import InFeatures
from dddm_metrics.options import FeaturesOptions

C = 0.05
FIRST = torch.randn(3, 2, 4, 6, generator=torch.Generator().manual_seed(0))
SECOND = torch.randn(3, 2, 4, 6, generator=torch.Generator().manual_seed(1))


class Vector(Features):
    """Two numbers of an image: its mean, and the square of its first pixel."""

    calls = 0

    @property
    def dimensions(self) -> int | None:
        return 2

    @property
    def fingerprint(self) -> str:
        return ""

    @property
    def trained_on(self) -> str | None:
        return "toys"

    def check_shape(self, shape: ImageShape) -> None:
        del shape

    def extract(self, images: Tensor) -> Tensor:
        raise NotImplementedError

    def embed(self, images: Tensor) -> Tensor:
        self.calls += 1
        flat_BN = images.flatten(1)
        return torch.stack([flat_BN.mean(dim=1), flat_BN[:, 0] ** 2], dim=1)


@final
class Maps(Vector):
    """The image with a third channel, and every second place of it."""

    def maps(self, images: Tensor) -> tuple[Tensor, ...]:
        self.calls += 1
        fine_BCHW = torch.cat([images, images[:, :1] * images[:, 1:]], dim=1)
        return fine_BCHW, 2 * fine_BCHW[:, :2, ::2, ::2]


@final
class Given(NestedComponent):
    """A nested component that is there already."""

    def __init__(self, made: Features) -> None:
        self.made = made
        self.options = None

    def info(self, of: type[Any]) -> None:
        del of

    def instantiate(self, **more: Any) -> Any:
        assert not more
        return self.made


def metric_in(features: Features) -> InFeatures:
    return InFeatures(FeaturesOptions(features=Given(features), c=C))


def by_loops_in_maps(a_CHW: Tensor, b_CHW: Tensor) -> float:
    """D of one pair of images, number by number."""
    layers = []
    maps = Maps()
    for map_a, map_b in zip(maps.maps(a_CHW[None]), maps.maps(b_CHW[None]), strict=True):
        places = []
        for row in range(map_a.shape[2]):
            for column in range(map_a.shape[3]):
                at_a, at_b = (
                    [float(number) for number in one[0, :, row, column]] for one in (map_a, map_b)
                )
                length_a, length_b = (math.hypot(*numbers) for numbers in (at_a, at_b))
                places.append(
                    sum((x / length_a - y / length_b) ** 2 for x, y in zip(at_a, at_b, strict=True))
                )
        layers.append(sum(places) / len(places))
    return math.sqrt(sum(layers) / len(layers) + C**2) - C


def test_maps_are_compared_place_by_place() -> None:
    """Each place by its direction alone; the mean over places, then over layers."""
    found_B = metric_in(Maps()).distance(estimate=FIRST, target=SECOND)
    for found, a_CHW, b_CHW in zip(found_B.tolist(), FIRST, SECOND, strict=True):
        assert found == pytest.approx(by_loops_in_maps(a_CHW, b_CHW), rel=1e-5)


def test_a_vector_is_compared_as_it_is() -> None:
    """Where there are no maps: the mean over its numbers, without dividing by its length."""
    found_B = metric_in(Vector()).distance(estimate=FIRST, target=SECOND)
    for found, a_CHW, b_CHW in zip(found_B.tolist(), FIRST, SECOND, strict=True):
        mean = float(a_CHW.mean() - b_CHW.mean()) ** 2
        first = float(a_CHW[0, 0, 0] ** 2 - b_CHW[0, 0, 0] ** 2) ** 2
        assert found == pytest.approx(math.sqrt((mean + first) / 2 + C**2) - C, rel=1e-5)


def test_small_distances_keep_their_digits() -> None:
    """L far below c², where √(L + c²) − c has no digits in float32: d = L / 2c."""
    near_BCHW = FIRST.double()
    far_BCHW = near_BCHW * (1 + 1e-6 * SECOND.double())
    found_B = metric_in(Vector()).distance(estimate=far_BCHW.float(), target=near_BCHW.float())
    assert (found_B > 0).all()
    far_BD, near_BD = (Vector().embed(one.float()) for one in (far_BCHW, near_BCHW))
    square_B = (far_BD - near_BD).square().mean(dim=1)
    torch.testing.assert_close(found_B, square_B / (2 * C), rtol=1e-4, atol=0)


def test_the_estimate_passes_once_and_targets_have_no_gradient() -> None:
    """Several targets take one pass more each, and nothing of them is kept for the gradient."""
    features = Maps()
    estimate = FIRST.clone().requires_grad_()
    target = SECOND.clone().requires_grad_()
    found = metric_in(features).distances(estimate=estimate, targets=(target, FIRST))
    assert features.calls == 3
    assert found[1].abs().max() == 0
    found[0].sum().backward()  # type: ignore[no-untyped-call]
    assert estimate.grad is not None
    assert estimate.grad.abs().sum() > 0
    assert target.grad is None


def test_images_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="the estimate has shape"):
        metric_in(Maps()).distance(estimate=FIRST, target=SECOND[:1])


def test_it_says_what_its_features_were_trained_on() -> None:
    assert metric_in(Vector()).trained_on == "toys"


def read_with(tmp_path: Path, features: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        'extends = "cifar10"\nformat = 2\nname = "own"\n[metric]\nuse = "features"\n'
        f'features = {{ use = "{features}" }}\n',
        encoding="utf-8",
    )
    read_recipe(path, catalogue=load_catalogue())


def test_features_must_have_a_gradient_and_take_the_images(tmp_path: Path) -> None:
    """`dddm check` says so, where the features stand."""
    read_with(tmp_path, "resnet20")
    with pytest.raises(RecipeError) as caught:
        read_with(tmp_path, "inception")
    message = str(caught.value)
    assert "the metric features needs features with gradient, which inception lack" in message
    assert "own.toml:6" in message
    with pytest.raises(RecipeError, match="digits-classifier accepts images of 1×8×8"):
        read_with(tmp_path, "digits-classifier")
    with pytest.raises(RecipeError, match="has no time to learn features, as learned must"):
        read_with(tmp_path, "learned")
