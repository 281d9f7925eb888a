"""FID's features: the 2,048 pooled activations of the Inception network of Heusel et al. (2017).

The network, its resizing to 299×299 as TensorFlow 1 did it, and its layer are torch-fidelity's
(0.4.0, pinned), so that a Fréchet distance of 50,000 samples in these features is FID.

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
from dddm.support.torchvision_operators import import_torchvision
from dddm_features.options import INCEPTION_WEIGHTS, WeightsOptions, require_shape, weights_path
from dddm_features.precision import full_float32
from dddm_features.stored_tensors import read_state_dict, unusable_weights

_LAYER: Final = "2048"
_LOGITS: Final = "logits_unbiased"
_RECIPE: Final = "torch-fidelity inception-v3-compat, layer 2048, bilinear to 299 as TF 1; float32"
_BATCH_IMAGES: Final = 64
"""At 299×299 an early feature map takes 5.5 MB for each image."""


def read_inception(path: Path) -> Any:
    """torch-fidelity's extractor with the weights at `path`, in eval mode, without gradients.

    Raises:
        DataError: if the file cannot be read, or names or shapes are missing, surplus or wrong.
    """
    return inception_with(read_state_dict(path, expected=INCEPTION_WEIGHTS.name), path=path)


def inception_with(weights: dict[str, Tensor], *, path: Path) -> Any:
    """torch-fidelity's extractor with these weights.

    Args:
        weights: by torch-fidelity's names.
        path: of their file, for messages.

    Raises:
        DataError: if names or shapes are missing, surplus or wrong.
    """
    import_torchvision()
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    try:
        # It unpickles whatever a file contains, so it gets a copy of what was read without pickle.
        return FeatureExtractorInceptionV3(
            "inception-v3-compat",
            [_LAYER, _LOGITS],
            feature_extractor_weights_path=_as_file(weights),
        )
    except RuntimeError as error:
        found = " ".join(str(error).split()).partition("FeatureExtractorInceptionV3: ")[2]
        problem = f"do not fit Inception: {(found or str(error))[:200]}"
        raise unusable_weights(path, problem, expected=INCEPTION_WEIGHTS.name) from error


def _as_file(weights: dict[str, Tensor]) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(weights, file)
    file.seek(0)
    return file


@final
class Inception(Features):
    """Features (B, 2048), at least 0: Inception's last feature map, averaged over places."""

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
        return "ImageNet"  # like the trunks of perceptual metrics, which it therefore favours

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
