"""The documented command trains, repeatably, on the data set's own split."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from dddm.interfaces.plugin import NoOptions
from dddm_datasets.digits import Digits
from dddm_features import train_digits_classifier as script
from dddm_features.digits_classifier import DigitsNetwork, read_weights


def test_it_takes_the_data_sets_split() -> None:
    """Its images and labels are those of the data set `digits`, which it must not import."""
    train, held_out = script.load_digits_splits()
    splits = Digits(NoOptions()).splits()
    assert train.manifest == splits["train"].manifest
    assert held_out.manifest == splits["held-out"].manifest


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_shifting_moves_by_at_most_one_pixel(seed: int) -> None:
    """A bright pixel in the middle lands within one pixel, and only background comes in."""
    image = torch.full((4, 1, 8, 8), -1.0)
    image[:, :, 4, 4] = 1.0
    moved = script.shifted(image, generator=torch.Generator().manual_seed(seed))
    assert moved.shape == image.shape
    assert (moved.sum(dim=(1, 2, 3)) == -62).all()
    assert (moved[:, 0, 3:6, 3:6].amax(dim=(1, 2)) == 1).all()


def test_training_learns_and_repeats() -> None:
    """Two short trainings give equal weights, and far more than chance."""
    train, held_out = script.load_digits_splits()
    first, second = (script.train_network(train, seed=3, epochs=2) for _ in range(2))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
    assert script.accuracy(first, held_out) > 0.6


def test_the_command_writes_a_file_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the command writes, the features read, metadata included."""
    quick = script.train_network

    def one_epoch(digits: script.Digits, *, seed: int) -> DigitsNetwork:
        return quick(digits, seed=seed, epochs=1)

    monkeypatch.setattr(script, "train_network", one_epoch)
    out = tmp_path / "weights.safetensors"
    result = CliRunner().invoke(script.main, ["--out", str(out), "--seed", "5"])
    assert result.exit_code == 0, result.output
    _, facts = read_weights(out)
    assert facts["seed"] == 5
    assert facts["trained_on"] == "digits"
