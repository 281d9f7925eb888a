"""The layers of ADM's U-Net (Dhariwal & Nichol 2021, arXiv 2105.05233).

Legend: B images, C channels, H rows, W columns, E width of the embedding of time and class.
"""

import math
from typing import Final, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional

_MOST_GROUPS: Final = 32
_CHANNELS_IN_A_GROUP: Final = 4
_LONGEST_PERIOD: Final = 10_000.0


def group_norm(channels: int, *, epsilon: float = 1e-5) -> nn.GroupNorm:
    """Group norm with at most 32 groups of at least 4 channels each."""
    # A group of one channel would subtract the channel's mean, and with it all that time and class
    # had added to it.
    most = max(1, min(_MOST_GROUPS, channels // _CHANNELS_IN_A_GROUP))
    groups = next(n for n in range(most, 0, -1) if channels % n == 0)
    return GroupNorm(groups, channels, eps=epsilon)


@final
class GroupNorm(nn.GroupNorm):
    """torch's, with its parameters, in the form that suits the device."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return normed(x_BCHW, self.num_groups, self.weight, self.bias, self.eps)


def normed(x_BCHW: Tensor, groups: int, weight_C: Tensor, bias_C: Tensor, epsilon: float) -> Tensor:
    """What `functional.group_norm` computes."""
    if _is_compiled_for_gpu(x_BCHW):
        return norm_by_moments(x_BCHW, groups, weight_C, bias_C, epsilon)
    return functional.group_norm(x_BCHW, groups, weight_C, bias_C, epsilon)


def _is_compiled_for_gpu(x: Tensor) -> bool:
    return torch.compiler.is_compiling() and x.is_cuda


def norm_by_moments(
    x_BCHW: Tensor, groups: int, weight_C: Tensor, bias_C: Tensor, epsilon: float
) -> Tensor:
    """Group norm from each channel's first two moments, which reads either layout in its order.

    On a GPU torch's own first copies what has its channels last.  Compiled, this is one reduction
    and one expression that is fused with what follows: on an H200 a step of the CIFAR-10 network
    in bfloat16 took 48 ms instead of 67, before the moments were taken from an origin.
    """
    x_BCHW = x_BCHW.to(torch.promote_types(x_BCHW.dtype, torch.float32))
    # E d² − (E d)² would lose all digits where a mean is large beside its deviation.  Of n values
    # none is further from the mean than √n deviations, so the distances d to one of them do not.
    # The norm does not depend on it, nor does the gradient.
    channels = len(weight_C) // groups
    origin_BG = x_BCHW.detach()[:, ::channels, 0, 0]
    d_BCHW = x_BCHW - origin_BG.repeat_interleave(channels, dim=1)[:, :, None, None]
    moments_2BC = torch.stack([d_BCHW.mean((2, 3)), d_BCHW.square().mean((2, 3))])
    mean_BG, square_BG = moments_2BC.reshape(2, -1, groups, channels).mean(3)
    scale_BG = torch.rsqrt(square_BG - mean_BG.square() + epsilon)
    mean_BC, scale_BC = (one.repeat_interleave(channels, dim=1) for one in (mean_BG, scale_BG))
    gain_BC = scale_BC * weight_C
    shift_BC = bias_C - mean_BC * gain_BC
    normed_BCHW = d_BCHW * gain_BC[:, :, None, None] + shift_BC[:, :, None, None]
    return normed_BCHW.to(weight_C.dtype)


def convolution(inputs: int, outputs: int, *, stride: int = 1) -> nn.Conv2d:
    """3×3, keeping the size but for the stride."""
    return nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1)


def zero_init(layer: nn.Module) -> nn.Module:
    """Set all parameters to zero, so that a residual branch contributes nothing at first."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def sinusoids(t_B: Tensor, *, width: int) -> Tensor:
    """Cosines, then sines, of t at `width`/2 frequencies, from 1 down towards 1/10,000: (B, width).

    float32; an odd width ends with a zero.
    """
    half = width // 2
    steps = torch.arange(half, dtype=torch.float32, device=t_B.device)
    angles = t_B.float()[:, None] * torch.exp(-math.log(_LONGEST_PERIOD) / half * steps)
    waves = torch.cat([angles.cos(), angles.sin()], dim=1)
    return functional.pad(waves, (0, width - 2 * half))


@final
class Embedding(nn.Module):
    """Time, and class where there are any, as one vector (B, E)."""

    def __init__(self, *, channels: int, classes: int) -> None:
        super().__init__()
        self._channels = channels
        self.width = 4 * channels
        self.time = nn.Sequential(
            nn.Linear(channels, self.width), nn.SiLU(), nn.Linear(self.width, self.width)
        )
        self.label = nn.Embedding(classes, self.width) if classes else None

    def forward(self, *, t: Tensor, label: Tensor | None) -> Tensor:
        """(B, E) from the network's times, (B,), and labels, (B,), int64.

        Raises:
            ValueError: if labels are missing or, on the CPU, unknown.  An accelerator reports
                unknown ones itself; checking here would synchronise it at every step.
        """
        embedding_BE: Tensor = self.time(sinusoids(t, width=self._channels))
        if self.label is None:
            return embedding_BE
        if label is None:
            raise ValueError("this network is conditioned on classes, and no labels were given")
        try:
            label_BE: Tensor = self.label(label)
        except IndexError as error:
            known = f"0…{self.label.num_embeddings - 1}"
            raise ValueError(f"a label is outside the known classes, {known}") from error
        return embedding_BE + label_BE


@final
class SecondTime(nn.Module):
    """A second time, (B,), as a vector (B, E) that is zero at first, as if it were not there."""

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self._channels = channels
        width = 4 * channels
        self.enter = nn.Linear(channels, width)
        self.leave = zero_init(nn.Linear(width, width))

    def forward(self, second_time_B: Tensor) -> Tensor:
        h_BE = functional.silu(self.enter(sinusoids(second_time_B, width=self._channels)))
        embedding_BE: Tensor = self.leave(h_BE)
        return embedding_BE


@final
class Downsample(nn.Module):
    """(B, C, H, W) → (B, C, H/2, W/2), by a convolution or by averaging."""

    def __init__(self, channels: int, *, learned: bool) -> None:
        super().__init__()
        self.convolution = convolution(channels, channels, stride=2) if learned else None

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if self.convolution is None:
            return functional.avg_pool2d(x_BCHW, kernel_size=2)
        half: Tensor = self.convolution(x_BCHW)
        return half


def convolve_upsampled(x_BCHW: Tensor, weight_OC33: Tensor, bias_O: Tensor | None) -> Tensor:
    """A 3×3 convolution of the upsampled image, (B, O, 2H, 2W), without upsampling it.

    Of the three rows that a kernel sees of an upsampled image, two are the same, so their weights
    can be added first.  Output row 2i sees row i−1 by w_0 and row i by w_1 + w_2, row 2i+1 sees row
    i by w_0 + w_1 and row i+1 by w_2; columns likewise.  Together that is a transposed convolution
    of stride 2, with 16 products where there were 36.
    """
    for dimension in (2, 3):
        first, second, third = weight_OC33.unbind(dimension)
        weight_OC33 = torch.stack([third, second + third, first + second, first], dim=dimension)
    weight_CO44 = weight_OC33.transpose(0, 1)
    return functional.conv_transpose2d(x_BCHW, weight_CO44, bias_O, stride=2, padding=1)


@final
class Upsample(nn.Module):
    """(B, C, H, W) → (B, C, 2H, 2W), nearest, then a convolution if `learned`."""

    def __init__(self, channels: int, *, learned: bool) -> None:
        super().__init__()
        self.convolution = convolution(channels, channels) if learned else None

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if self.convolution is not None and x_BCHW.device.type == "cpu":
            # Half the time on a CPU; not measured on other devices.
            return convolve_upsampled(x_BCHW, self.convolution.weight, self.convolution.bias)
        upsampled = functional.interpolate(x_BCHW, scale_factor=2, mode="nearest")
        if self.convolution is None:
            return upsampled
        convolved: Tensor = self.convolution(upsampled)
        return convolved


@final
class CachedSkip(NamedTuple):
    """What a block can compute of a skip connection before the other input is known.

    Attributes:
        shared: the channels that share a group of the norm with the other input, (B, S, H, W); S
            may be 0.
        first: the first convolution's output for the rest, (B, outputs, H, W); zeros (B, outputs,
            1, 1) if there is no rest.
        short_cut: the short cut's output for all channels, (B, outputs, H, W).
    """

    shared: Tensor
    first: Tensor
    short_cut: Tensor


@final
class ResidualBlock(nn.Module):
    """Two convolutions with time and class in between, beside a short cut.

    `resize` is applied before the first convolution and in the short cut.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        embedding: int,
        dropout: float,
        scale_shift_norm: bool,
        resize: Downsample | Upsample | None = None,
    ) -> None:
        super().__init__()
        self._scale_shift_norm = scale_shift_norm
        self.resize = resize
        self.first_norm = group_norm(inputs)
        self.first = convolution(inputs, outputs)
        self.embed = nn.Linear(embedding, 2 * outputs if scale_shift_norm else outputs)
        self.second_norm = group_norm(outputs)
        self.dropout = nn.Dropout(dropout)
        self.second = zero_init(convolution(outputs, outputs))
        self.short_cut = (
            nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, kernel_size=1)
        )

    def forward(self, x_BCHW: Tensor, embedding_BE: Tensor) -> Tensor:
        """(B, outputs, H, W), or half or twice that size."""
        h_BCHW = functional.silu(self.first_norm(x_BCHW))
        if self.resize is not None:
            h_BCHW, x_BCHW = self.resize(h_BCHW), self.resize(x_BCHW)
        return self._after_first(self.first(h_BCHW), self.short_cut(x_BCHW), embedding_BE)

    def cached_skip(self, skip_BCHW: Tensor) -> CachedSkip:
        """Compute what `finish` needs of the last input channels, (B, S, H, W).

        A convolution is a sum over input channels, and a norm looks at one group at a time, so all
        but the group that lies across the border can be computed without the other input.
        """
        border = self.first_norm.num_channels - skip_BCHW.shape[1]
        # The first channel of the first group that has none before the border.
        size = self.first_norm.num_channels // self.first_norm.num_groups
        whole = -(-border // size) * size
        shared_BSHW, rest_BSHW = skip_BCHW.tensor_split([whole - border], dim=1)
        if rest_BSHW.shape[1]:
            normed_BSHW = self._normed(rest_BSHW, begin=whole)
            first_BCHW = functional.conv2d(normed_BSHW, self.first.weight[:, whole:], padding=1)
        else:
            first_BCHW = skip_BCHW.new_zeros(len(skip_BCHW), self.first.out_channels, 1, 1)
        return CachedSkip(
            shared=shared_BSHW,
            first=first_BCHW,
            short_cut=functional.conv2d(skip_BCHW, self._mixing.weight[:, border:]),
        )

    def finish(self, x_BCHW: Tensor, skip: CachedSkip, embedding_BE: Tensor) -> Tensor:
        """What `forward` returns for x, (B, C, H, W), and the skip connection, up to rounding."""
        border = x_BCHW.shape[1]
        joined_BCHW = torch.cat([x_BCHW, skip.shared], dim=1) if skip.shared.shape[1] else x_BCHW
        whole = joined_BCHW.shape[1]
        first_BCHW = functional.conv2d(
            self._normed(joined_BCHW, begin=0),
            self.first.weight[:, :whole],
            self.first.bias,
            padding=1,
        )
        mixing = self._mixing
        short_BCHW = functional.conv2d(x_BCHW, mixing.weight[:, :border], mixing.bias)
        return self._after_first(
            first_BCHW.add_(skip.first), short_BCHW.add_(skip.short_cut), embedding_BE
        )

    @property
    def _mixing(self) -> nn.Conv2d:
        assert isinstance(self.short_cut, nn.Conv2d), (
            "with a skip connection there are more inputs than outputs"
        )
        return self.short_cut

    def _normed(self, x_BCHW: Tensor, *, begin: int) -> Tensor:
        """Whole groups of the first norm, those of the inputs from `begin` on, activated."""
        norm, end = self.first_norm, begin + x_BCHW.shape[1]
        groups = x_BCHW.shape[1] * norm.num_groups // norm.num_channels
        return functional.silu(
            normed(x_BCHW, groups, norm.weight[begin:end], norm.bias[begin:end], norm.eps)
        )

    def _after_first(self, h_BCHW: Tensor, short_BCHW: Tensor, embedding_BE: Tensor) -> Tensor:
        """From the first convolution's output on."""
        embedded_BC11 = self.embed(functional.silu(embedding_BE))[:, :, None, None]
        if self._scale_shift_norm:
            scale_BC11, shift_BC11 = embedded_BC11.chunk(2, dim=1)
            h_BCHW = torch.addcmul(shift_BC11, self.second_norm(h_BCHW), 1 + scale_BC11)
        else:
            h_BCHW = self.second_norm(h_BCHW + embedded_BC11)
        change_BCHW: Tensor = self.second(self.dropout(functional.silu(h_BCHW)))
        return short_BCHW + change_BCHW
