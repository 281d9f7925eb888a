"""ADM's U-Net against an independent one: diffusers' `UNet2DModel` with the same weights.

What is compared is `adm` with estimate = "concatenation", which is ADM's plain network over six
channels; its two first convolutions are the one of diffusers over [x_t, x̂].  Both are set to be
one network where they differ by default:

- time: `freq_shift = 0` and `flip_sin_to_cos = True` give cosines, then sines, at our frequencies;
- norms: `norm_eps = 1e-5` and 32 groups.  Ours have fewer groups where there are less than 128
  channels, so the channels here are 128 and 256;
- attention: `attention_head_dim` is our `head_width`; the middle has its attention normalised by
  `attn_norm_num_groups`, without which diffusers leaves that norm out beside `scale_shift`;
- size: `Attn…` and `Resnet…` blocks change it by residual blocks with `…sample_type = "resnet"`.
  There they end a stage, here they begin the next, which is the same place;
- keys and values are one layer here, queries, keys and values are three layers there.

Legend: B images, C channels, H rows, W columns.
"""

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from perturbing import noise, perturb
from torch import Tensor, nn

from dddm.interfaces.info import ImageShape
from dddm.support.torchvision_operators import import_torchvision
from dddm_backbones.adm import Adm, Step
from dddm_backbones.layers import Downsample, ResidualBlock, Upsample
from dddm_backbones.options import AdmOptions

SHAPE = ImageShape(channels=3, height=16, width=16)
CLASSES = 3
BLOCK = {
    "first_norm": "norm1",
    "first": "conv1",
    "embed": "time_emb_proj",
    "second_norm": "norm2",
    "second": "conv2",
    "short_cut": "conv_shortcut",
}

Named = Iterator[tuple[str, Tensor]]


def ours(*, scale_shift: bool, resize_in_blocks: bool, classes: bool) -> Adm:
    options = AdmOptions(
        channels=128,
        multipliers=(1, 2),
        blocks=2,
        attention=(8,),
        estimate="concatenation",
        scale_shift_norm=scale_shift,
        updown_blocks=resize_in_blocks,
        classes=classes,
    )
    adm = Adm(options, shape=SHAPE, classes=CLASSES)
    perturb(adm, size=0.02)
    return adm.eval()


def theirs(*, scale_shift: bool, resize_in_blocks: bool, classes: bool) -> Any:
    import_torchvision()
    resize = "resnet" if resize_in_blocks else "conv"
    network = importlib.import_module("diffusers").UNet2DModel(
        sample_size=SHAPE.height,
        in_channels=2 * SHAPE.channels,
        out_channels=SHAPE.channels,
        freq_shift=0,
        flip_sin_to_cos=True,
        down_block_types=(
            "ResnetDownsampleBlock2D" if resize_in_blocks else "DownBlock2D",
            "AttnDownBlock2D",
        ),
        up_block_types=(
            "AttnUpBlock2D",
            "ResnetUpsampleBlock2D" if resize_in_blocks else "UpBlock2D",
        ),
        block_out_channels=(128, 256),
        layers_per_block=2,
        downsample_type=resize,
        upsample_type=resize,
        attention_head_dim=64,
        norm_num_groups=32,
        attn_norm_num_groups=32,
        norm_eps=1e-5,
        resnet_time_scale_shift="scale_shift" if scale_shift else "default",
        num_class_embeds=CLASSES if classes else None,
    )
    return network.eval()


def renamed(adm: Adm) -> Named:
    """Every parameter of ours by its name in theirs."""
    assert adm.first_estimate is not None
    yield "conv_in.weight", torch.cat([adm.first.weight, adm.first_estimate.weight], dim=1)
    yield "conv_in.bias", _given(adm.first.bias)
    yield from _layer("time_embedding.linear_1", adm.embedding.time[0])
    yield from _layer("time_embedding.linear_2", adm.embedding.time[2])
    if adm.embedding.label is not None:
        yield from _layer("class_embedding", adm.embedding.label)
    yield from _way("down_blocks", adm.down, resize="downsamplers")
    yield from _way("up_blocks", adm.up, resize="upsamplers")
    first, second = adm.middle
    assert isinstance(first, Step)
    assert isinstance(second, Step)
    yield from _block("mid_block.resnets.0", first.block)
    yield from _attention("mid_block.attentions.0", first.attention[0])
    yield from _block("mid_block.resnets.1", second.block)
    yield from _layer("conv_norm_out", adm.last_norm)
    yield from _layer("conv_out", adm.last)


def _way(name: str, steps: nn.ModuleList, *, resize: str) -> Named:
    """Encoder or decoder: a change of size ends a stage there and begins one here."""
    stage, number = 0, 0
    for step in steps:
        assert isinstance(step, Step)
        changes_size = (
            isinstance(step.block, Downsample | Upsample) or step.block.resize is not None
        )
        if changes_size:
            yield from _block(f"{name}.{stage}.{resize}.0", step.block)
            stage, number = stage + 1, 0
            continue
        yield from _block(f"{name}.{stage}.resnets.{number}", step.block)
        for attention in step.attention:
            yield from _attention(f"{name}.{stage}.attentions.{number}", attention)
        number += 1


def _block(name: str, block: ResidualBlock | Downsample | Upsample) -> Named:
    if isinstance(block, Downsample | Upsample):
        assert block.convolution is not None
        yield from _layer(f"{name}.conv", block.convolution)
        return
    for part, layer in block.named_children():
        if part in BLOCK and not isinstance(layer, nn.Identity):
            yield from _layer(f"{name}.{BLOCK[part]}", layer)


def _attention(name: str, attention: nn.Module) -> Named:
    own = dict(attention.named_children())
    yield from _layer(f"{name}.group_norm", own["norm"])
    yield from _layer(f"{name}.to_q", own["query"])
    yield from _layer(f"{name}.to_out.0", own["output"])
    for kind in ("weight", "bias"):
        key, value = own["key_value"].get_parameter(kind).chunk(2)
        yield f"{name}.to_k.{kind}", key
        yield f"{name}.to_v.{kind}", value


def _layer(name: str, layer: nn.Module) -> Named:
    for kind, parameter in layer.named_parameters():
        yield f"{name}.{kind}", parameter


def _given(parameter: Tensor | None) -> Tensor:
    assert parameter is not None
    return parameter


@pytest.mark.parametrize("resize_in_blocks", [True, False])
@pytest.mark.parametrize("scale_shift", [True, False])
def test_the_network_is_that_of_diffusers(*, scale_shift: bool, resize_in_blocks: bool) -> None:
    """With all weights of one in the other, none left over, both compute the same to 1e-5."""
    form: dict[str, bool] = {
        "scale_shift": scale_shift,
        "resize_in_blocks": resize_in_blocks,
        "classes": scale_shift != resize_in_blocks,
    }
    adm, other = ours(**form), theirs(**form)
    weights = dict(renamed(adm))
    assert sum(w.numel() for w in weights.values()) == sum(p.numel() for p in adm.parameters())
    other.load_state_dict(weights, strict=True)
    x_t, estimate = noise(3, *SHAPE.as_tuple, seed=1), noise(3, *SHAPE.as_tuple, seed=2)
    t, label = torch.tensor([0.25, 500.0, 1000.0]), torch.arange(3) if form["classes"] else None
    with torch.no_grad():
        mine = adm(estimate=estimate, x_t=x_t, t=t, label=label)
        expected = other(torch.cat([x_t, estimate], dim=1), t, class_labels=label).sample
    assert expected.std() > 0.1
    torch.testing.assert_close(mine, expected, atol=1e-5, rtol=1e-5)
