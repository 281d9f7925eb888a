"""The layers of ADM's U-Net, each against its definition.

Legend: B images, C channels, H rows, W columns, E width of the embedding.
"""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from perturbing import noise, perturb
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from dddm_backbones.layers import (
    Downsample,
    Embedding,
    ResidualBlock,
    Upsample,
    convolve_upsampled,
    group_norm,
    norm_by_moments,
    sinusoids,
    zero_init,
)


@pytest.mark.parametrize(
    ("channels", "groups"),
    [(1, 1), (6, 1), (32, 8), (64, 16), (128, 32), (192, 32), (131, 1), (132, 22), (200, 25)],
)
def test_group_norm_takes_the_most_groups_up_to_32(channels: int, groups: int) -> None:
    """The groups are the largest divisor of the channels that leaves each 4 channels or more."""
    assert group_norm(channels).num_groups == groups


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize(
    ("dtype", "within"), [(torch.float64, 1e-11), (torch.float32, 2e-5), (torch.bfloat16, 2e-5)]
)
def test_a_norm_by_moments_is_group_norm(
    layout: torch.memory_format, dtype: torch.dtype, within: float
) -> None:
    """Values and gradients of input, weight and bias, where a group's mean is 0, and ±100."""
    for mean in (0.0, 100.0):
        x = noise(2, 12, 5, 4, seed=1) + mean * torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
        x = x.to(dtype)
        weight, bias = noise(12, seed=2), noise(12, seed=3)
        found = _with_gradients(norm_by_moments, x.to(memory_format=layout), weight, bias)
        # Contiguous: with the channels last a CPU's own norm loses digits to a large mean.
        exact = (one.double() for one in (x, weight, bias))
        expected = _with_gradients(functional.group_norm, *exact)
        for one, other in zip(found, expected, strict=True):
            # The gradient of the input has the input's precision.
            rounding = torch.finfo(one.dtype).eps if one.dtype == torch.bfloat16 else 0.0
            torch.testing.assert_close(one.double(), other, atol=within, rtol=within + rounding)


def _with_gradients(norm: Callable[..., Tensor], *given: Tensor) -> list[Tensor]:
    """What a norm of three groups gives, and the gradients of its arguments."""
    x, *parameters = (one.detach().clone().requires_grad_() for one in given)
    if x.dtype == torch.float64:
        parameters = [one.detach().double().requires_grad_() for one in parameters]
    y = norm(x, 3, *parameters, 1e-5)
    scalar = (y * noise(*y.shape, seed=4).to(y.dtype)).sum()
    return [y.detach(), *torch.autograd.grad(scalar, [x, *parameters])]


def test_a_norm_by_moments_of_equal_values_is_its_bias() -> None:
    """Rounding could make the variance negative, and the norm not a number."""
    x = torch.full((1, 4, 8, 8), 1234.567)
    found = norm_by_moments(x, 1, torch.ones(4), torch.arange(4.0), 1e-5)
    assert torch.equal(found, torch.arange(4.0)[None, :, None, None].expand(1, 4, 8, 8))


def test_zero_init_leaves_parameters_trainable() -> None:
    """Weights and biases are zero and still take gradients."""
    layer = zero_init(nn.Conv2d(2, 3, 3))
    for parameter in layer.parameters():
        assert parameter.count_nonzero() == 0
        assert parameter.requires_grad


@given(
    st.lists(st.floats(2**-10, 1000, width=32), min_size=1, max_size=3),
    st.integers(1, 8).map(lambda half: 2 * half),
)
def test_sinusoids_have_the_values_of_their_formula(times: list[float], width: int) -> None:
    """Column k is cos(t·10000^(−k/half)), column half + k the sine of the same angle."""
    half = width // 2
    waves = sinusoids(torch.tensor(times), width=width)
    assert waves.dtype == torch.float32
    for row, t in zip(waves.tolist(), times, strict=True):
        angles = [t * 10_000 ** (-k / half) for k in range(half)]
        expected = [math.cos(angle) for angle in angles] + [math.sin(angle) for angle in angles]
        assert row == pytest.approx(expected, abs=1e-3)


