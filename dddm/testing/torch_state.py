"""What of torch's settings holds for a whole process, and who changes it changes every run."""

from collections.abc import Mapping
from typing import Any

import torch

from dddm.testing.check import expect


def torch_state() -> Mapping[str, Any]:
    """Settings of torch by name."""
    state = {
        "default dtype": torch.get_default_dtype(),
        "grad mode": torch.is_grad_enabled(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "precision of float32 products": torch.get_float32_matmul_precision(),
        "threads": torch.get_num_threads(),
        "autocast": torch.is_autocast_enabled("cpu"),
    }
    cudnn: Any = torch.backends.cudnn
    if hasattr(cudnn, "conv"):
        state["precision of convolutions"] = cudnn.conv.fp32_precision
    else:
        state["TF32 in convolutions"] = cudnn.allow_tf32
    return state


def restore_torch(before: Mapping[str, Any]) -> None:
    """Put back what `torch_state` gave."""
    torch.set_default_dtype(before["default dtype"])
    torch.set_grad_enabled(before["grad mode"])
    torch.use_deterministic_algorithms(before["deterministic algorithms"])
    torch.set_float32_matmul_precision(before["precision of float32 products"])
    torch.set_num_threads(before["threads"])
    torch.set_autocast_enabled("cpu", before["autocast"])


def expect_torch_as_before(before: Mapping[str, Any], *, after: str) -> None:
    """Expect the settings of `before`.

    Args:
        before: what `torch_state` gave.
        after: what happened since, for the message.
    """
    now = torch_state()
    changed = [
        f"{name} is {now[name]}, not {before[name]}" for name in before if before[name] != now[name]
    ]
    expect(
        not changed,
        f"after {after}, torch's {'; '.join(changed)}",
        remedy="set it around your own work alone, and put it back",
    )
