"""Features are computed in full float32 whatever the process has set, and leave that as it was."""

import subprocess
import sys

import pytest
import torch

from dddm_features.precision import full_float32

# In a process of its own: some of these settings cannot be taken back.
PROGRAM = """
import torch
from dddm_features.precision import full_float32

cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
new = hasattr(cudnn, "conv")

def precision():
    if new:
        return cudnn.conv.fp32_precision, matmul.fp32_precision
    return cudnn.allow_tf32, matmul.allow_tf32

if new or "fp32_precision" not in SETTING:
    {setting}
before = precision(), cudnn.deterministic, cudnn.enabled
layer = torch.nn.Conv2d(3, 4, 3)
try:
    with full_float32(torch.device("cpu")):
        layer(torch.zeros(1, 3, 8, 8))
        assert set(precision()) <= {"ieee", False}, precision()
        raise KeyboardInterrupt
except KeyboardInterrupt:
    pass
assert before == (precision(), cudnn.deterministic, cudnn.enabled), before
"""


@pytest.mark.parametrize(
    "setting",
    [
        "cudnn.allow_tf32 = cudnn.deterministic = True",
        "torch.backends.fp32_precision = 'tf32'",
        "cudnn.conv.fp32_precision = 'ieee'; matmul.fp32_precision = 'tf32'",
    ],
)
def test_no_setting_is_in_its_way(setting: str) -> None:
    """The old switch, the new one for all and the new one for convolutions; also on an error."""
    program = PROGRAM.replace("{setting}", setting).replace("SETTING", repr(setting))
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_autocast_is_off_inside() -> None:
    """A convolution under autocast gives float32 inside, and bfloat16 again after it."""
    layer, image = torch.nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with full_float32(torch.device("cpu")):
            assert layer(image).dtype == torch.float32
        assert layer(image).dtype == torch.bfloat16


def test_shapes_alone_have_no_autocast() -> None:
    """Or the cost of a step that compares in features could not be counted."""
    with full_float32(torch.device("meta")):
        assert torch.empty(2, 3, device="meta").sum().shape == ()
