"""Which device a run uses."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch

from dddm.errors import EnvironmentProblem, UsageError

_ELASTIC: Final = "TORCHELASTIC_RUN_ID"
"""In the environment of torchrun's workers, and `--nproc`'s."""


def choose_device(name: str, *, local_rank: int | None = None) -> torch.device:
    """The device called `name`; `auto` is a GPU, or the CPU where there is none.

    Args:
        local_rank: of this process among those of its run on this machine, each of which has a
            GPU of its own; None for a run of one process.

    Raises:
        UsageError: if torch knows no such device, or one is named that all processes would share.
        EnvironmentProblem: if this machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if local_rank is not None and name.startswith("cuda"):
        if name != "cuda":
            raise UsageError(
                f"several processes cannot share {name}",
                where="--device",
                remedy="use --device cuda, and choose GPUs with CUDA_VISIBLE_DEVICES",
            )
        name = "cuda:0" if _is_shown_one_gpu() else f"cuda:{local_rank}"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except RuntimeError as error:
        if "Expected one of" in str(error) or "Invalid device string" in str(error):
            raise UsageError(
                f"there is no device called {name!r}", remedy="use auto, cpu, cuda or cuda:1"
            ) from error
        raise EnvironmentProblem(
            f"the device {name!r} cannot be used here: {str(error).splitlines()[0]}",
            remedy="use --device cpu, or see what `dddm doctor` finds",
        ) from error
    except AssertionError as error:  # torch built without CUDA
        raise EnvironmentProblem(
            f"the device {name!r} cannot be used here: {error}",
            remedy="use --device cpu, or install a build of torch for this device",
        ) from error
    if device.type == "cuda":
        if device.index is not None:  # for code that says .cuda()
            torch.cuda.set_device(device)
        # torch lets cuDNN round the inputs of float32 convolutions to TF32, 10 bits, by default:
        # measured on an H200, samples then differ from a CPU's by 1.6e-3 instead of 4e-6.
        _allow_tf32(allowed=False)
    return device


def _is_shown_one_gpu() -> bool:
    """Whether a launcher, such as `srun --gpus-per-task=1`, shows each process a GPU of its own.

    torchrun and `--nproc` show all processes the same, so that a single one there is too few.
    """
    return torch.cuda.device_count() == 1 and _ELASTIC not in os.environ


def _allow_tf32(*, allowed: bool) -> None:
    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cuda.matmul.allow_tf32 = allowed


@contextmanager
def float32_products(*, tf32: bool) -> Iterator[None]:
    """Within it a GPU rounds the inputs of float32 products to TF32, or does not."""
    before = torch.backends.cuda.matmul.allow_tf32
    _allow_tf32(allowed=tf32)
    try:
        yield
    finally:
        _allow_tf32(allowed=before)


def refuse_without_compiler(device: torch.device, *, where: str = "train.compile") -> None:
    """Refuse `compile` where torch.compile could only fail, at the first call and at length.

    Raises:
        EnvironmentProblem: on a CPU without a C++ compiler, on a GPU without triton.
    """
    if device.type == "cpu":
        wanted = os.environ.get("CXX", "")
        if any(shutil.which(name) for name in (wanted, "g++", "clang++", "c++") if name):
            return
        missing, remedy = "a C++ compiler", "install g++"
    elif device.type == "cuda" and importlib.util.find_spec("triton") is None:
        missing, remedy = "the package triton", "python -m pip install triton"
    else:
        return
    raise EnvironmentProblem(
        f"torch.compile needs {missing} on this machine",
        where=where,
        remedy=f"{remedy}, or write compile = false",
    )
