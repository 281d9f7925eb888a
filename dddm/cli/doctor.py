"""`dddm doctor`: a description of this installation for bug reports."""

import os
import platform
import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Final

import click
from packaging.requirements import Requirement

from dddm.cli.options import catalogue_of, json_option, show_json
from dddm.errors import EnvironmentProblem
from dddm.registry.catalogue import Catalogue
from dddm.support.cache import cache_folder

_VARIABLES: Final = (
    "DDDM_", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_", "NVIDIA_", "PYTORCH_", "TORCH", "NCCL_",
    "GLOO_", "SLURM_", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_",
)  # fmt: skip
"""How the names of environment variables begin."""
_DRIVER: Final = Path("/proc/driver/nvidia/version")


@click.command()
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:  # noqa: FBT001 - click passes it by name
    """Describe this installation, for a bug report.

    Prints versions, devices, threads, memory, free disk space, plugins and environment variables.

    \b
    Examples:
      dddm doctor
      dddm doctor --json
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    facts = _installation(catalogue_of(ctx), folder=Path.cwd() / "runs")
    if as_json:
        show_json(facts)
        return
    plugins = facts.pop("plugins")
    for heading, value in facts.items():
        click.echo(f"{heading}: {value}" if isinstance(value, str) else f"{heading}:")
        if isinstance(value, dict):
            for name, facts_of in (value or {"none": "set"}).items():
                shown = "; ".join(facts_of) if isinstance(facts_of, list) else facts_of
                click.echo(f"  {name}: {shown}")
    click.echo("plugins:")
    for plugin in plugins:
        about = f"{plugin['package']} {plugin['version']}"
        click.echo(f"  {plugin['name']} ({about}): {plugin['status']}")
        if plugin["reason"] is not None:
            click.echo("    " + plugin["reason"].replace("\n", "\n    "))


def _installation(catalogue: Catalogue, *, folder: Path) -> dict[str, Any]:
    """Everything as plain values, by heading; `folder` is where runs would be kept."""
    return {
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        "packages": _packages(),
        "torch": _torch(),
        "memory": _memory(),
        "disk": _disk(folder),
        "cache": _cache(),
        "environment": {
            name: value for name, value in sorted(os.environ.items()) if name.startswith(_VARIABLES)
        },
        "plugins": [status.to_json() for status in catalogue.plugins],
    }


def _packages() -> dict[str, str]:
    """Versions of dddm and of what it stands on."""
    try:
        words = [Requirement(text) for text in requires("dddm") or ()]
    except PackageNotFoundError:
        words = []
    names = [word.name for word in words if word.marker is None or word.marker.evaluate()]
    return {name: _version(name) for name in ("dddm", *names)}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _torch() -> dict[str, Any]:
    """What torch says of itself and of the devices; a torch that cannot be imported says why."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return {"cannot be imported": str(error)}
    devices = [f"cpu: {platform.processor() or platform.machine()}"]
    for number in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(number)
        devices.append(
            f"cuda:{number}: {facts.name}, {facts.total_memory / 2**30:.0f} GiB, capability "
            f"{facts.major}.{facts.minor}"
        )
    if torch.backends.mps.is_available():
        devices.append("mps")
    return {
        "version": torch.__version__,
        "built for CUDA": torch.version.cuda or "no",
        "driver": _driver(),
        "cuDNN": str(torch.backends.cudnn.version() or "none"),  # type: ignore[no-untyped-call]
        "NCCL": _nccl(),
        "triton": _version("triton"),
        "devices": devices,
        "bfloat16 on CUDA": _yes(torch.cuda.is_available() and torch.cuda.is_bf16_supported()),
        # As torch has it; dddm says for itself what a run does, by `train.tf32`.
        "TF32 in torch": f"convolutions {_yes(torch.backends.cudnn.allow_tf32)}, "
        f"products {_yes(torch.backends.cuda.matmul.allow_tf32)}",
        "threads": torch.get_num_threads(),
        "processors": os.cpu_count(),
    }


def _yes(answer: bool) -> str:  # noqa: FBT001 - the word for it
    return "yes" if answer else "no"


def _driver() -> str:
    """NVIDIA's, as the kernel has loaded it."""
    try:
        text = _DRIVER.read_text("utf-8", errors="replace")
    except OSError:
        return "none"
    found = re.search(r"\b\d+\.\d+(\.\d+)?\b", text)
    return found[0] if found else "unknown"


def _nccl() -> str:
    import torch
    from torch.cuda import nccl

    if not (torch.distributed.is_available() and torch.distributed.is_nccl_available()):
        return "none"
    return ".".join(map(str, nccl.version()))  # type: ignore[no-untyped-call]


def _memory() -> dict[str, str]:
    """What the machine has, and what of it nothing is kept in, not even read files."""
    return {"installed": _pages("SC_PHYS_PAGES"), "free": _pages("SC_AVPHYS_PAGES")}


def _pages(name: str) -> str:
    """A number of pages that the system knows by `name`, as GiB."""
    try:
        return f"{os.sysconf(name) * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB"
    except (AttributeError, ValueError, OSError):
        return "unknown"


def _cache() -> dict[str, str]:
    """Where packed images, weights and what was learned are kept."""
    try:
        folder = cache_folder()
    except EnvironmentProblem as error:
        return {"none": error.what}
    return {"cache": str(folder), **_disk(folder)}


def _disk(folder: Path) -> dict[str, str]:
    existing = next(at for at in (folder, *folder.parents) if at.exists())
    return {
        "folder": str(existing),
        "free": f"{shutil.disk_usage(existing).free / 2**30:.1f} GiB",
        "writable": "yes" if os.access(existing, os.W_OK) else "no",
    }
