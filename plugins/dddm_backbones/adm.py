"""ADM's U-Net as F_θ(x̂, x_t, t) (the paper, §5.1).

Down: a convolution, then for each stage `blocks` residual blocks, each followed by attention where
the recipe asks for it, and a halving.  Middle: block, attention, block.  Up: the same as down with
one block more in each stage, each taking what the way down left behind.

x̂ enters at the attention blocks, as further channels of x_t, or not at all.  All steps before the
one in which it first enters are computed in `begin`; without gradients, so is all that the way up
makes of what these left behind, which many steps of sampling share.

Legend: B images, C channels, H rows, W columns, E width of the embedding, M tokens of width P.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from dddm.errors import RecipeError
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm_backbones.attention import EstimateTokens
from dddm_backbones.layers import (
    CachedSkip,
    Embedding,
    SecondTime,
    convolution,
    group_norm,
    zero_init,
)
from dddm_backbones.options import AdmOptions, issues
from dddm_backbones.steps import Step, StepMaker
from dddm_backbones.transformer import EstimatePixels


@final
class Cache(NamedTuple):
    """What the network knows before it sees x̂; a tuple, because torch.compile sees through one.

    Attributes:
        h: the feature map so far; for concatenation, x_t's part of the first convolution; without
            x̂, what the last step leaves.
        skips: what the way down has left behind so far; with `parts`, nothing.
        parts: what the last steps of the way up make of it, in their order; empty with `skips`.
        done: how many steps of the way down are done.
        embedding: time and class, (B, E).
    """

    h: Tensor
    skips: tuple[Tensor, ...]
    parts: tuple[CachedSkip, ...]
    done: int
    embedding: Tensor


@final
class Adm(Backbone):
    """F_θ(x̂, x_t, t).

    Raises:
        RecipeError: if the options do not fit the images or the classes.
    """

    def __init__(self, options: AdmOptions, *, shape: ImageShape, classes: int) -> None:
        super().__init__()
        _refuse_misfit(options, shape=shape, classes=classes)
        self.embedding = Embedding(
            channels=options.channels, classes=classes if options.classes else 0
        )
        heights = [shape.height // 2**stage for stage in range(len(options.multipliers))]
        widths = [options.channels * multiplier for multiplier in options.multipliers]

        self.first = convolution(shape.channels, options.channels)
        self.first_estimate, self.tokens, self.pixels = _entrances(
            options, shape=shape, heights=heights
        )
        make = StepMaker(
            options,
            embedding=self.embedding.width,
            tokens=options.channels if self.pixels is None else self.pixels.width,
        )
        self.down, skip_channels = _make_encoder(
            make, options=options, heights=heights, widths=widths
        )
        self.middle = make.middle(widths[-1], height=heights[-1])
        self.up = _make_decoder(
            make, options=options, heights=heights, widths=widths, skip_channels=skip_channels
        )
        self.last_norm = group_norm(widths[0])
        self.last = zero_init(convolution(widths[0], shape.channels))
        # The last to be made, so that all other weights begin as they do without it.
        self.second_time = SecondTime(channels=options.channels) if options.second_time else None
        self._takes_estimate = options.estimate != "none"
        self._heights = heights
        self._layout = torch.channels_last if options.channels_last else torch.contiguous_format
        if options.channels_last:
            self.to(memory_format=self._layout)  # type: ignore[call-overload]  # not annotated

    @property
    def uses_labels(self) -> bool:
        """Whether the network is conditioned on class labels."""
        return self.embedding.label is not None

    @property
    def takes_estimate(self) -> bool:
        """Whether x̂ enters the network."""
        return self._takes_estimate

    @property
    def takes_second_time(self) -> bool:
        """Whether a second time is embedded beside the first."""
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
        if not self._takes_estimate:
            h_BCHW = self._to_last_step(h_BCHW, skips, [], embedding_BE, {})
            return Cache(h=h_BCHW, skips=(), parts=(), done=done, embedding=embedding_BE)
        parts: list[CachedSkip] = []
        if self.first_estimate is None and not (self.training or torch.is_grad_enabled()):
            takers = [step for step in self._decoder() if step.takes_skip][-len(skips) :]
            parts = [
                step.cached_skip(skip) for step, skip in zip(takers, reversed(skips), strict=True)
            ]
            skips = []
        return Cache(
            h=h_BCHW, skips=tuple(skips), parts=tuple(parts), done=done, embedding=embedding_BE
        )

    def select(self, cache: Cache, *, index: Tensor) -> Cache:
        """What `begin` would have returned for these images of the batch alone."""
        return Cache(
            h=cache.h[index],
            skips=tuple(skip_BCHW[index] for skip_BCHW in cache.skips),
            parts=tuple(CachedSkip(*(each[index] for each in part)) for part in cache.parts),
            done=cache.done,
            embedding=cache.embedding[index],
        )

    def refine(self, cache: Cache, *, estimate: Tensor | None) -> Tensor:
        """F, (B, C, H, W)."""
        if not self._takes_estimate:
            return self._leave(cache.h)
        assert estimate is not None, "x̂ enters this network"
        h_BCHW, skips, embedding_BE = cache.h, list(cache.skips), cache.embedding
        estimate = estimate.contiguous(memory_format=self._layout)
        if self.first_estimate is not None:
            h_BCHW = h_BCHW + self.first_estimate(estimate)
            skips = [h_BCHW]
        tokens = self._tokens(estimate)
        for step in self.down[cache.done :]:
            h_BCHW = step(h_BCHW, embedding_BE, tokens)
            skips.append(h_BCHW)
        return self._leave(self._to_last_step(h_BCHW, skips, cache.parts, embedding_BE, tokens))

    def _embed(self, *, t: Tensor, label: Tensor | None, second_time: Tensor | None) -> Tensor:
        embedding_BE: Tensor = self.embedding(t=t, label=label)
        if self.second_time is None:
            if second_time is not None:
                raise ValueError("this network takes no second time: say second_time = true")
            return embedding_BE
        if second_time is None:
            raise ValueError("this network takes a second time, and none was given")
        second_BE: Tensor = self.second_time(second_time)
        return embedding_BE + second_BE

    def _to_last_step(
        self,
        h_BCHW: Tensor,
        skips: list[Tensor],
        parts: Sequence[CachedSkip],
        embedding_BE: Tensor,
        tokens: dict[int, Tensor],
    ) -> Tensor:
        """The middle and the way up."""
        for step in self.middle:
            h_BCHW = step(h_BCHW, embedding_BE, tokens)
        remaining = iter(parts)
        for step in self._decoder():
            if step.takes_skip and not skips:
                h_BCHW = step.finish(h_BCHW, embedding_BE, tokens, next(remaining))
            else:
                skip_BCHW = skips.pop() if step.takes_skip else None
                h_BCHW = step(h_BCHW, embedding_BE, tokens, skip_BCHW)
        return h_BCHW

    def _leave(self, h_BCHW: Tensor) -> Tensor:
        raw_BCHW: Tensor = self.last(functional.silu(self.last_norm(h_BCHW)))
        return raw_BCHW.contiguous()

    def _decoder(self) -> Iterator[Step]:
        for step in self.up:
            assert isinstance(step, Step)  # for the type checker: a ModuleList forgets it
            yield step

    def _tokens(self, estimate: Tensor) -> dict[int, Tensor]:
        """What of x̂ the steps at each height attend to, (B, M, P)."""
        if self.pixels is not None:
            return dict.fromkeys(self._heights, self.pixels(estimate))
        return {int(height): make(estimate) for height, make in self.tokens.items()}


def _refuse_misfit(options: AdmOptions, *, shape: ImageShape, classes: int) -> None:
    facts = DatasetInfo(
        shape=shape, train_images=1, classes=tuple(str(label) for label in range(classes))
    )
    for issue in issues(options, facts):
        raise RecipeError(
            f"the backbone cannot be built: {issue.what}",
            where=f"backbone.{issue.option}",
            remedy=issue.remedy,
        )


def _entrances(
    options: AdmOptions, *, shape: ImageShape, heights: list[int]
) -> tuple[nn.Conv2d | None, nn.ModuleDict, EstimatePixels | None]:
    """Where x̂ enters: a part of the first convolution, tokens for each height, or its pixels."""
    if options.estimate == "concatenation":
        # [x_t, x̂] through one convolution is x_t through a part of it plus x̂ through the other;
        # so x_t's part can be computed once.
        part = nn.Conv2d(shape.channels, options.channels, kernel_size=3, padding=1, bias=False)
        return part, nn.ModuleDict(), None
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
    make: StepMaker, *, options: AdmOptions, heights: list[int], widths: list[int]
) -> tuple[nn.ModuleList, list[int]]:
    """The steps down, and the channels that the first convolution and each of them leave."""
    steps = nn.ModuleList()
    skip_channels = [options.channels]
    for height, width in zip(heights, widths, strict=True):
        if steps:
            steps.append(make.downsample(skip_channels[-1], height=height))
            skip_channels.append(skip_channels[-1])
        for _ in range(options.blocks):
            steps.append(make.residual(skip_channels[-1], width, height=height))
            skip_channels.append(width)
    return steps, skip_channels


def _make_decoder(
    make: StepMaker,
    *,
    options: AdmOptions,
    heights: list[int],
    widths: list[int],
    skip_channels: list[int],
) -> nn.ModuleList:
    """The steps up; each residual block takes what is left behind, the last first."""
    steps = nn.ModuleList()
    channels, left = widths[-1], list(skip_channels)
    for height, width in zip(reversed(heights), reversed(widths), strict=True):
        if steps:
            steps.append(make.upsample(channels, height=height))
        for _ in range(options.blocks + 1):
            steps.append(
                make.residual(channels + left.pop(), width, height=height, takes_skip=True)
            )
            channels = width
    return steps
