"""FID's Inception, with random weights: what is proved here holds for any."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dddm.errors import DataError
from dddm.support.files import sha256_of
from dddm.support.torchvision_operators import import_torchvision
from dddm.testing.conformance import run_trials, trials_of
from dddm_features.inception import Inception, inception_with, read_inception
from dddm_features.options import (
    INCEPTION_WEIGHTS,
    WeightsOptions,
)


def theirs() -> Any:
    import_torchvision()
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    return FeatureExtractorInceptionV3


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """Weights of the right names and shapes, drawn so that activations stay of a size."""
    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        # Its constructor loads, or downloads; this time it keeps what it began with.
        patch.setattr(theirs(), "load_state_dict", lambda self, given: None)
        network = theirs()("any", ["2048"], feature_extractor_weights_path=nothing)
    generator = torch.Generator().manual_seed(0)
    return {name: drawn(name, value, generator) for name, value in network.state_dict().items()}


def drawn(name: str, like: Tensor, generator: torch.Generator) -> Tensor:
    """Random numbers of that shape, with which the last layer still depends on the image."""
    if not like.is_floating_point():
        return like
    if name.endswith(("running_var", "bn.weight")):
        return torch.rand(like.shape, generator=generator) + 0.5
    spread = 0.1 if like.dim() == 1 else (2 / like[0].numel()) ** 0.5
    return torch.randn(like.shape, generator=generator) * spread


@pytest.fixture(scope="module")
def options(
    state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WeightsOptions]:
    """Options that name a file of these weights, 95 MB, which is removed at the end."""
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(state, path)
    yield WeightsOptions(weights=str(path), weights_sha256=sha256_of(path))
    path.unlink()


@pytest.fixture(scope="module")
def features(options: WeightsOptions) -> Inception:
    return Inception(options)


def random_images(channels: int, height: int, width: int, count: int = 3) -> Tensor:
    shape = (count, channels, height, width)
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return random_images(3, 32, 32)


@pytest.fixture(scope="module")
def plain(features: Inception, images: Tensor) -> Tensor:
    return features.extract(images)


def test_it_is_torch_fidelity_s_extractor(
    options: WeightsOptions, images: Tensor, plain: Tensor
) -> None:
    """The same file read by torch-fidelity gives the same: 2,048 numbers, not all alike."""
    extractor = theirs()(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=options.weights
    )
    (expected,) = extractor(images)
    torch.testing.assert_close(plain, expected, rtol=1e-6, atol=1e-6)
    assert plain.shape == (3, 2048)
    assert plain.dtype == torch.float32
    assert not plain.requires_grad
    assert (plain.std(dim=0) / plain.mean(dim=0)).nanmedian() > 1e-3


def test_logits_are_those_of_inception_scores(
    options: WeightsOptions, features: Inception, images: Tensor
) -> None:
    """torch-fidelity's layer `logits_unbiased`, 1,008 of them, from the same pass."""
    extractor = theirs()(
        "inception-v3-compat", ["logits_unbiased"], feature_extractor_weights_path=options.weights
    )
    (expected,) = extractor(images)
    assert features.has_logits
    logits = features.extract_with_logits(images).logits
    assert logits is not None
    assert logits.shape == (3, 1008)
    torch.testing.assert_close(logits, expected, rtol=1e-6, atol=1e-6)


def test_many_are_taken_in_parts(
    features: Inception, images: Tensor, plain: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More images than a batch takes come back whole and in order; autocast changes nothing."""
    monkeypatch.setattr("dddm_features.inception._BATCH_IMAGES", 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        parts = features.extract(images)
    torch.testing.assert_close(parts, plain, rtol=1e-5, atol=1e-5)


def test_grey_is_shown_in_three_equal_colours(features: Inception) -> None:
    """Grey images, not square, have the features of the same images in colour."""
    grey = random_images(1, 8, 12, count=1)
    assert torch.equal(features.extract(grey), features.extract(grey.repeat(1, 3, 1, 1)))


def test_what_it_says_of_itself(features: Inception, options: WeightsOptions) -> None:
    """It owns to having been trained on ImageNet, and its fingerprint is not the file's alone."""
    assert features.dimensions == 2048
    assert features.trained_on == "ImageNet"
    assert len(features.fingerprint) == 64
    assert features.fingerprint != options.weights_sha256


@pytest.mark.parametrize("name", ["Conv2d_1a_3x3.conv.weight", "Mixed_7c.branch1x1.bn.bias"])
def test_wrong_names_and_shapes_are_named(state: dict[str, Tensor], name: str) -> None:
    """A key that is missing, of another shape or unknown is said by name."""
    path = Path("some") / "other.pth"
    for wrong in (
        {key: value for key, value in state.items() if key != name},
        {**state, name: state[name][:3].clone()},
        {**state, f"{name}.more": state[name].clone()},
    ):
        with pytest.raises(DataError, match=name.replace(".", r"\.")) as caught:
            inception_with(wrong, path=path)
        assert caught.value.where == str(path)
        assert INCEPTION_WEIGHTS.name in str(caught.value.remedy)


def test_what_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    """Nothing, text, safetensors, a cut file, numbers and code: all errors, and none is run."""
    path = tmp_path / "other.pth"
    good = {"a": torch.zeros(100)}

    def refused(what: str) -> None:
        with pytest.raises(DataError, match=what) as caught:
            read_inception(path)
        assert caught.value.where == str(path)

    for contents in (b"", b"hello world"):
        path.write_bytes(contents)
        refused("cannot be read")
    save_file(good, path)
    refused("cannot be read")
    torch.save(good, path)
    path.write_bytes(path.read_bytes()[:-100])
    refused("cannot be read")
    torch.save({"a": Path}, path)
    refused("cannot be read")
    for held in ([1, 2], {"a": 3}, {1: torch.zeros(2)}):
        torch.save(held, path)
        refused("not a table of named tensors")


def test_it_keeps_its_promises(options: WeightsOptions) -> None:
    """Those of every component and of features, with these weights."""
    table = {"weights": options.weights, "weights_sha256": options.weights_sha256}
    results = run_trials(trials_of("dddm:inception", examples=[table]))
    assert [result for result in results if result.outcome == "failed"] == []
    assert sum(result.outcome == "passed" for result in results) >= 26
