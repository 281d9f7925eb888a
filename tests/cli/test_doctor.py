"""`dddm doctor`."""

import json
import platform
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner
from torch.cuda import nccl
from toy_plugins import toy_catalogue

from dddm.cli.doctor import doctor
from dddm.errors import PluginError
from dddm.registry.catalogue import Catalogue, PluginStatus

CATALOGUE = Catalogue(
    toy_catalogue().components(),
    plugins=[PluginStatus(name="sad", package="s", version="2", error=PluginError("it broke"))],
)


def test_everything_a_bug_report_needs_is_there() -> None:
    """Versions, torch and devices, space, and plugins with the reason why one failed."""
    shown = CliRunner().invoke(doctor, [], obj={"catalogue": CATALOGUE}).stdout
    for words in (
        f"python: {platform.python_version()}",
        "  torch: ",
        "  attrs: ",
        "  devices: cpu",
        "  threads: 1",
        "memory:\n  installed: ",
        "  free: ",
        "  sad (s 2): failed\n    it broke",
    ):
        assert words in shown


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And whether it can be written; also where it does not exist yet, or there is no home."""
    monkeypatch.setenv("DDDM_CACHE", str(tmp_path / "cache"))
    shown = CliRunner().invoke(doctor, [], obj={"catalogue": CATALOGUE}).stdout
    assert f"cache:\n  cache: {tmp_path / 'cache'}\n  folder: {tmp_path}\n  free: " in shown
    monkeypatch.setattr("os.access", lambda *_: False)
    shown = CliRunner().invoke(doctor, [], obj={"catalogue": CATALOGUE}).stdout
    assert shown.partition("\ncache:")[2].count("writable: no") == 1
    monkeypatch.delenv("DDDM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "~nobody-of-this-name/cache")
    shown = CliRunner().invoke(doctor, [], obj={"catalogue": CATALOGUE}).stdout
    assert "none: there is no home folder" in shown


def test_what_a_gpu_runs_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Driver, libraries, capability, and what launchers and NCCL were told."""
    driver = tmp_path / "version"
    driver.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  575.51.03  Mon 1 2025\n")
    monkeypatch.setattr("dddm.cli.doctor._DRIVER", driver)
    card = SimpleNamespace(name="H200", total_memory=140 * 2**30, major=9, minor=0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: True)
    monkeypatch.setattr(nccl, "version", lambda: (2, 27, 3))
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    told = ("NCCL_DEBUG", "TORCH_NCCL_TRACE", "GLOO_SOCKET_IFNAME", "SLURM_JOB_ID",
            "TORCHINDUCTOR_CACHE_DIR", "LOCAL_RANK", "MASTER_ADDR")  # fmt: skip
    for name in told:
        monkeypatch.setenv(name, "7")
    done = CliRunner().invoke(doctor, ["--json"], obj={"catalogue": CATALOGUE})
    facts = json.loads(done.stdout)
    assert {name: facts["environment"].get(name) for name in told} == dict.fromkeys(told, "7")
    found = facts["torch"]
    assert found["driver"] == "575.51.03"
    assert found["devices"][1] == "cuda:0: H200, 140 GiB, capability 9.0"
    assert (found["cuDNN"], found["NCCL"]) == ("91002", "2.27.3")
    assert found["bfloat16 on CUDA"] == "yes"
    words = {True: "yes", False: "no"}
    convolutions = words[torch.backends.cudnn.allow_tf32]
    products = words[torch.backends.cuda.matmul.allow_tf32]
    assert found["TF32 in torch"] == f"convolutions {convolutions}, products {products}"
    assert found["triton"]


def test_without_a_gpu() -> None:
    """What is not there is said to be none."""
    done = CliRunner().invoke(doctor, ["--json"], obj={"catalogue": CATALOGUE})
    found = json.loads(done.stdout)["torch"]
    if not torch.cuda.is_available():
        assert found["bfloat16 on CUDA"] == "no"
    if not Path("/proc/driver/nvidia").exists():
        assert found["driver"] == "none"


def test_as_json() -> None:
    """The same as plain values."""
    done = CliRunner().invoke(doctor, ["--json"], obj={"catalogue": CATALOGUE})
    facts = json.loads(done.stdout)
    assert facts["torch"]["threads"] == 1
    assert facts["plugins"][0]["reason"] == "it broke"
