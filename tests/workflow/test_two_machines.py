"""Two machines, as two network namespaces with addresses of their own, share one run."""

import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from command_line import dddm, environment, succeeded
from several import losses_of, write_shared

_IP: Final = shutil.which("ip")
_ADDRESSES: Final = ("10.213.7.1", "10.213.7.2")
_NO_SAMPLES: Final = ("--set", "sample=[]")


def ip(*words: str) -> None:
    """One command of iproute2."""
    assert _IP is not None
    subprocess.run([_IP, *words], check=True, capture_output=True, text=True, timeout=30)


@pytest.fixture
def machines() -> Iterator[tuple[str, str]]:
    """Names of two namespaces that a cable joins; skipped where this may not be made."""
    if _IP is None:
        pytest.skip("iproute2, which makes network namespaces, is not installed")
    tag = uuid.uuid4().hex[:6]
    names = (f"dddm-{tag}-a", f"dddm-{tag}-b")
    try:
        for name in names:
            ip("netns", "add", name)
        ends = (f"d{tag}a", f"d{tag}b")
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for name, end, address in zip(names, ends, _ADDRESSES, strict=True):
            ip("link", "set", end, "netns", name)
            ip("-n", name, "addr", "add", f"{address}/24", "dev", end)
            ip("-n", name, "link", "set", end, "up")
            ip("-n", name, "link", "set", "lo", "up")
    except (subprocess.CalledProcessError, PermissionError) as error:
        _remove(names)
        pytest.skip(f"network namespaces cannot be made here: {error}")
    yield names
    _remove(names)


def _remove(names: tuple[str, str]) -> None:
    for name in names:
        subprocess.run([str(_IP), "netns", "delete", name], check=False, capture_output=True)


def test_two_machines_are_one(tmp_path: Path, machines: tuple[str, str]) -> None:
    """Torchrun's rendezvous joins them; the losses are those of one process to rounding."""
    write_shared(tmp_path)
    processes = []
    words = ["-m", "dddm", "run", "tiny.toml", "--folder", "run", *_NO_SAMPLES]
    for number, (machine, address) in enumerate(zip(machines, _ADDRESSES, strict=True)):
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2"]
        torchrun += ["--nproc-per-node", "1", "--node-rank", str(number), "--rdzv-id", "run"]
        torchrun += ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{_ADDRESSES[0]}:29400"]
        # Elsewhere the host of the endpoint is known by its name.
        torchrun += ["--local-addr", address, "--rdzv-conf", f"is_host={int(number == 0)}"]
        end = next(
            line.split()[1].partition("@")[0].rstrip(":")
            for line in subprocess.run(
                [str(_IP), "-n", machine, "-o", "-4", "addr"],
                check=True,
                capture_output=True,
                text=True,
            ).stdout.splitlines()
            if address in line
        )
        processes.append(
            subprocess.Popen(
                [str(_IP), "netns", "exec", machine, *torchrun, *words],
                cwd=tmp_path,
                env={**environment(), "GLOO_SOCKET_IFNAME": end, "TP_SOCKET_IFNAME": end},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    outputs = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    # Which of them is the first process the rendezvous decides; it alone speaks.
    assert sorted(output for output, _ in outputs) == ["", "run/report.html\n"]
    succeeded(dddm("run", "tiny.toml", "--folder", "alone", *_NO_SAMPLES, cwd=tmp_path))
    alone, together = losses_of(tmp_path / "alone"), losses_of(tmp_path / "run")
    assert together == pytest.approx(alone, rel=1e-4)
