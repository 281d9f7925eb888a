"""The features in which `drifting` compares images.

A kernel maps images (B, C, H, W) to (B, P, D): P groups of D features, compared separately: the
whole image, or places of it.

    pixels       the image, or its means over windows: layout and colour
    patches      windows of the image at full resolution: edges and texture
    random       two layers of fixed random convolutions: local patterns at any contrast
    statistics   mean, standard deviation and differences of the whole image: ink and contrast, to
                 which the others are hardly sensitive

Legend: B images, C channels, H rows, W columns, P groups, D features.
"""

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from dddm.support.noise import generator_for
from dddm_objectives.options import DriftingOptions

Kernel = Callable[[Tensor], Tensor]

_RANDOM_CHANNELS: Final = 64
_WINDOW: Final = 3


def kernels_of(options: DriftingOptions) -> list[Kernel]:
    """The kernels that the options name, in a fixed order."""
    found: list[Kernel] = [_pixels(window) for window in options.pixels]
    found += [_patches(size) for size in options.patches]
    if options.random_network:
        found += [_random_network()]
    if options.statistics:
        found += [_statistics]
    return found


def _pixels(window: int) -> Kernel:
    def means(image_BCHW: Tensor) -> Tensor:
        pooled = functional.avg_pool2d(image_BCHW, window) if window > 1 else image_BCHW
        return pooled.flatten(1)[:, None]

    return means


def _patches(size: int) -> Kernel:
    def windows(image_BCHW: Tensor) -> Tensor:
        step = max(1, (size + 1) // 2)
        return functional.unfold(image_BCHW, size, stride=step).transpose(1, 2)

    return windows


def _random_network() -> Kernel:
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

    def places(image_BCHW: Tensor) -> Tensor:
        first, second = layers(image_BCHW.shape[1], image_BCHW.device)
        hidden = functional.relu(functional.conv2d(image_BCHW, first, padding=1))
        hidden = functional.relu(functional.conv2d(hidden, second, stride=2, padding=1))
        # At most 4 × 4 places, so that larger images cost no more comparisons.
        window = max(1, min(hidden.shape[2:]) // 4)
        return functional.avg_pool2d(hidden, window).flatten(2).transpose(1, 2)

    return places


def _statistics(image_BCHW: Tensor) -> Tensor:
    """Mean, standard deviation, and mean differences at distances 1 and 2, of each channel."""
    differences = [
        (image_BCHW.roll(-far, dim) - image_BCHW).abs().mean(dim=(2, 3))
        for far in (1, 2)
        for dim in (2, 3)
    ]
    flat_BCN = image_BCHW.flatten(2)
    deviation_BC = (flat_BCN.var(dim=2, correction=0) + 1e-6).sqrt()
    return torch.cat([flat_BCN.mean(2), deviation_BC, *differences], dim=1)[:, None]
