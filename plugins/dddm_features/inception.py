"""FID's features: the 2,048 pooled activations of the Inception network of Heusel et al. (2017).

The network, its resizing to 299×299 as TensorFlow 1 did it, and its layer are torch-fidelity's
(0.4.0, pinned), so that a Fréchet distance of 50,000 samples in these features is FID.
"""

import hashlib
import io
import pickle
from functools import cached_property
from pathlib import Path
from typing import Any, Final, final

import torch
from torch import Tensor

from dddm.errors import DataError
from dddm.interfaces.facts import ImageShape
from dddm.interfaces.features import Features
from dddm.support.files import sha256_of
from dddm.support.torchvision_operators import import_torchvision
from dddm_features.inception_options import InceptionOptions, inception_path

_LAYER: Final = "2048"
_RECIPE: Final = "torch-fidelity inception-v3-compat, layer 2048, bilinear to 299 as TF 1; float32"
_COLOURS: Final = 3


def read_inception(path: Path) -> Any:
    """torch-fidelity's extractor with the weights at `path`.

    Raises:
        DataError: if the file cannot be read, or names or shapes do not fit.
    """
    import_torchvision()
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    weights = _read(path)
    try:
        # It would unpickle whatever the file holds; so it is given what was read without pickle.
        return FeatureExtractorInceptionV3(
            "inception-v3-compat", [_LAYER], feature_extractor_weights_path=_as_file(weights)
        )
    except RuntimeError as error:
        found = " ".join(str(error).split())
        raise DataError(
            f"the weights {path.name} do not fit Inception: {found[:200]}",
            where=str(path),
            remedy="use the file that `dddm weights list` names",
        ) from error


def _read(path: Path) -> dict[str, Tensor]:
    try:
        found = torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise DataError(
            f"the weights {path.name} cannot be read: {str(error).splitlines()[0]}",
            where=str(path),
            remedy="use the file that `dddm weights list` names",
        ) from error
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise DataError(
            f"the weights {path.name} are no table of tensors by name",
            where=str(path),
            remedy="use the file that `dddm weights list` names",
        )
    return found


def _as_file(weights: dict[str, Tensor]) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(weights, file)
    file.seek(0)
    return file


@final
class Inception(Features):
    """Features (B, 2048), at least 0: Inception's last feature map, averaged over places."""

    def __init__(self, options: InceptionOptions) -> None:
        """Read the weights.

        Raises:
            DataError: if the file is missing, another than it should be, or does not fit.
        """
        path = inception_path(options)
        self._sha256 = sha256_of(path)
        self._network = read_inception(path)
        self._device = torch.device("cpu")

    @property
    def dimensions(self) -> int | None:
        """2048."""
        return int(_LAYER)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of the weights' file and the layer's description."""
        return hashlib.sha256(f"{self._sha256} {_RECIPE}".encode()).hexdigest()

    @property
    def trained_on(self) -> str | None:
        """`ImageNet`, as are the trunks of perceptual metrics: their scores flatter each other."""
        return "ImageNet"

    def check_shape(self, shape: ImageShape) -> None:
        """Refuse all but grey and colour images, of any size.

        Raises:
            DataError: with what is accepted.
        """
        if shape.channels not in {1, _COLOURS}:
            raise DataError(
                f'the features "inception" see grey and colour images, not {shape}',
                where="evaluate.features",
                remedy='use features = "pixels", which take any shape',
            )

    def to(self, device: torch.device) -> None:
        """Move the network to `device`."""
        self._device = device
        self._network.to(device)

    @torch.no_grad()
    def extract(self, images: Tensor) -> Tensor:
        """Vectors (B, 2048), float32, on the CPU, of images (B, 1 or 3, H, W), uint8, 0…255."""
        colours_BCHW = images.to(self._device).expand(-1, _COLOURS, -1, -1)
        # TF32 would move a distance by more than its seeds do.
        full = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        with full, torch.autocast(self._device.type, enabled=False):
            (feature_BD,) = self._network(colours_BCHW)
        vectors: Tensor = feature_BD.cpu()
        return vectors
