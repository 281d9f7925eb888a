"""The blocks through which x̂ enters: attention, and the transformer form of it.

    Attention(h, x̂) = softmax(q(h) [k(h), k(x̂)]ᵀ / √D) [v(h), v(x̂)]

ADM's own attention block is the case without x̂.  x̂ comes as tokens: patches of it, as many as the
feature map has places, each with a learned position.  Without positions, permuting the patches of
x̂ would change nothing.

The transformer form is that of the method's public reference code:

    h ← P_in GroupNorm(x)                              1×1, to a width of four times the first stage
    h ← h + SelfAttention(LayerNorm(h))
    h ← h + CrossAttention(LayerNorm(h), C(x̂))         C: each block's 1×1 convolution of x̂'s pixels
    h ← h + W (a · GELU(b)),  [a, b] = V LayerNorm(h)  GEGLU, four times as wide
    x ← x + P_out h                                    1×1, initialised with zeros

It is the block of latent diffusion (Rombach et al. 2022, arXiv 2112.10752) with a projection of x̂
in place of one of text.  With `positions = false` the whole network is the reference's: the same
blocks at the same places (the middle among them, whatever its height), widths, biases, epsilons and
zeros, so the same number of parameters and operations.  What differs:

- The reference has one number of heads; here it follows `heads` or `head_width`.
- Its residual blocks normalise in 32 groups always, these in fewer where there are few channels.
- Its attention is not a fused kernel.
- It has no positions.  Here each C reads a pixel and a learned position side by side, which is a
  projection of the pixel plus a projection of the position.

Legend: B images, C channels, N = H·W places, M tokens of x̂, K heads, D channels of a head, P width
of a token, W width of the transformer.
"""

from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from dddm.interfaces.info import ImageShape
from dddm_backbones.layers import group_norm, zero_init

_FEED_FORWARD: Final = 4
_GROUP_NORM_EPSILON: Final = 1e-6


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
        token_BMP: Tensor = self.patches(estimate_BCHW).flatten(2).mT
        return token_BMP if self.position is None else token_BMP + self.position


def attend(query_BNC: Tensor, key_BMC: Tensor, value_BMC: Tensor, *, heads: int) -> Tensor:
    """softmax(q kᵀ / √D) v, head by head: (B, N, C)."""
    query_BKND, key_BKMD, value_BKMD = (
        part.reshape(*part.shape[:2], heads, -1).transpose(1, 2)
        for part in (query_BNC, key_BMC, value_BMC)
    )
    if query_BKND.device.type == "cpu" and query_BKND.dtype == torch.bfloat16:
        # On a CPU, torch's kernel is no faster in bfloat16 than in float32; matrix products are.
        scaled_BKND = query_BKND * query_BKND.shape[-1] ** -0.5
        attended_BKND = (scaled_BKND @ key_BKMD.mT).softmax(dim=-1) @ value_BKMD
    else:
        attended_BKND = functional.scaled_dot_product_attention(query_BKND, key_BKMD, value_BKMD)
    attended_BNC: Tensor = attended_BKND.transpose(1, 2).flatten(2)
    return attended_BNC


@final
class Attention(nn.Module):
    """A residual block of attention from a feature map to itself, to tokens of x̂, or to both.

    Args:
        tokens: P, the width of the tokens of x̂; None for a block that x̂ does not enter.
        self_attention: whether the map attends to itself; without, this is cross-attention.
    """

    def __init__(
        self, channels: int, *, heads: int, tokens: int | None = None, self_attention: bool = True
    ) -> None:
        super().__init__()
        self._heads = heads
        self.norm = group_norm(channels)
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(channels, 2 * channels) if self_attention else None
        self.token_key_value = nn.Linear(tokens, 2 * channels) if tokens is not None else None
        self.output = zero_init(nn.Linear(channels, channels))

    @property
    def sees_estimate(self) -> bool:
        """Whether x̂ enters here."""
        return self.token_key_value is not None

    def forward(self, x_BCHW: Tensor, token_BMP: Tensor | None = None) -> Tensor:
        # Contiguous here, or each linear layer would make a copy of its own.
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


@final
class EstimatePixels(nn.Module):
    """x̂ (B, C, H, W) → its pixels as tokens (B, M, P), beside a learned position if `positions`.

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
        pixel_BMC = estimate_BCHW.flatten(2).mT
        if self.position is None:
            return pixel_BMC
        # Not len(pixel_BMC), which an export would turn into a constant.
        position_BMP = self.position.to(pixel_BMC.dtype).expand(pixel_BMC.shape[0], -1, -1)
        return torch.cat([pixel_BMC, position_BMP], dim=2)


@final
class Transformer(nn.Module):
    """A residual transformer block, from the places of a feature map to the pixels of x̂.

    Args:
        width: W, inside the block.
        tokens: P, the width of the tokens of x̂.
    """

    sees_estimate: Final = True

    def __init__(self, channels: int, *, width: int, heads: int, tokens: int) -> None:
        super().__init__()
        self.norm = group_norm(channels, epsilon=_GROUP_NORM_EPSILON)
        self.project_in = nn.Linear(channels, width)
        self.project_tokens = nn.Linear(tokens, width)
        self.self_norm = nn.LayerNorm(width)
        self.self_attention = _TransformerAttention(width, heads=heads)
        self.cross_norm = nn.LayerNorm(width)
        self.cross_attention = _TransformerAttention(width, heads=heads)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward_in = nn.Linear(width, 2 * _FEED_FORWARD * width)
        self.feed_forward_out = nn.Linear(_FEED_FORWARD * width, width)
        self.project_out = zero_init(nn.Linear(width, channels))

    def forward(self, x_BCHW: Tensor, token_BMP: Tensor) -> Tensor:
        h_BNW = self.project_in(self.norm(x_BCHW).flatten(2).mT.contiguous())
        normed_BNW = self.self_norm(h_BNW)
        h_BNW = h_BNW + self.self_attention(normed_BNW, normed_BNW)
        h_BNW = h_BNW + self.cross_attention(self.cross_norm(h_BNW), self.project_tokens(token_BMP))
        value_BNF, gate_BNF = self.feed_forward_in(self.feed_forward_norm(h_BNW)).chunk(2, dim=2)
        h_BNW = h_BNW + self.feed_forward_out(value_BNF * functional.gelu(gate_BNF))
        change_BNC: Tensor = self.project_out(h_BNW)
        return x_BCHW + change_BNC.mT.reshape(x_BCHW.shape)


@final
class _TransformerAttention(nn.Module):
    """softmax(q(h) k(c)ᵀ / √D) v(c), with a bias at its output only."""

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.output = nn.Linear(width, width)

    def forward(self, h_BNW: Tensor, context_BMW: Tensor) -> Tensor:
        key_BMW, value_BMW = self.key_value(context_BMW).chunk(2, dim=2)
        attended_BNW = attend(self.query(h_BNW), key_BMW, value_BMW, heads=self._heads)
        change_BNW: Tensor = self.output(attended_BNW)
        return change_BNW
