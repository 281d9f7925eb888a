"""The network of LPIPS (Zhang et al. 2018, arXiv 1801.03924), version 0.1.

    φ_l(x)  = features of layer l of the trunk, each place's vector normalised to length 1
    L(a, b) = Σ_l mean over places of Σ_c w_lc (φ_lc(a) − φ_lc(b))²,   w ≥ 0

The trunk is lpips's cut of torchvision's network, with weights from a verified file; the heads w
come with lpips.  torchvision numbers a network's layers, `features.5.weight`; lpips cuts the same
layers into slices and keeps the numbers, `slice2.5.weight`.

Legend: B images of C channels (features, in a layer), H rows, W columns.
"""

import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from dddm.errors import DataError, EnvironmentProblem
from dddm.support.files import user_path
from dddm.support.state_dict import first_mismatch, read_state_dict, unusable_weights
from dddm.support.torchvision_operators import import_torchvision
from dddm.support.weights import find_weights, verify_hash
from dddm_metrics.options import TRUNKS, PerceptualOptions

_EPSILON = 1e-10
"""Added to the square of a feature vector's length, so that a zero vector stays zero."""


@final
class PerceptualNetwork(nn.Module):
    """Features of images, and their comparison.  Frozen, and always in eval mode.

    Args:
        lpips: an `lpips.LPIPS` with all its weights.
        size: height and width that images are resized to; 0 leaves them as they are.
        bfloat16: whether the trunk computes in bfloat16.
    """

    def __init__(self, lpips: nn.Module, *, size: int, bfloat16: bool) -> None:
        super().__init__()
        modules: Any = lpips
        self._scale = modules.scaling_layer
        self._trunk = modules.net
        self._heads = modules.lins
        self._size = size
        self._bfloat16 = bfloat16
        self.requires_grad_(requires_grad=False)
        self.train()

    def train(self, mode: bool = True) -> "PerceptualNetwork":  # noqa: FBT001, FBT002 - torch's signature
        del mode  # the heads have dropout, which a metric must not
        return super().train(mode=False)

    def features(self, image: Tensor) -> tuple[Tensor, ...]:
        """Each layer's features, (B, C, H, W), float32, of length 1 along C.

        Args:
            image: (B, 3 or 1, H, W), in [-1, 1]; a single channel is shown as grey.
        """
        image_B3HW = self._scale(self._resize(image.to(torch.float32)))
        with _autocast(image.device, bfloat16=self._bfloat16):
            layers = self._trunk(image_B3HW)
        with _autocast(image.device, bfloat16=False):
            return tuple(_normalise(layer_BCHW.to(torch.float32)) for layer_BCHW in layers)

    def compare(self, features: tuple[Tensor, ...], others: tuple[Tensor, ...]) -> Tensor:
        """L, (B,), float32, from the features of two batches."""
        with _autocast(features[0].device, bfloat16=False):
            terms = [
                head((mine_BCHW - theirs_BCHW).square()).mean(dim=(1, 2, 3))
                for head, mine_BCHW, theirs_BCHW in zip(self._heads, features, others, strict=True)
            ]
            return torch.stack(terms).sum(dim=0)

    def _resize(self, image_BCHW: Tensor) -> Tensor:
        size = (self._size, self._size)
        if self._size == 0 or tuple(image_BCHW.shape[2:]) == size:
            return image_BCHW
        return nn.functional.interpolate(
            image_BCHW, size=size, mode="bilinear", align_corners=False
        )


def _autocast(device: torch.device, *, bfloat16: bool) -> AbstractContextManager[object]:
    """Compute in bfloat16 or in float32, whatever precision training is in."""
    if device.type == "meta":  # autocast does not know it
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16)


def _normalise(layer_BCHW: Tensor) -> Tensor:
    # lpips divides by √(Σ φ²) + ε instead, whose slope is not finite where a vector is zero.
    return layer_BCHW * torch.rsqrt(layer_BCHW.square().sum(dim=1, keepdim=True) + _EPSILON)


