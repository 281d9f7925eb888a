"""The paper's networks (§5.1) at their real size, on the meta device: nothing is allocated."""

from typing import Any

import pytest
import torch

from dddm.core.flops import count_flops
from dddm.interfaces.info import ImageShape
from dddm_backbones.adm import Adm
from dddm_backbones.options import AdmOptions

CIFAR_10: dict[str, Any] = {"channels": 128, "multipliers": (1, 2, 2, 2), "dropout": 0.3}
IMAGENET_64: dict[str, Any] = {"channels": 192, "multipliers": (1, 2, 3, 4), "classes": True}


def at(size: int, options: dict[str, Any]) -> tuple[float, float]:
    """Millions of parameters, and 10⁹ operations of a forward pass of one image."""
    shape = ImageShape(channels=3, height=size, width=size)
    whole: dict[str, Any] = {"blocks": 3, "attention": (16, 8)} | options
    with torch.device("meta"):
        adm = Adm(AdmOptions(**whole), shape=shape, classes=1000)
    parameters = sum(parameter.numel() for parameter in adm.parameters())
    return parameters / 1e6, count_flops(adm, shape=shape).forward / 1e9


def test_cifar_10_has_the_papers_parameters_and_operations() -> None:
    """ADM with plain attention has 52.6M and 17 GFLOP; with x̂ in its attention, 5 % of that."""
    parameters, operations = at(32, CIFAR_10)
    assert parameters == pytest.approx(52.6, rel=0.05)
    assert operations == pytest.approx(17, rel=0.05)


def test_imagenet_64_has_the_papers_parameters_and_operations() -> None:
    """The paper says 270M; ADM with classes and plain attention has 273M and 178 GFLOP."""
    parameters, operations = at(64, IMAGENET_64)
    assert parameters == pytest.approx(273, rel=0.03)
    assert operations == pytest.approx(178, rel=0.03)


@pytest.mark.parametrize(
    ("size", "options", "millions", "giga"),
    [(32, CIFAR_10, 131.3, 59.4), (64, IMAGENET_64 | {"classes": False}, 436.9, 398.8)],
    ids=["cifar-10", "imagenet-64"],
)
def test_the_transformer_form_without_positions_is_as_large_as_the_references_network(
    size: int, options: dict[str, Any], millions: float, giga: float
) -> None:
    """Parameters and operations of the public reference code, to the last digit known of them."""
    reference = options | {"estimate": "transformer", "positions": False}
    assert at(size, reference) == pytest.approx((millions, giga), abs=0.05)


@pytest.mark.parametrize(
    ("size", "options", "millions", "giga"),
    [(32, CIFAR_10, 93.06, 30.6), (64, IMAGENET_64, 476.1, 308.9)],
    ids=["cifar-10", "imagenet-64"],
)
def test_deep_variants_have_six_blocks(
    size: int, options: dict[str, Any], millions: float, giga: float
) -> None:
    """Twice the blocks at each resolution; the paper gives no count, so these are only ours."""
    assert at(size, options | {"blocks": 6}) == pytest.approx((millions, giga), rel=0.001)
