"""A diffusion transformer as F_θ(x̂, x_t, t) (DiT, arXiv 2212.09748).

Patches of x_t are tokens.  Patches of x̂ are further keys and values of the attention, from the
block `estimate_from` on, with positions of their own: so x̂ is looked at and never looks.  The
blocks before it, and what time and class say to all blocks, are computed in `begin`; every later
block sees x̂ through the one before, so `refine` computes those blocks whole.  A single linear layer
makes what DiT has one for in each block; that is the same function.

Legend: B images of C channels, H rows, W columns, cut into R rows of patches of P numbers each; N
tokens of x_t, M of x̂, D numbers in a token, S in the embedding of time and class, which say X.
"""

from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from dddm.errors import RecipeError
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm_plugin_example.layers import Block, Embedding, modulated, positions, starting_at_zero
from dddm_plugin_example.options import DitOptions, issues


@final
class Cache(NamedTuple):
    """What the network knows before it sees x̂.

    Attributes:
        h: tokens so far, (B, N, D).
        said: what time and class say to all blocks and the last layer, (B, 1, 6·D·blocks + 2·D).
    """

    h: Tensor
    said: Tensor


@final
class Dit(Backbone):
    """F_θ(x̂, x_t, t).

    Raises:
        RecipeError: if the options do not fit the images or the classes.
    """

    position: Tensor

    def __init__(self, options: DitOptions, *, shape: ImageShape, classes: int) -> None:
        super().__init__()
        _refuse_misfit(options, shape=shape, classes=classes)
        width, self._patch = options.width, options.patch
        self._grid = (shape.height // options.patch, shape.width // options.patch)
        self.embedding = Embedding(width=width, classes=classes if options.classes else 0)
        self.enter = _patches(shape, options)
        self.enter_estimate = _patches(shape, options)
        # It follows from the options, so no checkpoint needs it.
        rows, columns = self._grid
        place_ND = positions(rows=rows, columns=columns, width=width)
        self.register_buffer("position", place_ND, persistent=False)
        self._first = options.estimate_from
        self.blocks = nn.ModuleList(
            Block(width, heads=options.heads, sees_estimate=number >= self._first)
            for number in range(options.blocks)
        )
        self._says = [6 * width] * options.blocks + [2 * width]
        self.modulation = starting_at_zero(nn.Linear(width, sum(self._says)))
        self.last = starting_at_zero(nn.Linear(width, shape.channels * options.patch**2))

    @property
    def uses_labels(self) -> bool:
        """Whether the network is conditioned on class labels."""
        return self.embedding.label is not None

    def begin(self, *, x_t: Tensor, t: Tensor, label: Tensor | None) -> Cache:
        """The blocks before x̂ enters, and what time and class say to those after."""
        embedding_B1S = self.embedding(t=t, label=label)[:, None]
        said_B1X = self.modulation(functional.silu(embedding_B1S))
        h_BND = self._tokens(self.enter, x_t)
        to_layer = torch.split(said_B1X, self._says, dim=2)
        for number in range(self._first):
            h_BND = self.blocks[number](h_BND, to_layer[number])
        return Cache(h=h_BND, said=said_B1X)

    def select(self, cache: Cache, *, index: Tensor) -> Cache:
        """What `begin` would have returned for these images of the batch alone."""
        return Cache(h=cache.h[index], said=cache.said[index])

    def refine(self, cache: Cache, *, estimate: Tensor) -> Tensor:
        """F, (B, C, H, W)."""
        h_BND, token_BMD = cache.h, self._tokens(self.enter_estimate, estimate)
        to_layer = torch.split(cache.said, self._says, dim=2)
        for number in range(self._first, len(self.blocks)):
            h_BND = self.blocks[number](h_BND, to_layer[number], token_BMD)
        shift_B1D, scale_B1D = to_layer[-1].chunk(2, dim=2)
        out_BNP = self.last(modulated(h_BND, shift_B1D=shift_B1D, scale_B1D=scale_B1D))
        out_BPRC = out_BNP.mT.reshape(*out_BNP.mT.shape[:2], *self._grid)
        return functional.pixel_shuffle(out_BPRC, self._patch).contiguous()

    def _tokens(self, enter: nn.Module, image_BCHW: Tensor) -> Tensor:
        """Patches in a token each, with where they stand: (B, N, D)."""
        token_BND: Tensor = enter(image_BCHW).flatten(2).mT
        return token_BND + self.position


def _patches(shape: ImageShape, options: DitOptions) -> nn.Conv2d:
    """(B, C, H, W) → (B, D, rows, columns)."""
    return nn.Conv2d(shape.channels, options.width, options.patch, stride=options.patch)


def _refuse_misfit(options: DitOptions, *, shape: ImageShape, classes: int) -> None:
    facts = DatasetInfo(
        shape=shape, train_images=1, classes=tuple(str(label) for label in range(classes))
    )
    for issue in issues(options, facts):
        raise RecipeError(
            f"the backbone cannot be built: {issue.what}",
            where=f"backbone.{issue.option}",
            remedy=issue.remedy,
        )
