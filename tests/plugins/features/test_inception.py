"""FID's Inception, with random weights: what is proved here holds for any."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dddm.errors import DataError
from dddm.interfaces.facts import DataFacts, ImageShape
from dddm.interfaces.plugin import Surroundings
from dddm.support.torchvision_operators import import_torchvision
from dddm_features.inception import Inception
from dddm_features.inception_options import (
    INCEPTION_WEIGHTS,
    InceptionOptions,
    check_inception,
    needs_inception,
)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """Weights of the right names and shapes: what torch-fidelity's network begins with."""
    import_torchvision()
    from torch_fidelity import feature_extractor_inceptionv3 as theirs

    wanted: dict[str, Tensor] = {}
    original = theirs.FeatureExtractorInceptionV3.load_state_dict

    def keep(self: Any, given: Any) -> None:
        del given
        torch.manual_seed(0)
        for name, value in self.state_dict().items():
            spread = 0.5 if value.dim() < 2 else (2 / value[0].numel()) ** 0.5
            positive = name.endswith("running_var")
            drawn = torch.rand(value.shape) + 0.5 if positive else torch.randn(value.shape) * spread
            wanted[name] = drawn.to(value.dtype)

    theirs.FeatureExtractorInceptionV3.load_state_dict = keep
    try:
        nothing = _saved({})
        theirs.FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=nothing
        )
    finally:
        theirs.FeatureExtractorInceptionV3.load_state_dict = original
    return wanted


def _saved(weights: dict[str, Tensor]) -> Any:
    import io

    file = io.BytesIO()
    torch.save(weights, file)
    file.seek(0)
    return file


@pytest.fixture(scope="module")
def options(
    state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InceptionOptions]:
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(state, path)
    yield InceptionOptions(weights=str(path), weights_sha256=_sha256(path))
    path.unlink()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _images(channels: int, size: int, count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, channels, size, size), generator=generator).to(torch.uint8)


def test_is_torch_fidelitys_extractor(options: InceptionOptions) -> None:
    """The same file read by torch-fidelity gives the same features; grey is shown in colour."""
    import_torchvision()
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    theirs = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=options.weights
    )
    ours = Inception(options)
    images = _images(3, 32)
    (expected,) = theirs(images)
    found = ours.extract(images)
    assert found.shape == (2, 2048)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    grey = _images(1, 8)
    torch.testing.assert_close(
        ours.extract(grey), ours.extract(grey.repeat(1, 3, 1, 1)), rtol=1e-6, atol=1e-6
    )
    assert ours.trained_on == "ImageNet"
    assert len(ours.fingerprint) == 64


def test_a_file_of_another_network_is_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    """The first name that does not fit is named."""
    path = tmp_path / "other.pth"
    torch.save({"fc.weight": state["fc.weight"]}, path)
    with pytest.raises(DataError, match="Conv2d_1a_3x3"):
        Inception(InceptionOptions(weights=str(path), weights_sha256=_sha256(path)))


def test_a_file_that_would_run_code_is_not_run(tmp_path: Path) -> None:
    """A pickle of something else than tensors is refused, though its hash was given."""
    path = tmp_path / "code.pth"
    torch.save({"a": Path}, path)
    with pytest.raises(DataError, match="cannot be read"):
        Inception(InceptionOptions(weights=str(path), weights_sha256=_sha256(path)))


def test_without_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the URL, the hash and the place where the file belongs."""
    monkeypatch.setenv("DDDM_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with pytest.raises(DataError) as refused:
        Inception(InceptionOptions())
    text = str(refused.value)
    assert INCEPTION_WEIGHTS.url in text
    assert INCEPTION_WEIGHTS.sha256 in text
    assert str(tmp_path / INCEPTION_WEIGHTS.name) in text


def test_what_is_checked_without_torch() -> None:
    """Two channels are refused, half of the two options is refused, an own file needs no other."""
    facts = DataFacts(shape=ImageShape(channels=2, height=8, width=8), train_images=2)
    around = Surroundings(data=facts, tables={})
    (complaint,) = check_inception(InceptionOptions(), around)
    assert complaint.option == "use"
    around = Surroundings(data=None, tables={})
    (complaint,) = check_inception(InceptionOptions(weights="w.pth"), around)
    assert complaint.option == "weights_sha256"
    assert needs_inception(InceptionOptions(weights="w", weights_sha256="0")) == ()
    assert needs_inception(InceptionOptions()) == (INCEPTION_WEIGHTS,)
