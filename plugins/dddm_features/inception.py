"""FID's features: 2,048 pooled activations of the Inception network of Heusel et al. (2017).

The network, the resizing to 299×299 as in TensorFlow 1 and the layer are torch-fidelity's (0.4.0,
pinned), so the Fréchet distance of 50,000 samples in these features is FID.

Legend: B images, C channels, H rows, W columns, D = 2,048 features.
"""

import hashlib
import io
from functools import cached_property
from pathlib import Path
from typing import Any, Final, final

import torch
from torch import Tensor

from dddm.interfaces.features import Extraction, Features
from dddm.interfaces.info import ImageShape
from dddm.support.files import sha256_of
from dddm.support.state_dict import one_line, read_state_dict, unusable_weights
from dddm.support.torchvision_operators import import_torchvision
from dddm_features.options import (
    INCEPTION_WEIGHTS,
    WeightsOptions,
    remedy_for,
    require_shape,
    weights_path,
)
from dddm_features.precision import full_float32

_LAYER: Final = "2048"
_LOGITS: Final = "logits_unbiased"
_RECIPE: Final = "torch-fidelity inception-v3-compat, layer 2048, bilinear to 299 as TF 1; float32"
_REMEDY: Final = remedy_for(INCEPTION_WEIGHTS)
_BATCH_IMAGES: Final = 64
"""At 299×299 an early feature map takes 5.5 MB for each image."""


def read_inception(path: Path) -> Any:
    """torch-fidelity's extractor with the weights at `path`, in eval mode, without gradients.

    Raises:
        DataError: if the file cannot be read, or names or shapes are missing, surplus or wrong.
    """
    return inception_with(read_state_dict(path, remedy=_REMEDY), path=path)


def inception_with(weights: dict[str, Tensor], *, path: Path) -> Any:
    """torch-fidelity's extractor with these weights; errors name `path`."""
    import_torchvision()
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    # It unpickles whatever its file contains, so it gets a copy of the tensors read here.
    file = io.BytesIO()
    torch.save(weights, file)
    file.seek(0)
    try:
        return FeatureExtractorInceptionV3(
            "inception-v3-compat", [_LAYER, _LOGITS], feature_extractor_weights_path=file
        )
    except RuntimeError as error:
        _, _, mismatch = one_line(error).rpartition("FeatureExtractorInceptionV3: ")
        raise unusable_weights(path, f"do not fit Inception: {mismatch}", remedy=_REMEDY) from error


@final
class Inception(Features):
    """Features (B, 2048), at least 0: Inception's last feature map, averaged over pixels."""

    def __init__(self, options: WeightsOptions) -> None:
        path = weights_path(options, INCEPTION_WEIGHTS)
        self._sha256 = sha256_of(path)
        self._network = read_inception(path)
        self._device = torch.device("cpu")

    @property
    def dimensions(self) -> int | None:
        return int(_LAYER)

    @cached_property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self._sha256} {_RECIPE}".encode()).hexdigest()

    @property
    def trained_on(self) -> str | None:
        return "ImageNet"  # as are the trunks of perceptual metrics

    def check_shape(self, shape: ImageShape) -> None:
        require_shape("inception", shape)

    def to(self, device: torch.device) -> None:
        self._device = device
        self._network.to(device)

    def extract(self, images: Tensor) -> Tensor:
        return self.extract_with_logits(images).features

    @property
    def has_logits(self) -> bool:
        return True

    @torch.no_grad()
    def extract_with_logits(self, images: Tensor) -> Extraction:
        """Features, and the logits (B, 1008) without their bias."""
        parts = [self._extract(batch) for batch in torch.split(images, _BATCH_IMAGES)]
        feature_BD, logit_BK = (torch.cat(layer) for layer in zip(*parts, strict=True))
        return Extraction(features=feature_BD, logits=logit_BK)

    def _extract(self, image_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        colours_BCHW = image_BCHW.to(self._device).expand(-1, 3, -1, -1)
        with full_float32(self._device):
            feature_BD, logit_BK = self._network(colours_BCHW)
        return feature_BD.cpu(), logit_BK.cpu()
