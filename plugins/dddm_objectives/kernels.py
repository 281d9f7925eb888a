"""The features in which sets of images are compared, by kind.

A kind maps images (B, C, H, W) to groups of features, each (B, P, D): at P places of the image, or
for the whole of it (P = 1), D features that are compared by themselves.

    pixels       means over windows of several sizes, 1 being pixels: layout and colour
    patches      windows of the image at full resolution: edges and texture
    contrast     the same of the image minus its local mean: detail, whatever the brightness
    random       two layers of fixed random convolutions: local patterns at any contrast
    statistics   mean, deviation, differences of neighbours and share of bright pixels of the whole
                 image: ink and contrast, to which the others are hardly sensitive
    features     maps of a trained network, or its one vector where it has no maps

Of a map of C channels there are three groups, as in Deng et al. (2026):

    places       C channels at each of 8×8 places
    global       mean and deviation over the map
    grid         mean and deviation in each cell of a 4×4 grid

Legend: B images, C channels, H rows, W columns, P places, D features.
"""

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from dddm.interfaces.features import Features
from dddm.support.noise import generator_for

Groups = Callable[[Tensor], Sequence[Tensor]]

_RANDOM_CHANNELS: Final = 64
_WINDOW: Final = 3
_INK: Final = 4.0
"""Steepness of the sigmoid that separates bright pixels from dark ones."""
_SMALLEST_VARIANCE: Final = 1e-6
_LATTICE: Final = 8
_CELLS: Final = 4


def pixels(windows: Sequence[int]) -> Groups:
    """Means over windows of each size."""

    def groups(image_BCHW: Tensor) -> list[Tensor]:
        pooled = [
            functional.avg_pool2d(image_BCHW, window) if window > 1 else image_BCHW
            for window in windows
        ]
        return [means.flatten(1)[:, None] for means in pooled]

    return groups


def patches(sizes: Sequence[int]) -> Groups:
    """Square windows of each size, half overlapping."""

    def groups(image_BCHW: Tensor) -> list[Tensor]:
        return [
            functional.unfold(image_BCHW, size, stride=max(1, (size + 1) // 2)).transpose(1, 2)
            for size in sizes
        ]

    return groups


def contrast(sizes: Sequence[int]) -> Groups:
    """The same of the image minus its mean over 3×3 pixels."""
    windows = patches(sizes)

    def groups(image_BCHW: Tensor) -> Sequence[Tensor]:
        mean_BCHW = functional.avg_pool2d(
            image_BCHW, _WINDOW, stride=1, padding=1, count_include_pad=False
        )
        return windows(image_BCHW - mean_BCHW)

    return groups


def random_network() -> Groups:
    """Two layers of random convolutions, at 4×4 places."""
    # Its own fixed seed, not the run's, so that every run compares in the same features.
    weights: dict[tuple[int, torch.device], Sequence[Tensor]] = {}

    def layers(channels: int, device: torch.device) -> Sequence[Tensor]:
        if (channels, device) not in weights:
            generator = generator_for("random kernel", channels)
            weights[channels, device] = [
                (
                    torch.randn(out, into, _WINDOW, _WINDOW, generator=generator)
                    * (2 / (9 * into)) ** 0.5
                ).to(device)
                for into, out in (
                    (channels, _RANDOM_CHANNELS),
                    (_RANDOM_CHANNELS, _RANDOM_CHANNELS),
                )
            ]
        return weights[channels, device]

    def groups(image_BCHW: Tensor) -> list[Tensor]:
        first, second = layers(image_BCHW.shape[1], image_BCHW.device)
        hidden = functional.relu(functional.conv2d(image_BCHW, first, padding=1))
        hidden = functional.relu(functional.conv2d(hidden, second, stride=2, padding=1))
        # At most 4 × 4 places, so that larger images cost no more comparisons.
        window = max(1, min(hidden.shape[2:]) // 4)
        return [functional.avg_pool2d(hidden, window).flatten(2).transpose(1, 2)]

    return groups


def statistics(image_BCHW: Tensor) -> list[Tensor]:
    """Of each channel: mean, deviation, differences at distance 1 and 2, share of bright pixels."""
    differences = [
        (image_BCHW.roll(-far, dim) - image_BCHW).abs().mean(dim=(2, 3))
        for far in (1, 2)
        for dim in (2, 3)
    ]
    share_BC = (_INK * image_BCHW).sigmoid().mean(dim=(2, 3))
    (moments_BD,) = moments(image_BCHW, cells=1).unbind(1)
    return [torch.cat([moments_BD, *differences, share_BC], dim=1)[:, None]]


def moments(map_BCHW: Tensor, *, cells: int) -> Tensor:
    """Mean and deviation of each channel in each cell of a grid, (B, P, 2 C).

    Small maps have a cell for each place at most.
    """
    height, width = map_BCHW.shape[2:]
    sizes = (min(cells, height), min(cells, width))
    mean_BCP = functional.adaptive_avg_pool2d(map_BCHW, sizes).flatten(2)
    square_BCP = functional.adaptive_avg_pool2d(map_BCHW.square(), sizes).flatten(2)
    variance_BCP = (square_BCP - mean_BCP.square()).clamp_min(0)
    deviation_BCP = (variance_BCP + _SMALLEST_VARIANCE).sqrt()
    return torch.cat([mean_BCP, deviation_BCP], dim=1).transpose(1, 2)


def of_features(features: Features) -> Groups:
    """The groups of each of its maps; where it has none, its vector as one group."""

    def groups(image_BCHW: Tensor) -> list[Tensor]:
        maps = features.maps(image_BCHW)
        return groups_of(maps) if maps else [features.embed(image_BCHW)[:, None]]

    return groups


def groups_of(maps: Sequence[Tensor]) -> list[Tensor]:
    """Three groups of each map (B, C, h, w): places, global, grid."""
    return [
        group
        for one in maps
        for group in (_lattice(one), moments(one, cells=1), moments(one, cells=_CELLS))
    ]


def _lattice(map_BCHW: Tensor) -> Tensor:
    """Channels at places that are evenly spaced, (B, P, C)."""
    rows, columns = (
        torch.arange(size, device=map_BCHW.device)[_step(size) // 2 :: _step(size)]
        for size in map_BCHW.shape[2:]
    )
    return map_BCHW[:, :, rows][:, :, :, columns].flatten(2).transpose(1, 2)


def _step(size: int) -> int:
    return -(-size // _LATTICE)
