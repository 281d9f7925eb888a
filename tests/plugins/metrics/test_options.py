"""What the perceptual metrics refuse before anything is trained, without torch."""

from typing import Any

import attrs
import pytest

from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.interfaces.plugin import RecipeContext
from dddm_metrics.options import (
    SMALLEST_PIXELS,
    TRUNKS,
    LpipsOptions,
    PseudoLpipsOptions,
    check_perceptual,
    needs,
)

TRUNK_FILE: dict[str, Any] = {"trunk_file": "own.pth", "trunk_sha256": "aB" * 32}


def issues(
    options: LpipsOptions | PseudoLpipsOptions,
    *,
    pixels: int = 32,
    channels: int = 3,
    **train: Any,
) -> dict[str, str]:
    """What and remedy in one text, by option."""
    shape = ImageShape(channels=channels, height=pixels, width=pixels + 8)
    data = DatasetInfo(shape=shape, train_images=10, classes=())
    context = RecipeContext(data=data, tables={"train": train})
    return {c.option: f"{c.what}; {c.remedy}" for c in check_perceptual(options, context)}


def test_defaults_fit() -> None:
    """The paper's setting, for images of any size, grey or in colour."""
    assert issues(LpipsOptions()) == {}
    assert issues(PseudoLpipsOptions(), pixels=1, channels=1) == {}
    assert issues(PseudoLpipsOptions(**TRUNK_FILE), precision="bfloat16") == {}


@pytest.mark.parametrize("net", SMALLEST_PIXELS)
def test_images_too_small_for_the_trunk(net: Any) -> None:
    """Without resizing, the smaller side counts; the message has the smallest size."""
    smallest = SMALLEST_PIXELS[net]
    assert issues(LpipsOptions(net=net, size=0), pixels=smallest) == {}
    text = issues(LpipsOptions(net=net, size=0), pixels=smallest - 1)["size"]
    assert f"{smallest - 1}×{smallest + 7} pixels" in text
    assert f"size = {smallest}" in text
    text = issues(LpipsOptions(net=net, size=smallest - 1))["size"]
    assert f"use at least {smallest}" in text


def test_images_that_no_trunk_can_see() -> None:
    """Two channels are neither grey nor colour."""
    assert "these have 2" in issues(LpipsOptions(), channels=2)["net"]


def test_training_in_float16_is_refused() -> None:
    """With the precision that does go."""
    text = issues(LpipsOptions(), precision="float16")["precision"]
    assert 'write train.precision = "bfloat16"' in text


@pytest.mark.parametrize("tables", [{}, {"train": None}, {"train": []}, {"train": {}}], ids=str)
def test_other_tables_may_be_wrong(tables: dict[str, Any]) -> None:
    """What is wrong elsewhere is said elsewhere; and unknown images are no fault."""
    assert list(check_perceptual(LpipsOptions(), RecipeContext(data=None, tables=tables))) == []


def test_a_trunk_and_its_hash_go_together() -> None:
    """Each asks for the other, and a hash must be one."""
    assert "trunk_sha256 too" in issues(LpipsOptions(trunk_file="own.pth"))["trunk_sha256"]
    assert "trunk_file too" in issues(LpipsOptions(trunk_sha256="ab" * 32))["trunk_file"]
    wrong = LpipsOptions(trunk_file="own.pth", trunk_sha256="abc")
    assert "64 hexadecimal digits" in issues(wrong)["trunk_sha256"]


@pytest.mark.parametrize("net", TRUNKS)
def test_it_needs_its_trunk_alone(net: Any) -> None:
    """That of its network; none where the trunk is the user's own."""
    assert needs(LpipsOptions(net=net)) == (TRUNKS[net],)
    assert needs(PseudoLpipsOptions(net=net, **TRUNK_FILE)) == ()


def test_both_metrics_have_the_same_options_of_lpips() -> None:
    """Names, defaults and help of `lpips` are those of `pseudo-lpips`, which has two more."""
    of_lpips, of_pseudo = (
        {f.name: (f.default, f.metadata) for f in attrs.fields(options)}
        for options in (LpipsOptions, PseudoLpipsOptions)
    )
    assert {name: of_pseudo[name] for name in of_lpips} == of_lpips
    assert of_pseudo.keys() - of_lpips == {"c", "form"}
