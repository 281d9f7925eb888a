"""ADM's U-Net (Dhariwal & Nichol 2021) as F_θ(x̂, x_t, t) (the paper, §5.1).

Encoder: a convolution, then for each stage `blocks` residual blocks, each followed by attention
where the recipe asks for it, and a downsampling.  Middle: block, attention, block.  Decoder: the
same as the encoder with one block more in each stage, each with a skip connection from the encoder.

x̂ enters at the attention blocks, as further channels of x_t, or not at all.  All steps before the
one in which it first enters are computed in `begin`; without gradients, so is all that the decoder
can compute from their skip connections alone, which many steps of sampling share.

Legend: B images, C channels, H rows, W columns, E width of the embedding, M tokens of width P.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from dddm.errors import RecipeError
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm_backbones.attention import Attention, EstimatePixels, EstimateTokens, Transformer
from dddm_backbones.layers import (
    CachedSkip,
    Downsample,
    Embedding,
    ResidualBlock,
    SecondTime,
    Upsample,
    convolution,
    group_norm,
    zero_init,
)
from dddm_backbones.options import AdmOptions, issues


@final
class Cache(NamedTuple):
    """What is computed before x̂ enters.  A tuple, because torch.compile can trace through one.

    Attributes:
        h: the feature map so far; for concatenation, x_t's term of the first convolution; without
            x̂, the output of the last step.
        skips: the skip connections so far; empty if `cached_skips` is not.
        cached_skips: what the last steps of the decoder compute from them, in the decoder's order.
        steps_done: how many steps of the encoder are done.
        embedding: time and class, (B, E).
    """

    h: Tensor
    skips: tuple[Tensor, ...]
    cached_skips: tuple[CachedSkip, ...]
    steps_done: int
    embedding: Tensor


@final
class Step(nn.Module):
    """A residual block or a change of size, with the attention blocks that follow it.

    Args:
        height: of its feature map; selects the tokens of x̂ that its attention sees.
        takes_skip: whether its input is concatenated with the encoder's output of that size.
        checkpointing: whether the backward pass recomputes the step, with the same dropout.
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
        """What can be computed of a skip connection before the other input is known."""
        assert isinstance(self.block, ResidualBlock), "no other block takes a skip connection"
        return self.block.cached_skip(skip_BCHW)

    def finish(
        self, h_BCHW: Tensor, embedding_BE: Tensor, tokens: dict[int, Tensor], skip: CachedSkip
    ) -> Tensor:
        """What `forward` returns for h and the skip connection, up to rounding."""
        assert isinstance(self.block, ResidualBlock), "no other block takes a skip connection"
        h_BCHW = self.block.finish(h_BCHW, skip, embedding_BE)
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
class StepFactory:
    """Makes steps as the options ask for them.

    Args:
        embedding: E.
        tokens: P.
    """

    def __init__(self, options: AdmOptions, *, embedding: int, tokens: int) -> None:
        self._options = options
        self._tokens = tokens
        self._block = partial(
            ResidualBlock,
            embedding=embedding,
            dropout=options.dropout,
            scale_shift_norm=options.scale_shift_norm,
        )
        self._step = partial(Step, checkpointing=options.checkpointing)

    def residual(self, inputs: int, outputs: int, *, height: int, takes_skip: bool = False) -> Step:
        """A residual block, with attention where its height is listed."""
        block = self._block(inputs, outputs)
        listed = height in self._options.attention
        attention = self._attention(outputs, height=height) if listed else ()
        return self._step(block, height=height, attention=attention, takes_skip=takes_skip)

    def middle(self, channels: int, *, height: int) -> nn.ModuleList:
        """Block, attention, block; here ADM has attention whether its height is listed or not."""
        attention = self._attention(channels, height=height)
        return nn.ModuleList(
            [
                self._step(self._block(channels, channels), height=height, attention=attention),
                self._step(self._block(channels, channels), height=height),
            ]
        )

    def resize(self, layer: type[Downsample | Upsample], channels: int, *, height: int) -> Step:
        """Half or twice the size, to `height`."""
        if self._options.updown_blocks:
            block = self._block(channels, channels, resize=layer(channels, learned=False))
            return self._step(block, height=height)
        return self._step(layer(channels, learned=True), height=height)

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
                Attention(channels, heads=heads, tokens=tokens, self_attention=False),
            ]
        return [Attention(channels, heads=heads, tokens=tokens)]