def make_network(options: PerceptualOptions) -> PerceptualNetwork:
    """The network that the options describe, on the CPU.

    Where torch's default device is `meta`, as in a dry run, it has shapes alone and needs no file.

    Raises:
        DataError: if the trunk's file is missing or wrong.
        EnvironmentProblem: if torchvision or lpips is unusable.
    """
    lpips = _empty_lpips(options.net)
    if torch.get_default_device().type != "meta":
        trunk = load_trunk(trunk_path(options), like=lpips.net.state_dict())
        state = {f"net.{name}": value for name, value in trunk.items()} | _heads(options.net)
        # Not strict: each head has two names in lpips, so that one of them is always missing.
        lpips.load_state_dict(state, strict=False, assign=True)
        assert not any(value.is_meta for value in lpips.state_dict().values()), "all are filled"
    if options.pooling == "average":
        average_instead_of_max(lpips)
    return PerceptualNetwork(lpips, size=options.size, bfloat16=options.precision == "bfloat16")


def _empty_lpips(net: str) -> Any:
    """An `lpips.LPIPS` on the meta device: it draws no weights and takes no memory."""
    import_torchvision()
    import lpips

    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore", UserWarning)  # torchvision's, on how lpips calls it
        # With use_dropout=False the heads would have other names, and silently stay random.
        return lpips.LPIPS(
            net=net, pretrained=False, pnet_rand=True, use_dropout=True, verbose=False
        )


def _heads(net: str) -> dict[str, Tensor]:
    """The calibrated heads that lpips ships."""
    import lpips

    path = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    heads: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    if not heads or any(bool((head < 0).any()) for head in heads.values()):
        raise EnvironmentProblem(
            "the heads of LPIPS are not those of lpips 0.1.4: a distance could be negative",
            where=str(path),
            remedy="reinstall lpips==0.1.4",
        )
    return heads


def average_instead_of_max(lpips: Any) -> None:
    """Replace each max-pooling by an average-pooling of the same windows."""
    for part in lpips.net.children():
        for name, layer in list(part.named_children()):
            if isinstance(layer, nn.MaxPool2d):
                average = nn.AvgPool2d(
                    layer.kernel_size, layer.stride, layer.padding, ceil_mode=layer.ceil_mode
                )
                setattr(part, name, average)


def trunk_path(options: PerceptualOptions) -> Path:
    """The verified file of the trunk: the user's own, or the one that torchvision ships.

    Raises:
        DataError: if it does not exist or has another hash.
    """
    if options.trunk_file is None:
        return find_weights(TRUNKS[options.net])
    path = user_path(options.trunk_file)
    if not path.is_file():
        raise DataError(
            f"trunk_file does not exist: {options.trunk_file}",
            where=str(path.absolute()),
            remedy="correct trunk_file, or leave it and trunk_sha256 out",
        )
    assert options.trunk_sha256 is not None, "check_perceptual requires both"
    verify_hash(path, sha256=options.trunk_sha256, remedy="correct trunk_sha256 or trunk_file")
    return path


def load_trunk(path: Path, *, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Load weights of torchvision's network, without its classifier, under lpips's names.

    Args:
        path: of a state_dict with names such as `features.5.weight`.
        like: lpips's state_dict; only its names and shapes are read.

    Returns:
        Tensors by the names of `like`, float32.

    Raises:
        DataError: if the file cannot be read, or names or shapes are missing, surplus or wrong.
    """
    remedy = "use weights of this network, saved as torchvision saves them"
    found = {
        name: value
        for name, value in read_state_dict(path, remedy=remedy).items()
        if not name.startswith("classifier.")
    }
    wanted = {"features." + name.partition(".")[2]: name for name in like}
    expected = {name: like[ours] for name, ours in wanted.items()}
    mismatch = first_mismatch(found, expected, dtypes=False)
    if mismatch is not None:
        raise unusable_weights(path, f"do not fit the trunk: {mismatch}", remedy=remedy)
    return {ours: found[name].to(torch.float32) for name, ours in wanted.items()}
