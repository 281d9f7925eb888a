"""DINOv2 as torchvision's vision transformer, with Meta's weights.

torch-fidelity would download Meta's repository and run it.  What torchvision's transformer lacks is
folded into the weights: LayerScale into the preceding projection, and the resizing of position
embeddings from 518×518 to 224×224, which Meta's code does in every forward pass.

Legend: M patches in a row, D dimensions.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from dddm.interfaces.plugin import WeightFile
from dddm.support.state_dict import one_line, read_state_dict, unusable_weights
from dddm.support.torchvision_operators import import_torchvision
from dddm_features.options import DINOV2_WEIGHTS, remedy_for

_ROW_PATCHES: Final = 16
"""224 pixels, 14 for each patch."""
_OFFSET: Final = 0.1
"""Meta's code adds it to the number of patches before dividing, which slightly shifts positions."""
_HEAD_DIMENSIONS: Final = 64
_EPSILON: Final = 1e-6


def read_dinov2(path: Path, file: WeightFile = DINOV2_WEIGHTS) -> nn.Module:
    """The network (B, 3, 224, 224) → (B, D), float32, in eval mode, without gradients.

    Args:
        file: the published one in whose layout `path` is, for messages.

    Raises:
        DataError: if the file cannot be read, or names or shapes are missing, surplus or wrong.
    """
    remedy = remedy_for(file)
    weights = read_state_dict(path, remedy=remedy)
    try:
        network = _network(weights)
        network.load_state_dict(dict(_renamed(weights)))
    except (RuntimeError, LookupError, ValueError) as error:
        raise unusable_weights(
            path, f"do not fit DINOv2: {one_line(error)}", remedy=remedy
        ) from error
    return network.eval().requires_grad_(requires_grad=False)


def _network(weights: dict[str, Tensor]) -> nn.Module:
    """With as many layers and dimensions as the weights have."""
    import_torchvision()
    from functools import partial

    from torchvision.models import VisionTransformer

    dimensions, _, patch, _ = weights["patch_embed.proj.weight"].shape
    network: Any = VisionTransformer(
        image_size=_ROW_PATCHES * patch,
        patch_size=patch,
        num_layers=len({name.split(".")[1] for name in weights if name.startswith("blocks.")}),
        num_heads=dimensions // _HEAD_DIMENSIONS,
        hidden_dim=dimensions,
        mlp_dim=len(weights["blocks.0.mlp.fc1.weight"]),
        norm_layer=partial(nn.LayerNorm, eps=_EPSILON),
    )
    network.heads = nn.Identity()
    made: nn.Module = network
    return made


def _renamed(weights: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Meta's weights under torchvision's names, with LayerScale and positions folded in."""
    left = {name: tensor.float() for name, tensor in weights.items()}
    del left["mask_token"]  # used only in training
    yield "class_token", left.pop("cls_token")
    yield "encoder.pos_embedding", _positions(left.pop("pos_embed"))
    for part in ("weight", "bias"):
        yield f"conv_proj.{part}", left.pop(f"patch_embed.proj.{part}")
        yield f"encoder.ln.{part}", left.pop(f"norm.{part}")
    for block in sorted({name.split(".")[1] for name in left if name.startswith("blocks.")}):
        old, new = f"blocks.{block}", f"encoder.layers.encoder_layer_{block}"
        after_attention, after_mlp = (left.pop(f"{old}.ls{k}.gamma") for k in (1, 2))
        for part in ("weight", "bias"):
            for number in (1, 2):
                yield f"{new}.ln_{number}.{part}", left.pop(f"{old}.norm{number}.{part}")
            yield f"{new}.self_attention.in_proj_{part}", left.pop(f"{old}.attn.qkv.{part}")
            projection = left.pop(f"{old}.attn.proj.{part}")
            yield f"{new}.self_attention.out_proj.{part}", _scaled(projection, after_attention)
            yield f"{new}.mlp.0.{part}", left.pop(f"{old}.mlp.fc1.{part}")
            yield f"{new}.mlp.3.{part}", _scaled(left.pop(f"{old}.mlp.fc2.{part}"), after_mlp)
    if left:
        raise ValueError(f"unknown weights: {', '.join(sorted(left))}")


def _scaled(part: Tensor, scale_D: Tensor) -> Tensor:
    """Weight (D, …) or bias (D,) of a linear layer followed by LayerScale."""
    return part * scale_D.reshape(-1, *[1] * (part.dim() - 1))


def _positions(position_1ND: Tensor) -> Tensor:
    """Position embeddings of the class token and of 16×16 patches, (1, 257, D)."""
    dimensions = position_1ND.shape[-1]
    side = round((position_1ND.shape[1] - 1) ** 0.5)
    grid_1DMM = position_1ND[:, 1:].reshape(1, side, side, dimensions).permute(0, 3, 1, 2)
    if side != _ROW_PATCHES:
        scale = (_ROW_PATCHES + _OFFSET) / side
        grid_1DMM = interpolate(grid_1DMM, scale_factor=(scale, scale), mode="bicubic")
    patches_1ND = grid_1DMM.permute(0, 2, 3, 1).reshape(1, -1, dimensions)
    return torch.cat([position_1ND[:, :1], patches_1ND], dim=1)
