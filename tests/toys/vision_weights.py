"""Files in the layouts of CLIP's and DINOv2's weights: small networks with random numbers."""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dddm.support.torchvision_operators import import_torchvision


def random_numbers(name: str, like: Tensor, generator: torch.Generator) -> Tensor:
    """Of that shape, and of such a size that what comes out still depends on the image."""
    if like.dim() == 1:
        return torch.rand(like.shape, generator=generator) + (0.5 if "weight" in name else -0.5)
    numbers: Tensor = torch.randn(like.shape, generator=generator) * like[0].numel() ** -0.5
    return numbers


def write_clip(path: Path, *, width: int = 128, layers: int = 2) -> Path:
    """A CLIP of float16 numbers as OpenAI's is stored: a TorchScript archive with all its parts."""
    import_torchvision()
    from torch_fidelity.feature_extractor_clip import (
        Transformer,
        VisionTransformer,
        convert_weights,
    )

    class Clip(nn.Module):
        """What OpenAI's archive holds, in the names that count."""

        def __init__(self) -> None:
            super().__init__()
            self.visual = VisionTransformer(224, 32, width, layers, width // 64, 24)
            self.transformer = Transformer(width=64, layers=1, heads=1)
            self.token_embedding = nn.Embedding(10, 64)
            self.positional_embedding = nn.Parameter(torch.zeros(77, 64))
            self.ln_final = nn.LayerNorm(64)
            self.text_projection = nn.Parameter(torch.zeros(64, 24))
            self.logit_scale = nn.Parameter(torch.ones([]))

        def forward(self, image: Tensor) -> Any:
            return self.visual(image)

    clip, generator = Clip(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in clip.named_parameters():
            if parameter.dim():
                parameter.copy_(random_numbers(name, parameter, generator))
    image = torch.zeros(1, 3, 224, 224)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch calls the format that OpenAI chose old
        trace: Any = torch.jit.trace
        traced = trace(clip.eval(), image, check_trace=False)
        convert_weights(traced)
        for module in traced.modules():
            half = any(word in module.original_name for word in ("Conv", "Linear", "Multihead"))
            for parameter in module.parameters(recurse=False) if half else ():
                parameter.data = parameter.data.half()
        torch.jit.save(traced, str(path))
    return path


def dinov2_weights(*, width: int = 128, layers: int = 2, side: int = 37) -> dict[str, Tensor]:
    """Weights by Meta's names."""
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "mask_token": (1, width),
        "pos_embed": (1, side * side + 1, width),
        "patch_embed.proj.weight": (width, 3, 14, 14),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    for k in range(layers):
        linear = {
            "attn.qkv": (3 * width, width),
            "attn.proj": (width, width),
            "mlp.fc1": (4 * width, width),
            "mlp.fc2": (width, 4 * width),
        }
        for name, shape in linear.items():
            shapes |= {f"blocks.{k}.{name}.weight": shape, f"blocks.{k}.{name}.bias": shape[:1]}
        for name in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"):
            shapes[f"blocks.{k}.{name}"] = (width,)
        shapes |= {f"blocks.{k}.ls1.gamma": (width,), f"blocks.{k}.ls2.gamma": (width,)}
    generator = torch.Generator().manual_seed(1)
    weights = {
        name: random_numbers(name, torch.empty(shape), generator) for name, shape in shapes.items()
    }
    # Large enough that a place moved by a little is another.
    weights["pos_embed"] = torch.randn(shapes["pos_embed"], generator=generator)
    return weights
