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


def expect_torch_as_before(before: Mapping[str, Any], *, after: str) -> None:
    """Expect the settings of `before`, and put them back where one is another now.

    Args:
        before: what `torch_state` gave.
        after: what happened since, for the message.
    """
    now = torch_state()
    torch.set_default_dtype(before["default dtype"])
    torch.set_grad_enabled(before["grad mode"])
    torch.use_deterministic_algorithms(before["deterministic algorithms"])
    torch.set_num_threads(before["threads"])
    changed = [name for name in before if before[name] != now[name]]
    expect(
        not changed,
        f"after {after}, torch has another {' and another '.join(changed)}",
        remedy="set it around your own work alone, and put it back",
    )
