"""Which images features take, and which file of weights is used; all checked before training."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dddm.errors import DataError
from dddm.interfaces.features import Features
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.interfaces.plugin import RecipeContext, WeightFile
from dddm.support.files import sha256_of
from dddm_features.inception import Inception
from dddm_features.options import (
    CLIP_WEIGHTS,
    DINOV2_LARGE_WEIGHTS,
    DINOV2_WEIGHTS,
    INCEPTION_WEIGHTS,
    RESNET20_WEIGHTS,
    WeightsOptions,
    check_of,
    needs,
    require_shape,
    weights_path,
)
from dddm_features.resnet20 import ResNet20Features
from dddm_features.vision import clip_vit_b_32, dinov2_vit_b_14, dinov2_vit_l_14

FILES: list[tuple[Callable[[Any], Features], WeightFile]] = [
    (ResNet20Features, RESNET20_WEIGHTS),
    (Inception, INCEPTION_WEIGHTS),
    (clip_vit_b_32, CLIP_WEIGHTS),
    (dinov2_vit_b_14, DINOV2_WEIGHTS),
    (dinov2_vit_l_14, DINOV2_LARGE_WEIGHTS),
]
REAL = Path(os.environ.get("DDDM_DATA", "data")) / "cifar10-resnet20"


def shape(channels: int, side: int) -> ImageShape:
    return ImageShape(channels=channels, height=side, width=side)


@pytest.fixture
def weights_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which weights are searched for; it is empty."""
    monkeypatch.setenv("DDDM_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("DDDM_DATA", str(tmp_path / "data"))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "accepted", "refused"),
    [
        ("digits-classifier", [shape(1, 8)], [shape(3, 32), shape(1, 9)]),
        ("resnet20", [shape(3, 32)], [shape(1, 32), shape(3, 64)]),
        ("inception", [shape(1, 8), shape(3, 64)], [shape(2, 8)]),
        ("clip-vit-b-32", [shape(1, 8), shape(3, 64)], [shape(2, 8)]),
        ("dinov2-vit-b-14", [shape(1, 8), shape(3, 64)], [shape(2, 8)]),
        ("dinov2-vit-l-14", [shape(1, 8), shape(3, 64)], [shape(2, 8)]),
    ],
)
def test_shapes(name: str, accepted: list[ImageShape], refused: list[ImageShape]) -> None:
    def options_to_change(image: ImageShape | None) -> list[str]:
        data = None if image is None else DatasetInfo(shape=image, train_images=10)
        around = RecipeContext(data=data, tables={})
        return [complaint.option for complaint in check_of(name)(WeightsOptions(), around)]

    assert options_to_change(None) == []
    for image in accepted:
        require_shape(name, image)
        assert options_to_change(image) == []
    for image in refused:
        with pytest.raises(DataError, match=f"{name} accepts images of .* not {image}"):
            require_shape(name, image)
        assert options_to_change(image) == ["use"]


@pytest.mark.parametrize(
    ("weights", "sha256", "named"),
    [
        (None, None, []),
        ("a", "0" * 64, []),
        ("a", "AB" * 32, []),
        ("a", None, ["weights_sha256"]),
        (None, "0" * 64, ["weights"]),
        ("a", "0" * 63, ["weights_sha256"]),
        ("a", "g" * 64, ["weights_sha256"]),
    ],
)
def test_weights_are_given_with_their_hash(
    weights: str | None, sha256: str | None, named: list[str]
) -> None:
    options = WeightsOptions(weights=weights, weights_sha256=sha256)
    around = RecipeContext(data=None, tables={})
    assert [complaint.option for complaint in check_of("inception")(options, around)] == named


def test_only_the_right_file_is_used(tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"

    def found(sha256: str | None) -> Path:
        options = WeightsOptions(weights=str(path), weights_sha256=sha256)
        return weights_path(options, INCEPTION_WEIGHTS)

    with pytest.raises(DataError, match="does not exist"):
        found("0" * 64)
    path.write_bytes(b"weights")
    with pytest.raises(DataError, match="only with their hash") as caught:
        found(None)
    assert sha256_of(path) in str(caught.value.remedy)
    with pytest.raises(DataError, match="wrong hash") as caught:
        found("0" * 64)
    assert caught.value.where == str(path)
    assert found(sha256_of(path).upper()) == path


@pytest.mark.parametrize(("make", "file"), FILES)
def test_the_known_file(
    make: Callable[[Any], Features], file: WeightFile, weights_folder: Path
) -> None:
    """Missing, or with the wrong size or hash: an error with all that is needed to get it."""
    assert needs(file)(WeightsOptions()) == (file,)
    assert needs(file)(WeightsOptions(weights="w", weights_sha256="0")) == ()
    path = weights_folder / file.name
    with pytest.raises(DataError) as caught:
        make(WeightsOptions())
    for needed in (file.url, file.sha256, f"{file.size_bytes:,}", str(path)):
        assert needed in str(caught.value)
    assert (file.instructions or f"dddm weights fetch {file.name}") in str(caught.value)
    for size_bytes in (10, file.size_bytes):
        with path.open("wb") as target:
            target.truncate(size_bytes)
        with pytest.raises(DataError, match=r"wrong (size|hash)"):
            make(WeightsOptions())


def test_resnet20_may_be_kept_with_the_data(weights_folder: Path) -> None:
    path = weights_folder / "data" / "cifar10-resnet20" / RESNET20_WEIGHTS.name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"wrong")
    assert needs(RESNET20_WEIGHTS)(WeightsOptions()) == ()
    with pytest.raises(DataError, match="wrong size") as caught:
        weights_path(WeightsOptions(), RESNET20_WEIGHTS)
    assert caught.value.where == str(path)


@pytest.mark.skipif(
    not (REAL / RESNET20_WEIGHTS.name).is_file(), reason="DDDM_DATA has no ResNet-20"
)
def test_the_real_resnet20(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("DDDM_WEIGHTS", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert weights_path(WeightsOptions(), RESNET20_WEIGHTS) == REAL / RESNET20_WEIGHTS.name
    monkeypatch.setenv("DDDM_WEIGHTS", str(REAL))
    monkeypatch.delenv("DDDM_DATA")
    assert weights_path(WeightsOptions(), RESNET20_WEIGHTS) == REAL / RESNET20_WEIGHTS.name
