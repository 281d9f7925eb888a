"""A small generator of images from noise and class, for one step: F_θ(z, y), in (−1, 1).

    z = the first numbers of the network's input, which at T is noise
    e = MLP(z) + embedding of the class
    h = linear(z) at the smallest size; residual blocks, of which e scales and shifts the norms;
        nearest-neighbour upsampling to twice the size, with fewer channels, until the image's size
    F = tanh(convolution(h))

It has no encoder, and it takes neither the time nor an estimate: it is for objectives that evaluate
the network at T alone, and for parametrizations by which the estimate there is ±F.

Any projection of white noise onto orthonormal directions is white noise; z uses the simplest.

Legend: B images, C channels, H rows, W columns, Z width of the latent, E of the embedding.
"""

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from dddm.errors import RecipeError
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm_backbones.layers import ResidualBlock, Upsample, convolution, group_norm
from dddm_backbones.options import DecoderOptions, decoder_issues


@final
class Decoder(Backbone):
    """F_θ(z, y).

    Raises:
        RecipeError: if the options do not fit the images or the classes.
    """

    def __init__(self, options: DecoderOptions, *, shape: ImageShape, classes: int) -> None:
        super().__init__()
        _check_fit(options, shape=shape, classes=classes)
        widths, width = options.widths, 2 * options.widths[0]
        halvings = len(widths) - 1
        self._smallest = (widths[0], shape.height >> halvings, shape.width >> halvings)
        self._latent = options.latent
        self.embed = nn.Sequential(
            nn.Linear(options.latent, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.label = nn.Embedding(classes, width) if options.classes else None
        channels, height, columns = self._smallest
        self.first = nn.Linear(options.latent, channels * height * columns)
        self.blocks = nn.ModuleList()
        for inputs, outputs in zip((widths[0], *widths), widths, strict=False):
            # The first stage has the smallest size; each later one begins with twice the last.
            if len(self.blocks):
                resize = Upsample(inputs, learned=False)
                self.blocks.append(_block(inputs, outputs, embedding=width, resize=resize))
            for _ in range(options.blocks):
                self.blocks.append(_block(outputs, outputs, embedding=width))
        self.last_norm = group_norm(widths[-1])
        self.last = convolution(widths[-1], shape.channels)

    @property
    def uses_labels(self) -> bool:
        return self.label is not None

    @property
    def takes_estimate(self) -> bool:
        return False

    def begin(self, *, x_t: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
        """F itself: there is no estimate to wait for."""
        del t
        z_BZ = x_t.flatten(1)[:, : self._latent]
        embedding_BE = self.embed(z_BZ)
        if self.label is not None:
            if label is None:
                raise ValueError("this network is conditioned on classes, and no labels were given")
            embedding_BE = embedding_BE + self.label(label)
        h_BCHW: Tensor = self.first(z_BZ).reshape(-1, *self._smallest)
        for block in self.blocks:
            h_BCHW = block(h_BCHW, embedding_BE)
        raw_BCHW: Tensor = torch.tanh(self.last(functional.silu(self.last_norm(h_BCHW))))
        return raw_BCHW

    def select(self, cache: Tensor, *, index: Tensor) -> Tensor:
        return cache[index]

    def refine(self, cache: Tensor, *, estimate: None) -> Tensor:
        del estimate
        return cache


def _block(
    inputs: int, outputs: int, *, embedding: int, resize: Upsample | None = None
) -> ResidualBlock:
    return ResidualBlock(
        inputs, outputs, embedding=embedding, dropout=0.0, scale_shift_norm=True, resize=resize
    )


def _check_fit(options: DecoderOptions, *, shape: ImageShape, classes: int) -> None:
    data = DatasetInfo(shape=shape, train_images=1, classes=tuple(map(str, range(classes))))
    for issue in decoder_issues(options, data):
        raise RecipeError(issue.what, where=f"backbone.{issue.option}", remedy=issue.remedy)
