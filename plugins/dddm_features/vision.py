"""Features of vision transformers that learned without ImageNet's classes: CLIP and DINOv2.

Both see images as torch-fidelity (0.4.0, pinned) shows them: uint8 as float32, resized to 224×224
bilinearly as TensorFlow 1 did it, without smoothing when they become smaller; then each colour less
its mean, by its deviation, of the data that the network learned from.

Legend: B images, C channels, H rows, W columns, D feature dimensions.
"""

import hashlib
from collections.abc import Callable
from typing import Final, final

import torch
from attrs import frozen
from torch import Tensor, nn

from dddm.errors import DataError
from dddm.interfaces.features import Features
from dddm.interfaces.info import ImageShape
from dddm.support.files import sha256_of
from dddm.support.torchvision_operators import import_torchvision
from dddm_features.clip_network import read_clip
from dddm_features.dinov2_network import read_dinov2
from dddm_features.exactly import exactly
from dddm_features.vision_options import CLIP_WEIGHTS, DINOV2_WEIGHTS, VisionOptions, path_of

_SIDE: Final = 224
_COLOURS: Final = 3
_BATCH_IMAGES: Final = 64
_SEEN: Final = "uint8 as float32, bilinear to 224 as TF 1, normalised by {mean} and {deviation}"


@final
@frozen(kw_only=True)
class Colours:
    """Mean and standard deviation of the colours that a network learned from, of 1."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


_OF_CLIP: Final = Colours(
    mean=(0.48145466, 0.4578275, 0.40821073), deviation=(0.26862954, 0.26130258, 0.27577711)
)
_OF_IMAGENET: Final = Colours(mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225))


def clip_vit_b_32(options: VisionOptions) -> Features:
    """512 numbers: the embedding that CLIP ViT-B/32 compares with that of a caption.

    Raises:
        DataError: if the file is missing, another than it should be, or does not fit.
    """
    path = path_of(options, CLIP_WEIGHTS)
    return Vision(
        name="clip-vit-b-32",
        network=read_clip(path),
        colours=_OF_CLIP,
        sha256=sha256_of(path),
        trained_on="400 million captioned images of OpenAI's",
    )


def dinov2_vit_b_14(options: VisionOptions) -> Features:
    """768 numbers: the class token of DINOv2 ViT-B/14 after its last norm.

    Raises:
        DataError: if the file is missing, another than it should be, or does not fit.
    """
    path = path_of(options, DINOV2_WEIGHTS)
    return Vision(
        name="dinov2-vit-b-14",
        network=read_dinov2(path),
        colours=_OF_IMAGENET,
        sha256=sha256_of(path),
        trained_on="LVD-142M",
    )


@final
class Vision(Features):
    """Features (B, D) of a network that sees colour images of 224×224."""

    def __init__(
        self, *, name: str, network: nn.Module, colours: Colours, sha256: str, trained_on: str
    ) -> None:
        """Take a network in eval mode, (B, 3, 224, 224) → (B, D), float32."""
        self._name, self._network, self._trained_on = name, network, trained_on
        self._mean, self._deviation = (
            255 * torch.tensor(numbers)[:, None, None]
            for numbers in (colours.mean, colours.deviation)
        )
        seen = _SEEN.format(mean=colours.mean, deviation=colours.deviation)
        self._fingerprint = hashlib.sha256(f"{sha256} {name}, {seen}".encode()).hexdigest()
        self._device = torch.device("cpu")
        self._resize: Callable[..., Tensor] = _tensorflow_1_bilinear()

    @property
    def dimensions(self) -> int | None:
        """None: it follows from the weights; 512 with CLIP's own, 768 with DINOv2's."""
        return None

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of the weights' file and of how images are shown."""
        return self._fingerprint

    @property
    def trained_on(self) -> str | None:
        """Other images than perceptual metrics learned from."""
        return self._trained_on

    def check_shape(self, shape: ImageShape) -> None:
        """Refuse all but grey and colour images, of any size.

        Raises:
            DataError: with what is accepted.
        """
        if shape.channels not in {1, _COLOURS}:
            raise DataError(
                f'the features "{self._name}" see grey and colour images, not {shape}',
                where="evaluate.features",
                remedy='use features = "pixels-8x8", which take any shape',
            )

    def to(self, device: torch.device) -> None:
        """Move the network to `device`."""
        self._device = device
        self._network.to(device)
        self._mean, self._deviation = self._mean.to(device), self._deviation.to(device)

    @torch.no_grad()
    def extract(self, images: Tensor) -> Tensor:
        """Vectors (B, D), float32, on the CPU, of images (B, 1 or 3, H, W), uint8, 0…255."""
        return torch.cat([self._extract(batch) for batch in torch.split(images, _BATCH_IMAGES)])

    def _extract(self, image_BCHW: Tensor) -> Tensor:
        colours_BCHW = image_BCHW.to(self._device).expand(-1, _COLOURS, -1, -1).float()
        with exactly(self._device):
            large_BCHW = self._resize(colours_BCHW, size=(_SIDE, _SIDE), align_corners=False)
            seen_BCHW = (large_BCHW - self._mean) / self._deviation
            feature_BD: Tensor = self._network(seen_BCHW)
        return feature_BD.cpu()


def _tensorflow_1_bilinear() -> Callable[..., Tensor]:
    import_torchvision()
    from torch_fidelity.interpolate_compat_tensorflow import (
        interpolate_bilinear_2d_like_tensorflow1x,
    )

    resize: Callable[..., Tensor] = interpolate_bilinear_2d_like_tensorflow1x
    return resize