@final
class Adm(Backbone):
    """F_θ(x̂, x_t, t).

    Raises:
        RecipeError: if the options do not fit the images or the classes.
    """

    def __init__(self, options: AdmOptions, *, shape: ImageShape, classes: int) -> None:
        super().__init__()
        _check_fit(options, shape=shape, classes=classes)
        self.embedding = Embedding(
            channels=options.channels, classes=classes if options.classes else 0
        )
        heights = [shape.height // 2**stage for stage in range(len(options.multipliers))]
        widths = [options.channels * multiplier for multiplier in options.multipliers]

        self.first = convolution(shape.channels, options.channels)
        self.first_estimate, self.tokens, self.pixels = _make_estimate_layers(
            options, shape=shape, heights=heights
        )
        factory = StepFactory(
            options,
            embedding=self.embedding.width,
            tokens=options.channels if self.pixels is None else self.pixels.width,
        )
        self.down, skip_channels = _make_encoder(
            factory, options=options, heights=heights, widths=widths
        )
        self.middle = factory.middle(widths[-1], height=heights[-1])
        self.up = _make_decoder(
            factory, options=options, heights=heights, widths=widths, skip_channels=skip_channels
        )
        self.last_norm = group_norm(widths[0])
        self.last = zero_init(convolution(widths[0], shape.channels))
        # Made last, so that all other initial weights are drawn as they are without it.
        self.second_time = SecondTime(channels=options.channels) if options.second_time else None
        self._takes_estimate = options.estimate != "none"
        self._heights = heights
        self._layout = torch.channels_last if options.channels_last else torch.contiguous_format
        if options.channels_last:
            self.to(memory_format=self._layout)  # type: ignore[call-overload]  # not annotated

    @property
    def uses_labels(self) -> bool:
        return self.embedding.label is not None

    @property
    def takes_estimate(self) -> bool:
        return self._takes_estimate

    @property
    def takes_second_time(self) -> bool:
        return self.second_time is not None

    def begin(
        self, *, x_t: Tensor, t: Tensor, label: Tensor | None, second_time: Tensor | None = None
    ) -> Cache:
        """Everything up to where x̂ first enters.

        Raises:
            ValueError: if a second time is missing, or given to a network that takes none.
        """
        embedding_BE = self._embed(t=t, label=label, second_time=second_time)
        h_BCHW = self.first(x_t.contiguous(memory_format=self._layout))
        skips, done = [h_BCHW], 0
        if self.first_estimate is None:
            for step in self.down:
                if step.sees_estimate:
                    break
                h_BCHW = step(h_BCHW, embedding_BE, {})
                skips.append(h_BCHW)
                done += 1
        cached_skips: list[CachedSkip] = []
        if not self._takes_estimate:
            h_BCHW = self._decode(h_BCHW, skips, [], embedding_BE, {})
            skips = []
        elif self.first_estimate is None and not (self.training or torch.is_grad_enabled()):
            # The decoder takes skip connections in reverse, so the first of them go to its end.
            takers = [step for step in self._decoder() if step.takes_skip][-len(skips) :]
            cached_skips = [
                step.cached_skip(skip) for step, skip in zip(takers, reversed(skips), strict=True)
            ]
            skips = []
        return Cache(
            h=h_BCHW,
            skips=tuple(skips),
            cached_skips=tuple(cached_skips),
            steps_done=done,
            embedding=embedding_BE,
        )

    def select(self, cache: Cache, *, index: Tensor) -> Cache:
        return Cache(
            h=cache.h[index],
            skips=tuple(skip_BCHW[index] for skip_BCHW in cache.skips),
            cached_skips=tuple(
                CachedSkip(*(tensor[index] for tensor in skip)) for skip in cache.cached_skips
            ),
            steps_done=cache.steps_done,
            embedding=cache.embedding[index],
        )

    def refine(self, cache: Cache, *, estimate: Tensor | None) -> Tensor:
        if not self._takes_estimate:
            return self._output(cache.h)
        assert estimate is not None, "this network takes x̂"
        h_BCHW, skips, embedding_BE = cache.h, list(cache.skips), cache.embedding
        estimate = estimate.contiguous(memory_format=self._layout)
        if self.first_estimate is not None:
            h_BCHW = h_BCHW + self.first_estimate(estimate)
            skips = [h_BCHW]
        # The tokens of x̂ that the steps at each height attend to, (B, M, P).
        if self.pixels is not None:
            tokens = dict.fromkeys(self._heights, self.pixels(estimate))
        else:
            tokens = {int(height): make(estimate) for height, make in self.tokens.items()}
        for step in self.down[cache.steps_done :]:
            h_BCHW = step(h_BCHW, embedding_BE, tokens)
            skips.append(h_BCHW)
        return self._output(self._decode(h_BCHW, skips, cache.cached_skips, embedding_BE, tokens))

    def _embed(self, *, t: Tensor, label: Tensor | None, second_time: Tensor | None) -> Tensor:
        embedding_BE: Tensor = self.embedding(t=t, label=label)
        if self.second_time is None:
            if second_time is not None:
                raise ValueError("this network takes no second time; write second_time = true")
            return embedding_BE
        if second_time is None:
            raise ValueError("this network takes a second time, and none was given")
        second_BE: Tensor = self.second_time(second_time)
        return embedding_BE + second_BE

    def _decode(
        self,
        h_BCHW: Tensor,
        skips: list[Tensor],
        cached_skips: Sequence[CachedSkip],
        embedding_BE: Tensor,
        tokens: dict[int, Tensor],
    ) -> Tensor:
        """The middle and the decoder."""
        for step in self.middle:
            h_BCHW = step(h_BCHW, embedding_BE, tokens)
        remaining = iter(cached_skips)
        for step in self._decoder():
            if step.takes_skip and not skips:
                h_BCHW = step.finish(h_BCHW, embedding_BE, tokens, next(remaining))
            else:
                skip_BCHW = skips.pop() if step.takes_skip else None
                h_BCHW = step(h_BCHW, embedding_BE, tokens, skip_BCHW)
        return h_BCHW

    def _output(self, h_BCHW: Tensor) -> Tensor:
        raw_BCHW: Tensor = self.last(functional.silu(self.last_norm(h_BCHW)))
        return raw_BCHW.contiguous()

    def _decoder(self) -> Iterator[Step]:
        for step in self.up:
            assert isinstance(step, Step)  # for the type checker: a ModuleList forgets it
            yield step


def _check_fit(options: AdmOptions, *, shape: ImageShape, classes: int) -> None:
    data = DatasetInfo(
        shape=shape, train_images=1, classes=tuple(str(label) for label in range(classes))
    )
    for issue in issues(options, data):
        raise RecipeError(
            f"the backbone cannot be built: {issue.what}",
            where=f"backbone.{issue.option}",
            remedy=issue.remedy,
        )


def _make_estimate_layers(
    options: AdmOptions, *, shape: ImageShape, heights: list[int]
) -> tuple[nn.Conv2d | None, nn.ModuleDict, EstimatePixels | None]:
    """Where x̂ enters: a term of the first convolution, tokens for each height, or its pixels."""
    if options.estimate == "concatenation":
        # A convolution of [x_t, x̂] is one of x_t plus one of x̂; x_t's term is computed once.
        term = nn.Conv2d(shape.channels, options.channels, kernel_size=3, padding=1, bias=False)
        return term, nn.ModuleDict(), None
    if options.estimate == "none":
        return None, nn.ModuleDict(), None
    if options.estimate == "transformer":
        pixels = EstimatePixels(
            shape=shape, width_of_position=options.channels, positions=options.positions
        )
        return None, nn.ModuleDict(), pixels
    tokens = {
        str(height): EstimateTokens(
            shape=shape,
            height=height,
            width_of_token=options.channels,
            positions=options.positions,
        )
        for height in heights
        if height in options.attention
    }
    return None, nn.ModuleDict(tokens), None


def _make_encoder(
    factory: StepFactory, *, options: AdmOptions, heights: list[int], widths: list[int]
) -> tuple[nn.ModuleList, list[int]]:
    """The encoder's steps, and the output channels of the first convolution and of each step."""
    steps = nn.ModuleList()
    skip_channels = [options.channels]
    for height, width in zip(heights, widths, strict=True):
        if steps:
            steps.append(factory.resize(Downsample, skip_channels[-1], height=height))
            skip_channels.append(skip_channels[-1])
        for _ in range(options.blocks):
            steps.append(factory.residual(skip_channels[-1], width, height=height))
            skip_channels.append(width)
    return steps, skip_channels


def _make_decoder(
    factory: StepFactory,
    *,
    options: AdmOptions,
    heights: list[int],
    widths: list[int],
    skip_channels: list[int],
) -> nn.ModuleList:
    """The decoder's steps; each residual block takes a skip connection, the last first."""
    steps = nn.ModuleList()
    channels, remaining = widths[-1], list(skip_channels)
    for height, width in zip(reversed(heights), reversed(widths), strict=True):
        if steps:
            steps.append(factory.resize(Upsample, channels, height=height))
        for _ in range(options.blocks + 1):
            steps.append(
                factory.residual(channels + remaining.pop(), width, height=height, takes_skip=True)
            )
            channels = width
    return steps
