"""Features of vision transformers not trained on ImageNet's classes: CLIP and DINOv2.

Images are prepared as by torch-fidelity (0.4.0, pinned): uint8 as float32, resized bilinearly to
224×224 as in TensorFlow 1, without antialiasing, and normalised by the mean and standard deviation
of each channel in the network's training data.

Legend: B images, C channels, H rows, W columns, D feature dimensions.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, final

import torch
from attrs import frozen
from torch import Tensor, nn

from dddm.interfaces.features import Features
from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import WeightFile
from dddm.support.files import sha256_of
from dddm.support.state_dict import one_line, unusable_weights
from dddm.support.torchvision_operators import import_torchvision
from dddm_features.dinov2_network import read_dinov2
from dddm_features.options import (
    CLIP_WEIGHTS,
    DINOV2_LARGE_WEIGHTS,
    DINOV2_WEIGHTS,
    WeightsOptions,
    remedy_for,
    require_shape,
    weights_path,
)
from dddm_features.precision import full_float32
from dddm_features.torchscript import read_torchscript

_SIDE: Final = 224
_BATCH_IMAGES: Final = 64
_SEEN: Final = "uint8 as float32, bilinear to 224 as TF 1, normalised by {mean} and {deviation}"


@final
@frozen(kw_only=True)
class Colours:
    """Mean and standard deviation of each channel in a network's training data, in [0, 1]."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


_OF_CLIP: Final = Colours(
    mean=(0.48145466, 0.4578275, 0.40821073), deviation=(0.26862954, 0.26130258, 0.27577711)
)
_OF_IMAGENET: Final = Colours(mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225))


def clip_vit_b_32(options: WeightsOptions) -> Features:
    """512 numbers: CLIP ViT-B/32's embedding of an image."""
    path = weights_path(options, CLIP_WEIGHTS)
    return Vision(
        name="clip-vit-b-32",
        network=read_clip(path),
        colours=_OF_CLIP,
        sha256=sha256_of(path),
        trained_on="400 million captioned images of OpenAI's",
    )


def dinov2_vit_b_14(options: WeightsOptions) -> Features:
    """768 numbers: the class token of DINOv2 ViT-B/14 after its last norm."""
    return _dinov2("dinov2-vit-b-14", options, DINOV2_WEIGHTS)


def dinov2_vit_l_14(options: WeightsOptions) -> Features:
    """1,024 numbers of the larger ViT-L/14, the features of FD-DINOv2 in publications."""
    return _dinov2("dinov2-vit-l-14", options, DINOV2_LARGE_WEIGHTS)


def _dinov2(name: str, options: WeightsOptions, file: WeightFile) -> Features:
    path = weights_path(options, file)
    return Vision(
        name=name,
        network=read_dinov2(path, file),
        colours=_OF_IMAGENET,
        sha256=sha256_of(path),
        trained_on="LVD-142M",
    )


@final
class Vision(Features):
    """Features (B, D) of a network (B, 3, 224, 224) → (B, D), float32, in eval mode."""

    def __init__(
        self, *, name: str, network: nn.Module, colours: Colours, sha256: str, trained_on: str
    ) -> None:
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
        return None  # follows from the weights

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def trained_on(self) -> str | None:
        return self._trained_on

    def check_shape(self, shape: ImageShape) -> None:
        require_shape(self._name, shape)

    def to(self, device: torch.device) -> None:
        self._device = device
        self._network.to(device)
        self._mean, self._deviation = self._mean.to(device), self._deviation.to(device)

    @torch.no_grad()
    def extract(self, images: Tensor) -> Tensor:
        return torch.cat([self._extract(batch) for batch in torch.split(images, _BATCH_IMAGES)])

    def _extract(self, image_BCHW: Tensor) -> Tensor:
        colours_BCHW = image_BCHW.to(self._device).expand(-1, 3, -1, -1).float()
        with full_float32(self._device):
            large_BCHW = self._resize(colours_BCHW, size=(_SIDE, _SIDE), align_corners=False)
            seen_BCHW = (large_BCHW - self._mean) / self._deviation
            feature_BD: Tensor = self._network(seen_BCHW)
        return feature_BD.cpu()


def read_clip(path: Path) -> nn.Module:
    """CLIP's network for images, (B, 3, R, R) → (B, D), in eval mode, without gradients.

    torch-fidelity builds it from OpenAI's weights, which are float16 in the file and float32 here.

    Raises:
        DataError: if the file cannot be read, or names or shapes are missing, surplus or wrong.
    """
    remedy = remedy_for(CLIP_WEIGHTS)
    weights = read_torchscript(path, remedy=remedy)
    import_torchvision()
    from torch_fidelity.feature_extractor_clip import build_model

    if "visual.proj" not in weights or "text_projection" not in weights:
        problem = "are not those of a CLIP whose network is a ViT"
        raise unusable_weights(path, problem, remedy=remedy)
    try:
        network: nn.Module = build_model(weights, torch.float32).visual
    except (RuntimeError, LookupError) as error:
        raise unusable_weights(
            path, f"do not fit CLIP: {one_line(error)}", remedy=remedy
        ) from error
    return network


def _tensorflow_1_bilinear() -> Callable[..., Tensor]:
    import_torchvision()
    from torch_fidelity.interpolate_compat_tensorflow import (
        interpolate_bilinear_2d_like_tensorflow1x,
    )

    resize: Callable[..., Tensor] = interpolate_bilinear_2d_like_tensorflow1x
    return resize
