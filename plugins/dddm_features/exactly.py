"""Networks of features compute in float32 as it stands: without TF32 and without autocast."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def exactly(device: torch.device) -> Iterator[None]:
    """Convolutions and matrix products on `device` in full float32; then settings are as before.

    TF32 would move a distance by more than its seeds do.
    """
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in _settings()]
    try:
        for owner, name, full in _settings():
            setattr(owner, name, full)
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def _settings() -> Iterator[tuple[Any, str, Any]]:
    """Where this torch keeps the precision of either, and its value for full float32."""
    cudnn: Any = torch.backends.cudnn
    matmul: Any = torch.backends.cuda.matmul
    # From 2.9 on each operator has its own; reading or setting the old one, which is for all of
    # them, then raises or is passed over where they differ.
    new = hasattr(cudnn, "conv")
    yield (cudnn.conv, "fp32_precision", "ieee") if new else (cudnn, "allow_tf32", False)
    yield (matmul, "fp32_precision", "ieee") if new else (matmul, "allow_tf32", False)
