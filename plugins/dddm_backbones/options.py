"""Options of the built-in backbones, and their checks.  Imports no torch."""

import math
from collections.abc import Iterator
from typing import Final, Literal, final

from attrs import frozen

from dddm.interfaces.info import BackboneInfo, DatasetInfo, ImageShape
from dddm.interfaces.plugin import Issue, RecipeContext, option

_MOST_NAMED: Final = 1024
"""The largest number that a remedy offers."""


@final
@frozen(kw_only=True)
class AdmOptions:
    """Options of `adm`; at CIFAR-10 and ImageNet 64×64 size as in §5.1 of the paper."""

    channels: int = option(
        at_least=2,  # one sinusoid has two
        help="Channels of the first stage.  Feature maps of fewer than 128 channels are normalised "
        "in groups of at least 4, so in fewer than ADM's 32 groups.",
    )
    multipliers: tuple[int, ...] = option(
        at_least=1,
        help="Channels of each stage, as multiples; each stage after the first halves the image.",
    )
    blocks: int = option(at_least=1, help="Residual blocks in a stage.")
    attention: tuple[int, ...] = option(
        (),
        at_least=1,
        help="Heights, in pixels, of the feature maps that have attention; the estimate "
        'enters there unless estimate = "concatenation" or "none".',
    )
    estimate: Literal["attention", "cross-attention", "transformer", "concatenation", "none"] = (
        option(
            "attention",
            help="How x̂ enters: as further keys and values of the attention blocks, in "
            "cross-attention blocks of its own after them, in transformer blocks in their place "
            "(the reference code's form, when positions = false), as further channels of x_t, or "
            "not at all.",
        )
    )
    second_time: bool = option(
        default=False,
        help="Embed a second time beside the first, for objectives that ask for one.",
    )
    positions: bool = option(
        default=True,
        help="Give the patches or pixels of x̂ learned positions; without them the network cannot "
        "see where in x̂ something is.",
    )
    classes: bool = option(default=False, help="Condition the network on class labels.")
    dropout: float = option(0.0, at_least=0, below=1, help="Dropout in residual blocks.")
    head_width: int = option(
        64, at_least=1, help="Channels of one attention head; a narrower stage has one head."
    )
    heads: int | None = option(
        None, at_least=1, help="Heads of every attention block, instead of head_width."
    )
    scale_shift_norm: bool = option(
        default=True, help="Let time and class scale and shift the second norm of a block."
    )
    updown_blocks: bool = option(
        default=False,
        help="Downsample and upsample in residual blocks instead of by a convolution.",
    )
    checkpointing: bool = option(
        default=False,
        help="Keep only the input of each step and recompute the rest in the backward pass: less "
        "memory, about a third more time, the same gradients.",
    )
    channels_last: bool = option(
        default=False,
        help="Lay weights and feature maps out with the channels last, which suits the kernels of "
        "newer accelerators; numbers change by rounding alone.",
    )

    @property
    def downsamplings(self) -> int:
        return len(self.multipliers) - 1

    @property
    def transformer_width(self) -> int:
        """Width of every transformer block, as in the reference code."""
        return 4 * self.channels

    @property
    def attended_widths(self) -> tuple[int, ...]:
        """The widths that attention heads share, ascending."""
        if self.estimate == "transformer":
            return (self.transformer_width,)
        return tuple(self.channels * multiplier for multiplier in sorted(set(self.multipliers)))

    def heads_at(self, channels: int) -> int:
        """Attention heads of a feature map or transformer block of so many channels."""
        return self.heads if self.heads is not None else max(1, channels // self.head_width)


@final
@frozen(kw_only=True)
class DecoderOptions:
    """Options of `decoder`; the defaults, 2.2 million parameters, are for 32×32 pixels."""

    widths: tuple[int, ...] = option(
        (192, 96, 48, 24),
        at_least=4,  # channels in a group of its norms
        help="Channels at each size, the smallest first; each size is twice the one before, the "
        "last is the image's.",
    )
    blocks: int = option(1, at_least=1, help="Residual blocks at each size.")
    latent: int = option(128, at_least=1, help="Numbers of the noise that an image is made from.")
    classes: bool = option(default=False, help="Condition the network on class labels.")


def describe_decoder(options: DecoderOptions) -> BackboneInfo:
    return BackboneInfo(estimate=False, time=False, classes=options.classes)


def check_decoder(options: DecoderOptions, context: RecipeContext) -> Iterator[Issue]:
    yield from decoder_issues(options, context.data)
    # The kit checks it without a recipe, with empty tables.
    used = str(context.tables.get("parametrization", {"use": "default"}).get("use", "x-prediction"))
    if used.removeprefix("dddm:") in _NOT_THE_IMAGE:
        yield Issue(
            option="use",
            what=f"this network gives an image, and the parametrization {used} expects something "
            "else of it"
            if used != "default"
            else "this network gives an image, and the schedule's own parametrization expects "
            "something else of it",
            remedy='write [parametrization] and under it use = "x-prediction"',
        )


_NOT_THE_IMAGE = {"default", "residual", "noise", "velocity", "edm", "consistency"}


def decoder_issues(options: DecoderOptions, data: DatasetInfo | None) -> Iterator[Issue]:
    """Check the options, and with them the images if these are known."""
    if not options.widths:
        yield Issue(option="widths", what="widths is empty", remedy="write, for instance, [96, 48]")
        return
    if data is None:
        return
    shape, sizes = data.shape, len(options.widths)
    most = _most_halvings(shape.height, shape.width) + 1
    if sizes > most:
        yield Issue(
            option="widths",
            what=f"{shape.height}×{shape.width} pixels cannot be halved as often as {sizes} sizes "
            "need",
            remedy=f"write {most} widths or fewer",
        )
    if options.latent > shape.values:
        yield Issue(
            option="latent",
            what=f"the noise of an image of {shape} has {shape.values} numbers, not "
            f"{options.latent}",
            remedy=f"use {shape.values} or fewer",
        )
    if options.classes and not data.classes:
        yield Issue(
            option="classes", what="the data have no classes", remedy="write classes = false"
        )


def describe_adm(options: AdmOptions) -> BackboneInfo:
    # torch has forward-mode derivatives neither of checkpointed steps nor of a group norm with the
    # channels last; see `dddm.core.forward_mode`.
    return BackboneInfo(
        estimate=options.estimate != "none",
        second_time=options.second_time,
        forward_mode=not (options.checkpointing or options.channels_last),
        classes=options.classes,
    )


def check_adm(options: AdmOptions, context: RecipeContext) -> Iterator[Issue]:
    yield from issues(options, context.data)


def issues(options: AdmOptions, data: DatasetInfo | None) -> Iterator[Issue]:
    """Check the options against each other and, if they are known, the images."""
    if not options.multipliers:
        yield Issue(option="multipliers", what="multipliers is empty", remedy="write at least [1]")
        return
    yield from _check_heads(options)
    # A transformer is in the middle, whatever heights are listed.
    if options.estimate in {"attention", "cross-attention"} and not options.attention:
        yield _estimate_cannot_enter(options, data)
    if data is not None:
        yield from _check_sizes(options, data.shape)
        if options.classes and not data.classes:
            yield Issue(
                option="classes", what="the data have no classes", remedy="write classes = false"
            )


def _check_heads(options: AdmOptions) -> Iterator[Issue]:
    name = "head_width" if options.heads is None else "heads"
    shared = math.gcd(*options.attended_widths)
    most = min(shared, _MOST_NAMED)  # a recipe may ask for any number of channels
    fitting = [str(number) for number in range(1, most + 1) if shared % number == 0]
    for channels in options.attended_widths:
        heads = options.heads_at(channels)
        if channels % heads:
            yield Issue(
                option=name,
                what=f"{channels} channels cannot be divided among {heads} attention heads",
                remedy=f"use {name} = {' or '.join(fitting)}, which fits every stage",
            )


def _estimate_cannot_enter(options: AdmOptions, data: DatasetInfo | None) -> Issue:
    remedy = "write the heights at which it enters"
    if data is not None and _can_be_halved(options, data.shape):
        remedy = f"write attention = {_heights(options, data.shape)[-1:]}"
    return Issue(
        option="attention",
        what="without attention the estimate cannot enter",
        remedy=f'{remedy}, or estimate = "concatenation"',
    )


def _check_sizes(options: AdmOptions, shape: ImageShape) -> Iterator[Issue]:
    if not _can_be_halved(options, shape):
        yield Issue(
            option="multipliers",
            what=f"{shape.height}×{shape.width} pixels cannot be halved as often as "
            f"{len(options.multipliers)} stages need",
            remedy=f"use no more stages than {_most_halvings(shape.height, shape.width) + 1}",
        )
        return
    heights = _heights(options, shape)
    missing = [height for height in options.attention if height not in heights]
    if missing:
        yield Issue(
            option="attention",
            what=f"no stage is {' or '.join(map(str, missing))} pixels high",
            remedy="the stages are " + ", ".join(map(str, heights)) + " pixels high",
        )


def _can_be_halved(options: AdmOptions, shape: ImageShape) -> bool:
    return _most_halvings(shape.height, shape.width) >= options.downsamplings


def _heights(options: AdmOptions, shape: ImageShape) -> list[int]:
    return [shape.height >> stage for stage in range(len(options.multipliers))]


def _most_halvings(*sizes: int) -> int:
    # size & -size is the largest power of two that divides it.
    return min((size & -size).bit_length() - 1 for size in sizes)
