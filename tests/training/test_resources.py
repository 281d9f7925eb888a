"""A store that will not fit is refused before training, with what is needed and what there is."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from attrs import evolve

from dddm.errors import EnvironmentProblem
from dddm.interfaces.target_store import MemoryUsage
from dddm.training import resources
from dddm.training.processes import ALONE
from dddm.training.resources import check_store_fits, free_memory

CPU = torch.device("cpu")


def refuse(memory_usage: MemoryUsage, folder: Path, *, here: int = 1) -> None:
    """Ask for so much on this machine, in so many processes."""
    context: Any = SimpleNamespace(
        device=CPU,
        processes=evolve(ALONE, here=here, count=here),
    )
    check_store_fits(memory_usage, context, folder=folder)


def test_free_memory_is_some_of_the_machines() -> None:
    """More than nothing and, where the system says what is available, no more than that."""
    free = free_memory()
    if free is None:
        pytest.skip("this system does not say how much memory is available")
    assert 0 < free < 1 << 50


def test_memory_of_all_processes_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes with 6 GB each do not fit into 10."""
    monkeypatch.setattr(resources, "free_memory", lambda: 10_000_000_000)
    need = MemoryUsage(memory=6_000_000_000)
    refuse(need, tmp_path)
    with pytest.raises(
        EnvironmentProblem,
        match=r"takes 12\.0 GB of memory in 2 processes, and there are 10\.0 GB",
    ) as refused:
        refuse(need, tmp_path, here=2)
    assert refused.value.remedy is not None
    assert 'targets.precision = "float16"' in refused.value.remedy


def test_unknown_memory_refuses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody says how much there is, opening the store will tell."""
    monkeypatch.setattr(resources, "free_memory", lambda: None)
    refuse(MemoryUsage(memory=1 << 60), tmp_path)


def test_a_disk_counts_what_the_store_has_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resumed run is not asked for the space of its own files a second time."""

    def usage(_: Path) -> Any:
        return shutil._ntuple_diskusage(10**12, 10**12 - 5_000_000_000, 5_000_000_000)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(
        EnvironmentProblem, match=r"takes 5\.0 GB of disk space, and there are 5\.0"
    ):
        refuse(MemoryUsage(disk=5_000_100_000), tmp_path)
    (tmp_path / "shard-0000.rows").write_bytes(b"1" * 200_000)
    refuse(MemoryUsage(disk=5_000_100_000), tmp_path)


def test_a_container_may_leave_less(tmp_path: Path) -> None:
    """Its limit less what it uses; no limit, or no container, is no bound."""
    leaves = resources._container_leaves  # the files of a real one cannot be made
    assert leaves(tmp_path) is None
    (tmp_path / "memory.max").write_text("1000000\n", "ascii")
    (tmp_path / "memory.current").write_text("400000\n", "ascii")
    assert leaves(tmp_path) == 600_000
    (tmp_path / "memory.current").write_text("1400000\n", "ascii")
    assert leaves(tmp_path) == 0
    (tmp_path / "memory.max").write_text("max\n", "ascii")
    assert leaves(tmp_path) is None
