"""Whether this machine holds what a target store will take; asked before training begins."""

import shutil
from pathlib import Path
from typing import Final

import torch

from dddm.errors import EnvironmentProblem
from dddm.interfaces.target_store import MemoryUsage
from dddm.support.quantities import size
from dddm.training.context import RunContext

_MEMINFO: Final = Path("/proc/meminfo")
_CGROUP: Final = Path("/sys/fs/cgroup")


def free_memory() -> int | None:
    """Bytes of main memory that this process may still take; None where nobody says.

    The least of what the system has available and what a container leaves.
    """
    bounds = [_available(), _container_leaves(_CGROUP)]
    return min((bound for bound in bounds if bound is not None), default=None)


def _available() -> int | None:
    if not _MEMINFO.exists():
        return None
    for line in _MEMINFO.read_text("ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _container_leaves(group: Path) -> int | None:
    try:
        limit = (group / "memory.max").read_text("ascii").strip()
        used = int((group / "memory.current").read_text("ascii"))
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(int(limit) - used, 0)


def check_store_fits(memory_usage: MemoryUsage, context: RunContext, *, folder: Path) -> None:
    """Refuse a store that memory, disk or device will not hold.

    Args:
        memory_usage: of one process; each process on this machine takes as much.
        folder: of the files; exists, and the space that they take already counts as free.

    Raises:
        EnvironmentProblem: with what is needed, what there is, and what to do.
    """
    device, here = context.device, context.processes.here
    memory = free_memory()
    if memory is not None and memory_usage.memory * here > memory:
        raise _too_little(
            "memory", memory_usage.memory * here, memory, where="targets", processes=here
        )
    disk = shutil.disk_usage(folder).free + _allocated(folder)
    if memory_usage.disk * here > disk:
        raise _too_little(
            "disk space", memory_usage.disk * here, disk, where=str(folder), processes=here
        )
    if memory_usage.device and device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if memory_usage.device > free:
            raise _too_little(
                f"memory of {device}", memory_usage.device, free, where="targets", processes=1
            )


def _allocated(folder: Path) -> int:
    """Bytes that the files of a folder take on the disk; a sparse file less than its size."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


def _too_little(
    what: str, needed: int, there: int, *, where: str, processes: int
) -> EnvironmentProblem:
    shared = "" if processes == 1 else f" in {processes} processes"
    return EnvironmentProblem(
        f"the target store takes {size(needed)} of {what}{shared}, and there are {size(there)}",
        where=where,
        remedy='use targets.precision = "float16" or "int8", another targets.use (ram, mmap, '
        "device), fewer kept checkpoints, or more machines, which share the estimates",
    )
