"""The layers of a diffusion transformer (DiT, arXiv 2212.09748).

    h ← h + g₁ Attention((1 + s₁) LayerNorm(h) + b₁, x̂)      [b₁ s₁ g₁ b₂ s₂ g₂] = linear(SiLU(e)),
    h ← h + g₂ MLP((1 + s₂) LayerNorm(h) + b₂)                starting at zero (adaLN-Zero)

Legend: B images, N tokens of x_t, M of x̂, D numbers in a token, K heads of d numbers, X = 6·D
numbers that time and class say to a block, S numbers in their embedding e.
"""

import math
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional

_LONGEST_PERIOD: Final = 10_000.0
_FEED_FORWARD: Final = 4


def waves(place: Tensor, *, width: int) -> Tensor:
    """Cosines, then sines, of places (…,) at `width`/2 frequencies falling from 1: (…, width)."""
    half = width // 2
    steps = torch.arange(half, dtype=torch.float32, device=place.device) / half
    angles = place.float()[..., None] * torch.exp(-math.log(_LONGEST_PERIOD) * steps)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def positions(*, rows: int, columns: int, width: int) -> Tensor:
    """Where each token stands, row by row: (rows·columns, width); one half says row, one column."""
    row = waves(torch.arange(rows), width=width // 2)[:, None].expand(-1, columns, -1)
    column = waves(torch.arange(columns), width=width // 2)[None].expand(rows, -1, -1)
    return torch.cat([row, column], dim=-1).flatten(0, 1)


def starting_at_zero(layer: nn.Linear) -> nn.Linear:
    """The layer with all parameters zero."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def modulated(h_BND: Tensor, *, shift_B1D: Tensor, scale_B1D: Tensor) -> Tensor:
    """(1 + s) LayerNorm(h) + b: (B, N, D)."""
    normed_BND = functional.layer_norm(h_BND, h_BND.shape[-1:], eps=1e-6)
    return torch.addcmul(shift_B1D, normed_BND, 1 + scale_B1D)


@final
class Embedding(nn.Module):
    """Time, and class where there are any, as one vector (B, S)."""

    def __init__(self, *, width: int, classes: int) -> None:
        super().__init__()
        self.width = width
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.label = nn.Embedding(classes, width) if classes else None

    def forward(self, *, t: Tensor, label: Tensor | None) -> Tensor:
        """(B, S) of t, (B,), in (0, 1000], and labels, (B,), int64.

        Raises:
            ValueError: if labels are missing.
        """
        embedding_BS: Tensor = self.time(waves(t, width=self.width))
        if self.label is None:
            return embedding_BS
        if label is None:
            raise ValueError("this network is conditioned on classes, and no labels were given")
        label_BS: Tensor = self.label(label)
        return embedding_BS + label_BS


@final
class Attention(nn.Module):
    """softmax(q(h) [k(h), k(x̂)]ᵀ / √(D/K)) [v(h), v(x̂)]; without x̂, attention to itself."""

    def __init__(self, width: int, *, heads: int, sees_estimate: bool) -> None:
        super().__init__()
        self._heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.estimate_key_value = nn.Linear(width, 2 * width) if sees_estimate else None
        self.output = nn.Linear(width, width)

    def forward(self, h_BND: Tensor, token_BMD: Tensor | None) -> Tensor:
        """(B, N, D)."""
        both_BND = self.key_value(h_BND)
        if self.estimate_key_value is not None:
            both_BND = torch.cat([both_BND, self.estimate_key_value(token_BMD)], dim=1)
        key_BND, value_BND = both_BND.chunk(2, dim=2)
        attended_BKNd = functional.scaled_dot_product_attention(
            self._by_head(self.query(h_BND)), self._by_head(key_BND), self._by_head(value_BND)
        )
        attended_BND: Tensor = self.output(attended_BKNd.transpose(1, 2).flatten(2))
        return attended_BND

    def _by_head(self, part_BND: Tensor) -> Tensor:
        return part_BND.reshape(*part_BND.shape[:2], self._heads, -1).transpose(1, 2)


@final
class Block(nn.Module):
    """Attention, then two layers on each token alone; both as time and class say."""

    def __init__(self, width: int, *, heads: int, sees_estimate: bool) -> None:
        super().__init__()
        self.attention = Attention(width, heads=heads, sees_estimate=sees_estimate)
        self.feed = nn.Linear(width, _FEED_FORWARD * width)
        self.feed_output = nn.Linear(_FEED_FORWARD * width, width)

    def forward(self, h_BND: Tensor, said_B1X: Tensor, token_BMD: Tensor | None = None) -> Tensor:
        """(B, N, D); time and class say two shifts, scales and gates, (B, 1, 6·D)."""
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = said_B1X.chunk(6, dim=2)
        normed_BND = modulated(h_BND, shift_B1D=shift_1, scale_B1D=scale_1)
        h_BND = torch.addcmul(h_BND, gate_1, self.attention(normed_BND, token_BMD))
        normed_BND = modulated(h_BND, shift_B1D=shift_2, scale_B1D=scale_2)
        fed_BND = self.feed_output(functional.gelu(self.feed(normed_BND), approximate="tanh"))
        return torch.addcmul(h_BND, gate_2, fed_BND)
