"""CLIP's network for images, as torch-fidelity (0.4.0, pinned) builds it of OpenAI's weights."""

from pathlib import Path

from torch import nn

from dddm.support.torchvision_operators import import_torchvision
from dddm_features.torch_tensors import in_a_line, refused
from dddm_features.torchscript_tensors import read_torchscript
from dddm_features.vision_options import CLIP_WEIGHTS


def read_clip(path: Path) -> nn.Module:
    """The network for images, (B, 3, R, R) → (B, D), float32, in eval mode, without gradients.

    Its numbers stand in the file in float16, and are computed with in float32.

    Raises:
        DataError: if the file cannot be read, or names or shapes are missing, surplus or wrong.
    """
    known = CLIP_WEIGHTS.name
    try:
        weights = read_torchscript(path)
    # A damaged archive raises what its damage leads to.
    except Exception as error:
        what = f"cannot be read as a TorchScript archive: {in_a_line(error)}"
        raise refused(path, what, known=known) from error
    import_torchvision()
    import torch
    from torch_fidelity.feature_extractor_clip import build_model

    if "visual.proj" not in weights or "text_projection" not in weights:
        raise refused(path, "are not those of a CLIP whose network is a ViT", known=known)
    try:
        network: nn.Module = build_model(weights, torch.float32).visual
    except (RuntimeError, LookupError) as error:
        raise refused(path, f"do not fit CLIP: {in_a_line(error)}", known=known) from error
    return network
