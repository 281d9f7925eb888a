"""Full float32 for the networks of features."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch


@contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Compute on `device` without TF32 and without autocast; restores the settings afterwards.

    TF32 changes a Fréchet distance by more than another seed does.
    """
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in _settings()]
    try:
        for owner, name, full in _settings():
            setattr(owner, name, full)
        with _without_autocast(device):
            yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def _without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Shapes alone, on the meta device, have no autocast to switch off."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def _settings() -> Iterator[tuple[Any, str, Any]]:
    """Owner and name of the settings of this torch version, and the value for full float32."""
    cudnn: Any = torch.backends.cudnn
    matmul: Any = torch.backends.cuda.matmul
    # From torch 2.9 on each operator has its own setting; reading or setting the old common one
    # raises, or has no effect, where they differ.
    new = hasattr(cudnn, "conv")
    yield (cudnn.conv, "fp32_precision", "ieee") if new else (cudnn, "allow_tf32", False)
    yield (matmul, "fp32_precision", "ieee") if new else (matmul, "allow_tf32", False)