def test_sinusoids_of_an_odd_width_end_with_a_zero() -> None:
    """The odd column says nothing, the others are those of the even width below."""
    t_B = torch.tensor([1.0, 500.0])
    waves = sinusoids(t_B, width=7)
    torch.testing.assert_close(waves[:, :6], sinusoids(t_B, width=6))
    assert waves[:, 6].tolist() == [0.0, 0.0]


def test_embedding_adds_the_class_to_the_time() -> None:
    """Two labels at one time differ by the difference of their rows in the table."""
    embedding = Embedding(channels=4, classes=3)
    assert embedding.label is not None
    t_B, table = torch.tensor([7.0, 7.0]), embedding.label.weight
    row = embedding(t=t_B, label=torch.tensor([0, 2]))
    assert row.shape == (2, embedding.width) == (2, 16)
    torch.testing.assert_close(row[1] - row[0], table[2] - table[0])


def test_embedding_with_classes_refuses_to_guess_a_label() -> None:
    """Without labels, a network with classes says so."""
    with pytest.raises(ValueError, match="conditioned on classes, and no labels"):
        Embedding(channels=4, classes=3)(t=torch.tensor([3.0]), label=None)


@pytest.mark.parametrize("label", [-1, 3])
def test_embedding_refuses_an_unknown_label(label: int) -> None:
    """A label that is no class is named as such, with the classes that there are."""
    with pytest.raises(ValueError, match="outside the known classes, 0…2"):
        Embedding(channels=4, classes=3)(t=torch.tensor([3.0]), label=torch.tensor([label]))


def test_downsample_without_weights_is_the_mean_of_four() -> None:
    """Without weights each place is the mean of its 2×2 pixels."""
    x_BCHW = noise(2, 3, 4, 6)
    expected = x_BCHW.reshape(2, 3, 2, 2, 3, 2).mean(dim=(3, 5))
    torch.testing.assert_close(Downsample(3, learned=False)(x_BCHW), expected)


def test_upsample_without_weights_repeats_each_pixel() -> None:
    """Nearest: each pixel becomes four of the same value."""
    x_BCHW = noise(2, 3, 2, 3)
    upsampled = Upsample(3, learned=False)(x_BCHW)
    expected = x_BCHW.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert torch.equal(upsampled, expected)
    torch.testing.assert_close(Downsample(3, learned=False)(upsampled), x_BCHW)


def test_learned_changes_of_size_are_a_convolution() -> None:
    """Downsampling is a strided convolution, upsampling is nearest and then a convolution."""
    x_BCHW, down, up = (
        noise(1, 3, 4, 4),
        Downsample(3, learned=True),
        Upsample(3, learned=True),
    )
    (weight, bias), (up_weight, up_bias) = down.parameters(), up.parameters()
    expected = functional.conv2d(x_BCHW, weight, bias, stride=2, padding=1)
    torch.testing.assert_close(down(x_BCHW), expected)
    wide = x_BCHW.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    expected = functional.conv2d(wide, up_weight, up_bias, padding=1)
    torch.testing.assert_close(up(x_BCHW), expected)


@given(
    inputs=st.integers(1, 3),
    outputs=st.integers(1, 3),
    size=st.tuples(st.integers(1, 4), st.integers(1, 5)),
    bias=st.booleans(),
)
def test_a_convolution_of_the_upsampled_image_without_upsampling(
    inputs: int, outputs: int, size: tuple[int, int], *, bias: bool
) -> None:
    """Four sums of weights at each place are the nine products at four places, edges included."""
    x_BCHW, weight = noise(2, inputs, *size).double(), noise(outputs, inputs, 3, 3).double()
    shift = noise(outputs, seed=1).double() if bias else None
    upsampled = x_BCHW.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    expected = functional.conv2d(upsampled, weight, shift, padding=1)
    torch.testing.assert_close(convolve_upsampled(x_BCHW, weight, shift), expected)


