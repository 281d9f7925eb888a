"""Networks of features compute in float32 as it stands: without TF32 and without autocast."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def exactly(device: torch.device) -> Iterator[None]:
    """Convolutions on `device` in full float32; afterwards the settings are as before.

    TF32 would move a distance by more than its seeds do.  Only convolutions are set: nothing else
    in these networks multiplies matrices.
    """
    owner, name, full = _setting()
    before = getattr(owner, name)
    setattr(owner, name, full)
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        setattr(owner, name, before)


def _setting() -> tuple[Any, str, Any]:
    """Where this torch keeps the precision of convolutions, and its value for full float32."""
    cudnn: Any = torch.backends.cudnn
    # From 2.9 on each operator has its own; reading or setting the old one, which is for all of
    # them, then raises or is passed over where they differ.
    if hasattr(cudnn, "conv"):
        return cudnn.conv, "fp32_precision", "ieee"
    return cudnn, "allow_tf32", False
