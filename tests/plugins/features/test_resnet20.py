"""ResNet-20's features: what the file must hold, what images they take, what they measure."""

import math
import os
import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dddm.errors import DataError
from dddm.support.files import sha256_of
from dddm.support.moments import statistics_of
from dddm_features.options import (
    RESNET20_WEIGHTS,
    WeightsOptions,
    weights_path,
)
from dddm_features.resnet20 import ResNet20Features, read_resnet20
from dddm_features.resnet20_network import Block, ResNet20, normalise
from dddm_scores.fidelity import frechet_distance


def random_state() -> dict[str, Tensor]:
    """Weights of the right names and shapes, drawn at random."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = ResNet20().state_dict()
    return {name: value for name, value in state.items() if "num_batches" not in name}


def written(folder: Path, state: Mapping[str, Tensor]) -> WeightsOptions:
    path = folder / "mine.safetensors"
    save_file(dict(state), path)
    return WeightsOptions(weights=str(path), weights_sha256=sha256_of(path))


@pytest.fixture
def images() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (8, 3, 32, 32), generator=generator, dtype=torch.uint8)


def test_features_are_what_the_linear_layer_sees(tmp_path: Path, images: Tensor) -> None:
    """64 numbers, float32, at least 0; autocast around it changes nothing."""
    features = ResNet20Features(written(tmp_path, random_state()))
    plain = features.extract(images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = features.extract(images)
    assert plain.shape == (8, features.dimensions) == (8, 64)
    assert plain.dtype == torch.float32
    assert not plain.requires_grad
    assert (plain >= 0).all()
    assert torch.equal(plain, inside)


def test_its_maps_end_in_its_features(tmp_path: Path, images: Tensor) -> None:
    """Of three sizes; the mean of the last over places is what `embed` gives."""
    features = ResNet20Features(written(tmp_path, random_state()))
    given = images.float() / 127.5 - 1
    maps = features.maps(given)
    assert [one.shape[1:] for one in maps] == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]
    torch.testing.assert_close(maps[-1].mean(dim=(2, 3)), features.embed(given))


def test_logits_are_the_network_s_own(tmp_path: Path, images: Tensor) -> None:
    options = written(tmp_path, random_state())
    features = ResNet20Features(options)
    assert features.has_logits
    found = features.extract_with_logits(images)
    assert torch.equal(found.features, features.extract(images))
    network = read_resnet20(Path(str(options.weights)))
    torch.testing.assert_close(found.logits, network(normalise(images.float() / 255)))


def test_folding_changes_rounding_alone() -> None:
    """Norms within convolutions, weights channels last: the same features and logits."""
    network = ResNet20()
    network.load_state_dict(random_state(), strict=False)
    generator = torch.Generator().manual_seed(3)
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith("running_mean"):
            buffer.normal_(generator=generator)
    network.eval()
    image = torch.randn(5, 3, 32, 32, generator=generator)
    folded = network.folded()
    torch.testing.assert_close(
        folded.features(image), network.features(image), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(folded(image), network(image), rtol=1e-4, atol=1e-5)
    assert not any("bn" in name for name, _ in folded.named_parameters())
    assert any("bn" in name for name, _ in network.named_parameters())


def test_a_batch_changes_nothing(tmp_path: Path, images: Tensor) -> None:
    """An image has the same features alone as among others, up to rounding: norms are frozen."""
    features = ResNet20Features(written(tmp_path, random_state()))
    alone = torch.cat([features.extract(image[None]) for image in images])
    torch.testing.assert_close(features.extract(images), alone, rtol=1e-5, atol=1e-6)


def test_a_stage_s_first_short_cut_pads_with_zeros() -> None:
    """Option A: with silent convolutions, every other pixel passes, between channels of zeros."""
    block = Block(16, 32, stride=2)
    assert isinstance(block.bn2, torch.nn.BatchNorm2d)
    torch.nn.init.zeros_(block.bn2.weight)
    x_BCHW = torch.rand(2, 16, 32, 32, generator=torch.Generator().manual_seed(2))
    out_BCHW = block.eval()(x_BCHW)
    assert out_BCHW.shape == (2, 32, 16, 16)
    assert torch.equal(out_BCHW[:, 8:24], x_BCHW[:, :, ::2, ::2])
    assert out_BCHW[:, :8].abs().sum() + out_BCHW[:, 24:].abs().sum() == 0


def test_it_is_the_published_size() -> None:
    assert sum(p.numel() for p in ResNet20().parameters()) == 269_722


@pytest.mark.parametrize("name", ["conv1.weight", "layer2.1.bn2.running_var", "linear.bias"])
def test_wrong_names_and_shapes_are_named(tmp_path: Path, name: str) -> None:
    """A key that is missing, of another shape, of another type or unknown is said by name."""
    state = random_state()
    for wrong in (
        {key: value for key, value in state.items() if key != name},
        {**state, name: state[name][:3].clone()},
        {**state, name: state[name].half()},
        {**state, f"{name}.more": state[name].clone()},
    ):
        path = Path(str(written(tmp_path, wrong).weights))
        with pytest.raises(DataError, match=name.replace(".", r"\.")) as caught:
            read_resnet20(path)
        assert str(path) == caught.value.where
        assert caught.value.remedy is not None


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    """A file that is no whole file of safetensors is an error that says how to make one."""
    path = Path(str(written(tmp_path, random_state()).weights))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="cannot be read") as caught:
        read_resnet20(path)
    assert "convert_resnet20" in str(caught.value.remedy)


def test_what_it_says_of_itself(tmp_path: Path) -> None:
    """It owns to having been trained on CIFAR-10; other weights have another fingerprint."""
    state = random_state()
    mine = ResNet20Features(written(tmp_path, state))
    other = ResNet20Features(written(tmp_path, {**state, "linear.bias": state["linear.bias"] + 1}))
    assert mine.trained_on == "cifar10"
    assert len(mine.fingerprint) == 64
    assert mine.fingerprint != other.fingerprint


def batch(name: str) -> tuple[Tensor, Tensor]:
    root = os.environ.get("DDDM_DATA")
    if root is None:
        pytest.skip("DDDM_DATA names no folder with CIFAR-10 and ResNet-20")
    held = pickle.loads(  # noqa: S301 - the canonical batches, which a person put there
        (Path(root) / "cifar-10-batches-py" / name).read_bytes(), encoding="latin1"
    )
    return torch.from_numpy(held["data"].reshape(-1, 3, 32, 32)), torch.tensor(held["labels"])


def test_the_real_network_tells_cifar_apart() -> None:
    """With the known weights the error on every tenth test image is near the published 8.27 %."""
    images, labels = (part[::10] for part in batch("test_batch"))
    path = weights_path(WeightsOptions(), RESNET20_WEIGHTS)
    features = ResNet20Features(WeightsOptions()).extract(images)
    guess = features @ load_file(path)["linear.weight"].T + load_file(path)["linear.bias"]
    error = float((guess.argmax(1) != labels).double().mean())
    # Two standard deviations of a share of 1,000.
    assert error == pytest.approx(0.0827, abs=2 * math.sqrt(0.0827 * 0.9173 / 1000))


def test_two_halves_are_near_each_other() -> None:
    """FD between halves of 1,500 real images is a small part of that between two classes."""
    images, labels = (part[:1500] for part in batch("data_batch_1"))
    features = ResNet20Features(WeightsOptions()).extract(images)
    halves = frechet_distance(statistics_of(features[::2]), statistics_of(features[1::2]))
    cats, ships = (statistics_of(features[labels == k]) for k in (3, 8))
    assert halves < frechet_distance(cats, ships) / 50
