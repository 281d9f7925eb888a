"""Attention among the places of a feature map, and from them to the estimate.

    Attention(h, x̂) = softmax(q(h) [k(h), k(x̂)]ᵀ / √d) [v(h), v(x̂)]

ADM's own attention block is the case without x̂.  x̂ comes as tokens: patches of it, as many as the
feature map has places, each with a learned position.  Without positions, permuting the patches of
x̂ would change nothing.

Legend: B images, C channels, N = H·W places, M tokens of x̂, K heads, D = C/K, P width of a token.
"""

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from dddm.interfaces.info import ImageShape
from dddm_backbones.layers import group_norm, zero_init


@final
class EstimateTokens(nn.Module):
    """x̂ (B, C, H, W) → tokens (B, M, P), one for each place of a feature map of `height` rows."""

    def __init__(
        self, *, shape: ImageShape, height: int, width_of_token: int, positions: bool
    ) -> None:
        super().__init__()
        patch = shape.height // height
        places = height * (shape.width // patch)
        self.patches = nn.Conv2d(shape.channels, width_of_token, kernel_size=patch, stride=patch)
        self.position = (
            nn.Parameter(torch.randn(1, places, width_of_token) * 0.5) if positions else None
        )

    def forward(self, estimate_BCHW: Tensor) -> Tensor:
        """(B, M, P)."""
        token_BMP: Tensor = self.patches(estimate_BCHW).flatten(2).mT
        return token_BMP if self.position is None else token_BMP + self.position


def attend(query_BNC: Tensor, key_BMC: Tensor, value_BMC: Tensor, *, heads: int) -> Tensor:
    """softmax(q kᵀ / √D) v, head by head: (B, N, C)."""
    query_BKND, key_BKMD, value_BKMD = (
        part.reshape(*part.shape[:2], heads, -1).transpose(1, 2)
        for part in (query_BNC, key_BMC, value_BMC)
    )
    if query_BKND.device.type == "cpu" and query_BKND.dtype == torch.bfloat16:
        # torch's kernel computes no faster in bfloat16 than in float32; these products do.
        scaled_BKND = query_BKND * query_BKND.shape[-1] ** -0.5
        attended_BKND = (scaled_BKND @ key_BKMD.mT).softmax(dim=-1) @ value_BKMD
    else:
        attended_BKND = functional.scaled_dot_product_attention(query_BKND, key_BKMD, value_BKMD)
    attended_BNC: Tensor = attended_BKND.transpose(1, 2).flatten(2)
    return attended_BNC


@final
class Attention(nn.Module):
    """Attention of a feature map to itself, to tokens of x̂, or to both at once; a residual block.

    Args:
        tokens: P, width of the tokens of x̂; None for a block that does not look at x̂.
        itself: whether the map attends to itself; without it this is a cross-attention.
    """

    def __init__(
        self, channels: int, *, heads: int, tokens: int | None = None, itself: bool = True
    ) -> None:
        super().__init__()
        self._heads = heads
        self.norm = group_norm(channels)
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(channels, 2 * channels) if itself else None
        self.token_key_value = nn.Linear(tokens, 2 * channels) if tokens is not None else None
        self.output = zero_init(nn.Linear(channels, channels))

    @property
    def sees_estimate(self) -> bool:
        """Whether x̂ enters here."""
        return self.token_key_value is not None

    def forward(self, x_BCHW: Tensor, token_BMP: Tensor | None = None) -> Tensor:
        """(B, C, H, W)."""
        # Contiguous once, because each linear layer would copy it for itself.
        h_BNC = self.norm(x_BCHW).flatten(2).mT.contiguous()
        parts = []
        if self.key_value is not None:
            parts.append(self.key_value(h_BNC))
        if self.token_key_value is not None:
            parts.append(self.token_key_value(token_BMP))
        key_BnC, value_BnC = torch.cat(parts, dim=1).chunk(2, dim=2)
        attended_BNC = attend(self.query(h_BNC), key_BnC, value_BnC, heads=self._heads)
        change_BNC: Tensor = self.output(attended_BNC)
        return x_BCHW + change_BNC.mT.reshape(x_BCHW.shape)
