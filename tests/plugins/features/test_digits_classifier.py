"""The carried classifier is what its file says, and its features are fit to be compared in."""

import shutil
from pathlib import Path

import pytest
import torch

from dddm.errors import DataError
from dddm.interfaces.dataset import Split
from dddm.interfaces.plugin import NoOptions
from dddm_datasets.digits import Digits
from dddm_features.digits_classifier import WEIGHTS, DigitsClassifier, read_weights
from dddm_features.train_digits_classifier import Digits as LabelledImages
from dddm_features.train_digits_classifier import accuracy


@pytest.fixture(scope="module")
def held_out() -> Split:
    return Digits(NoOptions()).splits()["held-out"]


def all_images(split: Split) -> torch.Tensor:
    return split.images(torch.arange(len(split)))


def test_the_carried_accuracy_is_true(held_out: Split) -> None:
    """On the held-out digits the network reaches the accuracy in its file, at least 98 %."""
    network, facts = read_weights()
    labels = held_out.labels(torch.arange(len(held_out)))
    assert labels is not None
    measured = accuracy(network, LabelledImages(images=all_images(held_out), labels=labels))
    assert measured == pytest.approx(facts["held_out_accuracy"], abs=1e-6)
    assert measured >= 0.98


def test_the_file_names_its_data(held_out: Split) -> None:
    """The manifests in the file are those of the data set, so neither has drifted."""
    _, facts = read_weights()
    assert facts["held_out_manifest"] == held_out.manifest
    assert facts["train_manifest"] == Digits(NoOptions()).splits()["train"].manifest
    assert {"command", "seed", "epochs", "torch"} <= set(facts)


def test_the_file_is_small() -> None:
    """The wheel carries less than 400 KB of weights."""
    assert WEIGHTS.stat().st_size < 400_000


def test_no_gradient_and_no_autocast(held_out: Split) -> None:
    """Autocast around it changes nothing, and no graph is built."""
    features = DigitsClassifier(NoOptions())
    plain = features.extract(all_images(held_out))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = features.extract(all_images(held_out))
    assert torch.equal(plain, inside)
    assert not inside.requires_grad


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    """A cut or missing file is an error that says what to do."""
    cut = tmp_path / "cut.safetensors"
    shutil.copy(WEIGHTS, cut)
    cut.write_bytes(cut.read_bytes()[:-100])
    for path in (cut, tmp_path / "missing.safetensors"):
        with pytest.raises(DataError, match="cannot be read") as caught:
            read_weights(path)
        assert caught.value.remedy is not None


def test_logits_come_from_the_same_pass(held_out: Split) -> None:
    """They are the classifier's own, and their largest is the digit nearly always."""
    features = DigitsClassifier(NoOptions())
    assert features.has_logits
    found = features.extract_with_logits(all_images(held_out))
    assert torch.equal(found.features, features.extract(all_images(held_out)))
    assert found.logits is not None
    assert found.logits.dtype == torch.float32
    labels = held_out.labels(torch.arange(len(held_out)))
    assert labels is not None
    assert float((found.logits.argmax(dim=1) == labels).double().mean()) >= 0.98
