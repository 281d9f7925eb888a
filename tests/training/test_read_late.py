"""Steps whose numbers the host reads when the device has been given the next one."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from stored import stored_rows
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from training_runs import losses_of, newest, run_tiny

from dddm.errors import TrainingFailed
from dddm.training import loop, update
from dddm.training.memory import Memory
from dddm.training.training import Training
from dddm_metrics.pixels import PseudoHuber

UNMEASURED = ("train.epochs=2", "sample=[]")


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU."""
    monkeypatch.setattr(Training, "reads_late", property(lambda _: True))


def test_reading_late_changes_no_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, averages, estimates and the log, also with accumulation."""
    more = (*UNMEASURED, "train.accumulation_steps=2")
    at_once = run_tiny(tmp_path / "at once", *more)
    monkeypatch.setattr(Training, "reads_late", property(lambda _: True))
    late = run_tiny(tmp_path / "late", *more)
    for group in ("model", "ema", "optimizer"):
        one, other = newest(at_once, group), newest(late, group)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(stored_rows(at_once.path), stored_rows(late.path))
    assert losses_of(late) == losses_of(at_once)


class _Reads(TorchDispatchMode):  # type: ignore[no-untyped-call]  # not typed by torch
    """Counts numbers that go from the device to the host."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def reads_in_steps(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of the passes and the update of each step."""
    found: list[int] = []
    reads = _Reads()

    def counted(function: Any, *args: Any, **more: Any) -> Any:
        before = reads.count
        with reads:
            result = function(*args, **more)
        found.append(reads.count - before)
        return result

    # The store's own numbers are on the CPU on every device.
    monkeypatch.setattr(Memory, "read", _fields)
    monkeypatch.setattr(Memory, "prefetch", lambda *_: None)
    monkeypatch.setattr(loop, "_forward_and_backward", partial(counted, loop._forward_and_backward))
    for function in (update.update_weights, update.update_weights_unread):
        monkeypatch.setattr(loop, function.__name__, partial(counted, function))
    run_tiny(folder, *UNMEASURED)
    return found


def _fields(memory: Memory, rows: Tensor) -> dict[str, Tensor]:
    return {"estimate": torch.zeros(len(rows), 1, 8, 8)}


def test_a_step_reads_nothing(tmp_path: Path, late: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that the host learns of a step is one small tensor, which it reads later."""
    assert set(reads_in_steps(tmp_path, monkeypatch)) == {0}


def test_otherwise_it_reads_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether all is finite, and the norm; else the test above would count nothing."""
    assert set(reads_in_steps(tmp_path, monkeypatch)) == {1}


def test_what_is_not_finite_does_not_reach_the_store(
    tmp_path: Path, late: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run stops at that step, names it and its images, and has not written its rows."""
    written: list[bool] = []
    distance, write = PseudoHuber.distance, Memory.write
    calls = 0

    def third_is_nan(self: PseudoHuber, *, estimate: Tensor, target: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        found = distance(self, estimate=estimate, target=target)
        return found * float("nan") if calls == 3 else found

    def note(self: Memory, rows: Tensor, *, values: Mapping[str, Tensor], **more: Any) -> None:
        written.append(all(bool(value.isfinite().all()) for value in values.values()))
        write(self, rows, values=values, **more)

    monkeypatch.setattr(PseudoHuber, "distance", third_is_nan)
    monkeypatch.setattr(Memory, "write", note)
    with pytest.raises(TrainingFailed, match="not finite in") as failed:
        run_tiny(tmp_path, *UNMEASURED)
    assert failed.value.where is not None
    assert failed.value.where.startswith("step 3, images ")
    assert written == [True, True]
