"""CLIP's and DINOv2's features, on small networks in their files' layouts: what holds for any."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import gelu, interpolate, layer_norm
from vision_weights import dinov2_weights, write_clip

from dddm.errors import DataError
from dddm.interfaces.features import Features
from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import WeightFile
from dddm.support.files import sha256_of
from dddm.support.torchvision_operators import import_torchvision
from dddm_features.dinov2_network import read_dinov2
from dddm_features.options import (
    CLIP_WEIGHTS,
    DINOV2_LARGE_WEIGHTS,
    DINOV2_WEIGHTS,
    WeightsOptions,
)
from dddm_features.vision import clip_vit_b_32, dinov2_vit_b_14, dinov2_vit_l_14, read_clip

Make = Callable[[WeightsOptions], Features]
BOTH: list[tuple[Make, WeightFile]] = [
    (clip_vit_b_32, CLIP_WEIGHTS),
    (dinov2_vit_b_14, DINOV2_WEIGHTS),
    (dinov2_vit_l_14, DINOV2_LARGE_WEIGHTS),
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.pt")


@pytest.fixture(scope="module")
def dinov2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dinov2") / "dinov2.pth"
    torch.save(dinov2_weights(), path)
    return path


def own(path: Path) -> WeightsOptions:
    return WeightsOptions(weights=str(path), weights_sha256=sha256_of(path))


@pytest.fixture(scope="module")
def features(clip: Path, dinov2: Path) -> list[Features]:
    return [clip_vit_b_32(own(clip)), dinov2_vit_b_14(own(dinov2))]


def random_images(channels: int = 3, side: int = 32, count: int = 3) -> Tensor:
    shape = (count, channels, side, side)
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("side", [32, 300])
def test_clip_is_torch_fidelity_s(clip: Path, features: list[Features], side: int) -> None:
    """The same archive, opened by torch-fidelity, gives the same for small and for large images."""
    import_torchvision()
    from torch_fidelity.feature_extractor_clip import FeatureExtractorCLIP

    images = random_images(side=side)
    extractor = FeatureExtractorCLIP(
        "clip-vit-b-32", ["clip"], feature_extractor_weights_path=str(clip)
    )
    (expected,) = extractor(images)
    found = features[0].extract(images)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert found.shape == (3, 24)
    assert (found.std(dim=0) / found.abs().mean(dim=0)).median() > 1e-2


def meta_s_dinov2(weights: dict[str, Tensor], image_BCHW: Tensor) -> Tensor:
    w = {name: tensor.double() for name, tensor in weights.items()}
    width = w["cls_token"].shape[-1]
    side = round((w["pos_embed"].shape[1] - 1) ** 0.5)

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x: Tensor, name: str) -> Tensor:
        return layer_norm(x, (width,), w[f"{name}.weight"], w[f"{name}.bias"], eps=1e-6)

    patches = image_BCHW.double().unfold(2, 14, 14).unfold(3, 14, 14)  # B, 3, 16, 16, 14, 14
    x = torch.einsum("bchwij,dcij->bhwd", patches, w["patch_embed.proj.weight"])
    x = x.flatten(1, 2) + w["patch_embed.proj.bias"]
    x = torch.cat([w["cls_token"].expand(len(x), 1, width), x], dim=1)
    grid = w["pos_embed"][:, 1:].float().reshape(1, side, side, width).permute(0, 3, 1, 2)
    scale = (16 + 0.1) / side
    grid = interpolate(grid, scale_factor=(scale, scale), mode="bicubic").double()
    place = grid.permute(0, 2, 3, 1).reshape(1, 256, width)
    x = x + torch.cat([w["pos_embed"][:, :1], place], dim=1)
    heads = width // 64
    for k in range(sum(name.endswith("ls1.gamma") for name in w)):
        block = f"blocks.{k}"
        qkv = linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv")
        q, key, v = qkv.reshape(len(x), 257, 3, heads, 64).permute(2, 0, 3, 1, 4)
        mixed = ((q @ key.transpose(-1, -2)) * 64**-0.5).softmax(dim=-1) @ v
        out = linear(mixed.transpose(1, 2).flatten(2), f"{block}.attn.proj")
        x = x + out * w[f"{block}.ls1.gamma"]
        inner = gelu(linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1"))
        x = x + linear(inner, f"{block}.mlp.fc2") * w[f"{block}.ls2.gamma"]
    return norm(x, "norm")[:, 0]


def test_dinov2_is_meta_s(dinov2: Path) -> None:
    """A transformer of torchvision with folded weights computes what Meta's code does."""
    image = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    expected = meta_s_dinov2(dinov2_weights(), image)
    with torch.no_grad():
        found = read_dinov2(dinov2)(image)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)
    assert found.shape == (2, 128)
    assert expected.std(dim=0).median() > 1e-2


