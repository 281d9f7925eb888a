"""What `[train]` may ask for beyond algorithm 1, in whole runs."""

import shutil
from pathlib import Path

import pytest
import torch
from stored import stored_rows
from torch import Tensor
from training_runs import losses_of, newest, run_tiny

from dddm.training.checkpoint import list_checkpoints, step_of
from dddm.training.event_log import read_events
from dddm.training.run_folder import RunFolder
from dddm_stores.store import RowStore


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The tiny recipe as it stands."""
    return run_tiny(tmp_path_factory.mktemp("plain"))


def test_accumulation_changes_nothing_but_rounding(tmp_path: Path, plain: RunFolder) -> None:
    """Five parts of 50 images lead to the losses, weights and estimates of one batch of 250."""
    parts = run_tiny(tmp_path, "train.accumulation_steps=5")
    assert losses_of(parts) == pytest.approx(losses_of(plain), rel=1e-3)
    torch.testing.assert_close(stored_rows(parts.path), stored_rows(plain.path), atol=2e-3, rtol=0)


@pytest.mark.parametrize("count", [1, 5])
def test_the_store_is_told_what_is_read_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """All but the first estimates of an epoch, also those of parts of a batch."""
    told: list[Tensor] = []
    unforeseen = 0
    read = RowStore.read

    def note(_: RowStore, index: Tensor) -> None:
        told.append(index)

    def compare(store: RowStore, index: Tensor) -> Tensor:
        nonlocal unforeseen
        unforeseen += not (told and torch.equal(told[-1], index))
        return read(store, index)

    monkeypatch.setattr(RowStore, "prefetch", note)
    monkeypatch.setattr(RowStore, "read", compare)
    run_tiny(tmp_path, f"train.accumulation_steps={count}", "train.epochs=2", "sample=[]")
    assert len(told) == 2 * (6 * count - 1)
    assert unforeseen == 2


def test_images_on_the_device_change_nothing(tmp_path: Path, plain: RunFolder) -> None:
    """Where the images lie does not change a bit."""
    assert losses_of(run_tiny(tmp_path, "train.data_on_device=true")) == losses_of(plain)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precision_stays_close(tmp_path: Path, plain: RunFolder, precision: str) -> None:
    """The first losses agree with float32's, weights and averages stay float32."""
    lower = run_tiny(tmp_path, f'train.precision="{precision}"', "train.epochs=1")
    assert losses_of(lower)[:3] == pytest.approx(losses_of(plain)[:3], rel=3e-2)
    assert losses_of(lower) != losses_of(plain)[:6]
    for group in ("model", "ema"):
        assert {tensor.dtype for tensor in newest(lower, group).values()} == {torch.float32}


def test_float16_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """The scale of the gradients is part of a checkpoint: two halves are one run, bit for bit."""
    options = ('train.precision="float16"', "train.epochs=2", "train.checkpoint_every_epochs=1")
    run = run_tiny(tmp_path, *options)
    whole = losses_of(run)
    shutil.rmtree(list_checkpoints(run.checkpoints)[0])
    shutil.rmtree(run.samples)
    assert losses_of(run_tiny(tmp_path, *options)) == whole


def test_several_averages(tmp_path: Path, plain: RunFolder) -> None:
    """Each decay has an average of its own; the one that `ema` names is as without the others."""
    several = run_tiny(tmp_path, "train.extra_ema_decays=[0.0, 0.5]")
    for name, tensor in newest(several, "ema").items():
        assert torch.equal(tensor, newest(plain, "ema")[name])
    model, last = newest(several, "model"), newest(several, "ema-0")
    assert all(torch.allclose(last[name], model[name], atol=1e-6) for name in model)
    half = newest(several, "ema-0.5")
    assert not all(torch.allclose(half[name], model[name], atol=1e-6) for name in model)


def test_warm_up(tmp_path: Path) -> None:
    """The learning rate rises by equal amounts over the steps that are asked for."""
    warm = run_tiny(tmp_path, "learning_rate.warmup_steps=4", "train.epochs=1")
    rates = [event["learning_rate"] for event in read_events(warm.events, event="step-done")]
    assert rates == pytest.approx([5e-4, 1e-3, 1.5e-3, 2e-3, 2e-3, 2e-3])


def test_chosen_checkpoints_are_kept(tmp_path: Path) -> None:
    """Beside the newest, those after every second epoch stay."""
    kept = run_tiny(
        tmp_path,
        "train.epochs=5",
        "train.checkpoint_every_epochs=1",
        "train.keep_checkpoints=1",
        "train.keep_every_epochs=2",
    )
    assert [step_of(path) for path in list_checkpoints(kept.checkpoints)] == [30, 24, 12]


def test_flips_train(tmp_path: Path, plain: RunFolder) -> None:
    """Flips change the run, and keep each estimate beside its own image."""
    flipped = run_tiny(tmp_path, "train.flips=true")
    assert losses_of(flipped) != losses_of(plain)
    assert losses_of(flipped)[-1] < losses_of(flipped)[0]
