"""Generated images beside the training images that they are nearest to, pixel by pixel.

Legend: B generated images, N training images that are looked through, D = C·H·W.
"""

from typing import Final, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.interfaces.dataset import Split

MOST_LOOKED_THROUGH: Final = 50_000
_BLOCK_IMAGES: Final = 2_000


@final
@frozen(kw_only=True)
class Neighbours:
    """Generated images and, in the same order, their nearest training images.

    Attributes:
        generated: (B, C, H, W), uint8.
        nearest: (B, C, H, W), uint8.
        looked_through: how many training images, the first of the split, were compared.
    """

    generated: Tensor
    nearest: Tensor
    looked_through: int


def nearest_in(split: Split, *, generated: Tensor) -> Neighbours:
    """The nearest training image of each generated one (B, C, H, W), by Euclidean distance."""
    looked_through = min(len(split), MOST_LOOKED_THROUGH)
    asked_BD = generated.flatten(1).float()
    best_B = torch.full((len(generated),), torch.inf)
    index_B = torch.zeros(len(generated), dtype=torch.int64)
    for index in torch.split(torch.arange(looked_through), _BLOCK_IMAGES):
        found_ND = split.images(index).flatten(1).float()
        distance_B, place_B = torch.cdist(asked_BD, found_ND).min(dim=1)
        nearer_B = distance_B < best_B
        best_B = torch.where(nearer_B, distance_B, best_B)
        index_B = torch.where(nearer_B, index[place_B], index_B)
    return Neighbours(
        generated=generated, nearest=split.images(index_B), looked_through=looked_through
    )
