"""The steps of which ADM's ways down and up are made.

Legend: B images, C channels, H rows, W columns, E width of the embedding, M tokens of width P.
"""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dddm_backbones.attention import Attention
from dddm_backbones.layers import CachedSkip, Downsample, ResidualBlock, Upsample
from dddm_backbones.options import AdmOptions
from dddm_backbones.transformer import Transformer


@final
class Step(nn.Module):
    """A residual block or a change of size, with the attention blocks that follow it.

    Args:
        height: of its feature map; says which tokens of x̂ its attention sees.
        takes_skip: whether it is fed what the way down left behind, beside the map so far.
        checkpointing: whether the backward pass computes the step again, from what enters it,
            with the same dropout.
    """

    def __init__(
        self,
        block: ResidualBlock | Downsample | Upsample,
        *,
        height: int,
        attention: Sequence[Attention | Transformer] = (),
        takes_skip: bool = False,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.block = block
        self.attention = nn.ModuleList(attention)
        self.takes_skip = takes_skip
        self.sees_estimate = any(block.sees_estimate for block in attention)
        self._height = height
        self._embeds = isinstance(block, ResidualBlock)
        self._checkpointing = checkpointing

    def forward(
        self,
        h_BCHW: Tensor,
        embedding_BE: Tensor,
        tokens: dict[int, Tensor],
        skip_BCHW: Tensor | None = None,
    ) -> Tensor:
        """The next feature map; `tokens` are (B, M, P), by the height of the map."""
        given = (h_BCHW, embedding_BE, tokens.get(self._height), skip_BCHW)
        if self._checkpointing and torch.is_grad_enabled():
            recomputed: Tensor = checkpoint(self._compute, *given, use_reentrant=False)
            return recomputed
        return self._compute(*given)

    def cached_skip(self, skip_BCHW: Tensor) -> CachedSkip:
        """What the step makes of what the way down left behind, before it sees the map so far."""
        assert isinstance(self.block, ResidualBlock), "no other takes what was left behind"
        return self.block.cached_skip(skip_BCHW)

    def finish(
        self, h_BCHW: Tensor, embedding_BE: Tensor, tokens: dict[int, Tensor], part: CachedSkip
    ) -> Tensor:
        """What `forward` makes of the map so far and what `part` was made of, up to rounding."""
        assert isinstance(self.block, ResidualBlock), "no other takes what was left behind"
        h_BCHW = self.block.finish(h_BCHW, part, embedding_BE)
        return self._attend(h_BCHW, tokens.get(self._height))

    def _compute(
        self,
        h_BCHW: Tensor,
        embedding_BE: Tensor,
        token_BMP: Tensor | None,
        skip_BCHW: Tensor | None,
    ) -> Tensor:
        if skip_BCHW is not None:
            h_BCHW = torch.cat([h_BCHW, skip_BCHW], dim=1)
        h_BCHW = self.block(h_BCHW, embedding_BE) if self._embeds else self.block(h_BCHW)
        return self._attend(h_BCHW, token_BMP)

    def _attend(self, h_BCHW: Tensor, token_BMP: Tensor | None) -> Tensor:
        for attention in self.attention:
            h_BCHW = attention(h_BCHW, token_BMP)
        return h_BCHW


@final
class StepMaker:
    """Makes steps as the options ask for them.

    Args:
        embedding: E.
        tokens: P.
    """

    def __init__(self, options: AdmOptions, *, embedding: int, tokens: int) -> None:
        self._options = options
        self._embedding = embedding
        self._tokens = tokens

    def residual(self, inputs: int, outputs: int, *, height: int, takes_skip: bool = False) -> Step:
        """A residual block, with attention where its height is listed."""
        listed = height in self._options.attention
        return self._step(
            self._block(inputs, outputs),
            height=height,
            attention=self._attention(outputs, height=height) if listed else (),
            takes_skip=takes_skip,
        )

    def middle(self, channels: int, *, height: int) -> nn.ModuleList:
        """Block, attention, block; here ADM has attention whether it is listed or not."""
        attention = self._attention(channels, height=height)
        return nn.ModuleList(
            [
                self._step(self._block(channels, channels), height=height, attention=attention),
                self._step(self._block(channels, channels), height=height),
            ]
        )

    def downsample(self, channels: int, *, height: int) -> Step:
        """Half the size, to `height`."""
        if self._options.updown_blocks:
            resize = Downsample(channels, learned=False)
            return self._step(self._block(channels, channels, resize=resize), height=height)
        return self._step(Downsample(channels, learned=True), height=height)

    def upsample(self, channels: int, *, height: int) -> Step:
        """Twice the size, to `height`."""
        if self._options.updown_blocks:
            resize = Upsample(channels, learned=False)
            return self._step(self._block(channels, channels, resize=resize), height=height)
        return self._step(Upsample(channels, learned=True), height=height)

    def _step(
        self,
        block: ResidualBlock | Downsample | Upsample,
        *,
        height: int,
        attention: Sequence[Attention | Transformer] = (),
        takes_skip: bool = False,
    ) -> Step:
        return Step(
            block,
            height=height,
            attention=attention,
            takes_skip=takes_skip,
            checkpointing=self._options.checkpointing,
        )

    def _attention(self, channels: int, *, height: int) -> Sequence[Attention | Transformer]:
        options = self._options
        if options.estimate == "transformer":
            width = options.transformer_width
            heads = options.heads_at(width)
            return [Transformer(channels, width=width, heads=heads, tokens=self._tokens)]
        heads = options.heads_at(channels)
        enters = height in options.attention and options.estimate not in {"concatenation", "none"}
        tokens = self._tokens if enters else None
        if options.estimate == "cross-attention" and enters:
            return [
                Attention(channels, heads=heads),
                Attention(channels, heads=heads, tokens=tokens, itself=False),
            ]
        return [Attention(channels, heads=heads, tokens=tokens)]

    def _block(
        self, inputs: int, outputs: int, *, resize: Downsample | Upsample | None = None
    ) -> ResidualBlock:
        return ResidualBlock(
            inputs,
            outputs,
            embedding=self._embedding,
            dropout=self._options.dropout,
            scale_shift_norm=self._options.scale_shift_norm,
            resize=resize,
        )