def test_dinov2_sees_what_torch_fidelity_shows_it(dinov2: Path, features: list[Features]) -> None:
    """Resized and normalised as its extractor does, whose network is exchanged for ours."""
    import_torchvision()
    from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2

    extractor: Any = FeatureExtractorDinoV2.__new__(FeatureExtractorDinoV2)
    torch.nn.Module.__init__(extractor)
    extractor.features_list = ["dinov2"]
    extractor.feature_extractor_internal_dtype = torch.float32
    extractor.model = read_dinov2(dinov2)
    images = random_images()
    (expected,) = extractor(images)
    torch.testing.assert_close(features[1].extract(images), expected, rtol=1e-5, atol=1e-5)


def test_an_image_has_its_features_alone_and_among_others(
    features: list[Features], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In batches, under autocast, in grey: the same vectors, float32, without gradient."""
    images = random_images()
    for one in features:
        plain = one.extract(images)
        assert plain.dtype == torch.float32
        assert not plain.requires_grad
        monkeypatch.setattr("dddm_features.vision._BATCH_IMAGES", 2)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            parts = one.extract(images)
        torch.testing.assert_close(parts, plain, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(one.extract(images[1:2]), plain[1:2], rtol=1e-5, atol=1e-5)
        grey = random_images(channels=1, count=1)
        assert torch.equal(one.extract(grey), one.extract(grey.repeat(1, 3, 1, 1)))


def test_what_they_say_of_themselves(features: list[Features], clip: Path) -> None:
    """Neither learned from ImageNet's classes; the fingerprint is not the file's alone."""
    assert "ImageNet" not in {one.trained_on for one in features}
    assert len({one.fingerprint for one in features} | {sha256_of(clip)}) == 3
    for one in features:
        one.check_shape(ImageShape(channels=1, height=8, width=300))
        assert not one.has_logits
        with pytest.raises(DataError, match="not 2×8×8"):
            one.check_shape(ImageShape(channels=2, height=8, width=8))


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("open('/tmp/dddm-was-here', 'w')",))


def archive_of(pickled: bytes, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("clip/data.pkl", pickled)
    return path


def test_an_archive_that_asks_for_code_is_refused(tmp_path: Path, clip: Path) -> None:
    """Nothing but tables and tensors is made of it, and none of its programs is needed."""
    evil = archive_of(pickle.dumps({"a": Evil()}, protocol=2), tmp_path / "evil.pt")
    with pytest.raises(DataError, match=r"exec, which weights do not need"):
        read_clip(evil)
    assert not Path("/tmp/dddm-was-here").exists()  # noqa: S108 - where the code would write
    without = tmp_path / "without.pt"
    with zipfile.ZipFile(clip) as whole, zipfile.ZipFile(without, "w") as archive:
        for name in whole.namelist():
            if "/code/" not in name:
                archive.writestr(name, whole.read(name))
    for one, other in zip(read_clip(without).parameters(), read_clip(clip).parameters(),
                          strict=True):  # fmt: skip
        assert torch.equal(one, other)


def test_what_is_no_such_file_is_refused(tmp_path: Path, clip: Path, dinov2: Path) -> None:
    """Text, cut files, each other's, other tables: errors that name the right file."""
    path = tmp_path / "other"

    def refused(read: Callable[[Path], Any], what: str) -> None:
        with pytest.raises(DataError, match=what) as caught:
            read(path)
        assert caught.value.where == str(path)
        assert "dddm weights list" in str(caught.value.remedy)

    for contents in (b"", b"hello", clip.read_bytes()[:-500]):
        path.write_bytes(contents)
        refused(read_clip, "cannot be read")
    path.write_bytes(clip.read_bytes())
    refused(read_dinov2, "cannot be read")
    path.write_bytes(dinov2.read_bytes())
    refused(read_clip, "cannot be read|not those of a CLIP")
    archive_of(pickle.dumps({}, protocol=2), path)
    refused(read_clip, "not those of a CLIP")
    whole = dinov2_weights()
    for name in ("norm.weight", "blocks.1.ls2.gamma", "patch_embed.proj.weight"):
        for wrong in (
            {key: value for key, value in whole.items() if key != name},
            {**whole, name: whole[name][:3].clone()},
            {**whole, f"{name}.more": whole[name].clone()},
        ):
            held = io.BytesIO()
            torch.save(wrong, held)
            path.write_bytes(held.getvalue())
            refused(read_dinov2, "do not fit DINOv2")
