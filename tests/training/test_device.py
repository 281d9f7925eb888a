"""Which device a run uses, and what it needs there."""

import shutil
from pathlib import Path

import pytest
import torch

from dddm.errors import EnvironmentProblem, UsageError
from dddm.training.device import choose_device, refuse_without_compiler


def test_a_name_is_a_device() -> None:
    """What torch knows is taken; what it does not know is refused by name."""
    assert choose_device("cpu") == torch.device("cpu")
    with pytest.raises(UsageError, match="coprocessor"):
        choose_device("coprocessor")


@pytest.mark.parametrize(
    ("gpus", "elastic", "chosen"), [(8, "run", 3), (8, "", 3), (1, "", 0), (1, "run", 3)]
)
def test_a_process_takes_the_gpu_that_it_is_shown(
    monkeypatch: pytest.MonkeyPatch, gpus: int, elastic: str, chosen: int
) -> None:
    """Of several that of its rank; of one that one, but not where all processes share it."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    if elastic:
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", elastic)
    asked: list[torch.device] = []
    monkeypatch.setattr(torch, "empty", lambda *_, device: asked.append(device))
    monkeypatch.setattr(torch.cuda, "set_device", asked.append)
    assert choose_device("cuda", local_rank=3) == torch.device("cuda", chosen)
    assert asked == [torch.device("cuda", chosen)] * 2


def test_compiling_needs_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one on the path the run is refused before anything is trained."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(EnvironmentProblem, match="needs a C\\+\\+ compiler") as refused:
        refuse_without_compiler(torch.device("cpu"))
    assert refused.value.remedy is not None
    assert "compile = false" in refused.value.remedy
    compiler = tmp_path / "g++"
    compiler.touch(mode=0o755)
    assert shutil.which("g++") == str(compiler)
    refuse_without_compiler(torch.device("cpu"))
