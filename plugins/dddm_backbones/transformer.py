"""The transformer form of cross-attention, as the method's public reference code has it.

    h ← P_in GroupNorm(x)                              1×1, to a width of four times the first stage
    h ← h + SelfAttention(LayerNorm(h))
    h ← h + CrossAttention(LayerNorm(h), C(x̂))         C: each block's 1×1 convolution of x̂'s pixels
    h ← h + W (a · GELU(b)),  [a, b] = V LayerNorm(h)  GEGLU, four times as wide
    x ← x + P_out h                                    1×1, starting at zero

It is the block of latent diffusion (Rombach et al. 2022, arXiv 2112.10752) with a projection of x̂
in place of one of text.  With `positions = false` the whole network is the reference's: the same
blocks at the same places (the middle among them, whatever its height), the same widths, biases,
epsilons and zeros, so the same number of parameters and operations.  What differs:

- The reference stands for one head count; ours follows `heads` or `head_width`.
- Its residual blocks normalise in 32 groups always, ours in fewer where channels are few.
- It uses no attention kernel that is fused; ours goes through scaled_dot_product_attention.
- Positions are ours.  Each block's C then reads a pixel and a learned position side by side, which
  is a projection of the pixel plus a projection of the position.

Legend: B images, C channels, N = H·W places, M pixels of x̂, K heads, D = W/K, P width of a token,
W width of the transformer.
"""

from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from dddm.interfaces.info import ImageShape
from dddm_backbones.attention import attend
from dddm_backbones.layers import group_norm, zero_init

_FEED_FORWARD: Final = 4
_GROUP_NORM_EPSILON: Final = 1e-6


@final
class EstimatePixels(nn.Module):
    """x̂ (B, C, H, W) → its pixels as tokens (B, M, P), each with a learned position if asked for.

    Attributes:
        width: P.
    """

    def __init__(self, *, shape: ImageShape, width_of_position: int, positions: bool) -> None:
        super().__init__()
        self.width = shape.channels + (width_of_position if positions else 0)
        pixels = shape.height * shape.width
        self.position = (
            nn.Parameter(torch.randn(1, pixels, width_of_position) * 0.5) if positions else None
        )

    def forward(self, estimate_BCHW: Tensor) -> Tensor:
        """(B, M, P)."""
        pixel_BMC = estimate_BCHW.flatten(2).mT
        if self.position is None:
            return pixel_BMC
        # `len` would fix the number of images when this is exported.
        position_BMP = self.position.to(pixel_BMC.dtype).expand(pixel_BMC.shape[0], -1, -1)
        return torch.cat([pixel_BMC, position_BMP], dim=2)


@final
class Transformer(nn.Module):
    """One transformer block from the places of a feature map to the pixels of x̂; a residual block.

    Args:
        width: inside the block.
        tokens: P, width of the tokens of x̂.
    """

    sees_estimate: Final = True

    def __init__(self, channels: int, *, width: int, heads: int, tokens: int) -> None:
        super().__init__()
        self.norm = group_norm(channels, epsilon=_GROUP_NORM_EPSILON)
        self.enter = nn.Linear(channels, width)
        self.project = nn.Linear(tokens, width)
        self.itself_norm = nn.LayerNorm(width)
        self.itself = _Attention(width, heads=heads)
        self.cross_norm = nn.LayerNorm(width)
        self.cross = _Attention(width, heads=heads)
        self.forward_norm = nn.LayerNorm(width)
        self.feed = nn.Linear(width, 2 * _FEED_FORWARD * width)
        self.forward_output = nn.Linear(_FEED_FORWARD * width, width)
        self.leave = zero_init(nn.Linear(width, channels))

    def forward(self, x_BCHW: Tensor, token_BMP: Tensor) -> Tensor:
        """(B, C, H, W)."""
        h_BNW = self.enter(self.norm(x_BCHW).flatten(2).mT.contiguous())
        normed_BNW = self.itself_norm(h_BNW)
        h_BNW = h_BNW + self.itself(normed_BNW, normed_BNW)
        h_BNW = h_BNW + self.cross(self.cross_norm(h_BNW), self.project(token_BMP))
        value_BNF, gate_BNF = self.feed(self.forward_norm(h_BNW)).chunk(2, dim=2)
        h_BNW = h_BNW + self.forward_output(value_BNF * functional.gelu(gate_BNF))
        change_BNC: Tensor = self.leave(h_BNW)
        return x_BCHW + change_BNC.mT.reshape(x_BCHW.shape)


@final
class _Attention(nn.Module):
    """softmax(q(h) k(c)ᵀ / √D) v(c), with a bias at its output only."""

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.output = nn.Linear(width, width)

    def forward(self, h_BNW: Tensor, context_BMW: Tensor) -> Tensor:
        """(B, N, W)."""
        key_BMW, value_BMW = self.key_value(context_BMW).chunk(2, dim=2)
        attended_BNW = attend(self.query(h_BNW), key_BMW, value_BMW, heads=self._heads)
        change_BNW: Tensor = self.output(attended_BNW)
        return change_BNW