def test_upsample_off_the_cpu_convolves_the_upsampled_image() -> None:
    """The meta device stands for any other: there the upsampled image is convolved, and counted."""
    with torch.device("meta"):
        up, x_BCHW = Upsample(4, learned=True), torch.empty(1, 4, 2, 3)
    with FlopCounterMode(display=False) as counter:
        assert up(x_BCHW).shape == (1, 4, 4, 6)
    assert counter.get_total_flops() == 2 * (4 * 9) * (4 * 24)


def by_hand(
    weight: dict[str, Tensor], x_BCHW: Tensor, embedding_BE: Tensor, *, scale_shift: bool
) -> Tensor:
    """A residual block from its definition; one group in the first norm, two in the second."""
    h = functional.group_norm(x_BCHW, 1, weight["first_norm.weight"], weight["first_norm.bias"])
    h = h * torch.sigmoid(h)
    h = functional.conv2d(h, weight["first.weight"], weight["first.bias"], padding=1)
    e = embedding_BE * torch.sigmoid(embedding_BE)
    e = (e @ weight["embed.weight"].T + weight["embed.bias"])[..., None, None]
    norm = (weight["second_norm.weight"], weight["second_norm.bias"])
    if scale_shift:
        h = functional.group_norm(h, 2, *norm) * (1 + e[:, :8]) + e[:, 8:]
    else:
        h = functional.group_norm(h + e, 2, *norm)
    h = h * torch.sigmoid(h)
    h = functional.conv2d(h, weight["second.weight"], weight["second.bias"], padding=1)
    short = functional.conv2d(x_BCHW, weight["short_cut.weight"], weight["short_cut.bias"])
    return short + h


@pytest.mark.parametrize("scale_shift", [True, False])
def test_residual_block_equals_one_written_by_hand(*, scale_shift: bool) -> None:
    """With every weight perturbed, the block computes what its definition says."""
    block = ResidualBlock(2, 8, embedding=6, dropout=0.0, scale_shift_norm=scale_shift)
    perturb(block, size=0.5)
    x_BCHW, embedding_BE = noise(3, 2, 4, 6), noise(3, 6, seed=1)
    expected = by_hand(block.state_dict(), x_BCHW, embedding_BE, scale_shift=scale_shift)
    torch.testing.assert_close(block(x_BCHW, embedding_BE), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("channels", "skip"),
    [(128, 128), (256, 128), (10, 5), (2, 2)],
    ids=["border between groups", "border within a group", "large groups", "one group"],
)
@torch.no_grad()
def test_a_skip_connection_may_be_cached(channels: int, skip: int) -> None:
    """Both inputs at once, or the second before the first is known: equal up to rounding."""
    block = ResidualBlock(channels + skip, 8, embedding=6, dropout=0.0, scale_shift_norm=True)
    perturb(block, size=0.2)
    x_BCHW, skip_BSHW = noise(2, channels, 4, 6), noise(2, skip, 4, 6, seed=1)
    embedding_BE = noise(2, 6, seed=2)
    expected = block(torch.cat([x_BCHW, skip_BSHW], dim=1), embedding_BE)
    part = block.cached_skip(skip_BSHW)
    for _ in range(2):
        found = block.finish(x_BCHW, part, embedding_BE)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("resize", [None, Downsample(4, learned=False), Upsample(4, learned=False)])
def test_residual_block_is_its_short_cut_at_first(resize: Downsample | Upsample | None) -> None:
    """Before training the block only changes the size, if it changes anything."""
    block = ResidualBlock(
        4, 4, embedding=6, dropout=0.5, scale_shift_norm=True, resize=resize
    ).train()
    x_BCHW = noise(2, 4, 4, 4)
    expected = x_BCHW if resize is None else resize(x_BCHW)
    assert torch.equal(block(x_BCHW, noise(2, 6)), expected)
