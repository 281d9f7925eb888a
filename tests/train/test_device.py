"""Which device a run uses, and what it needs there."""

import shutil
from pathlib import Path

import pytest
import torch

from dddm.errors import EnvironmentProblem, UsageError
from dddm.train.device import choose_device, refuse_without_compiler


def test_a_name_is_a_device() -> None:
    """What torch knows is taken; what it does not know is refused by name."""
    assert choose_device("cpu") == torch.device("cpu")
    with pytest.raises(UsageError, match="coprocessor"):
        choose_device("coprocessor")


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
