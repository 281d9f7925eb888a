"""The network of LPIPS (Zhang et al. 2018, arXiv 1801.03924), v0.1: all that is taken from lpips.

    φ_l(x)  = features of layer l of the trunk, each place's vector made one long
    L(a, b) = Σ_l mean over places of Σ_c w_lc (φ_lc(a) − φ_lc(b))²,   w ≥ 0

The trunk is lpips's cut of torchvision's network, with weights from a verified file; the heads w
come with lpips.  So L is a *squared* distance.

Legend: B images of C channels (features, in a layer), H rows, W columns.
"""

import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from dddm.errors import EnvironmentProblem
from dddm.support.torchvision_operators import import_torchvision
from dddm_metrics.lpips_options import PerceptualOptions
from dddm_metrics.trunk import load_trunk, trunk_path

_EPSILON = 1e-10
"""Below the square of a feature vector's length, so that one of zeros stays zeros."""


@final
class PerceptualNetwork(nn.Module):
    """Features of images, and their comparison.  Frozen, and in eval mode for good.

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
        """Stay in eval mode, whatever is asked: the heads have dropout."""
        del mode
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
    """Compute in bfloat16 or, whatever training computes in, in float32; on meta it is the same."""
    if device.type == "meta":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16)


def _normalise(layer_BCHW: Tensor) -> Tensor:
    """Each place's feature vector at length 1, with a finite slope where it is all zeros."""
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
        _fill(lpips, options)
    if options.pooling == "average":
        _average_instead_of_max(lpips)
    return PerceptualNetwork(lpips, size=options.size, bfloat16=options.precision == "bfloat16")


def _fill(lpips: nn.Module, options: PerceptualOptions) -> None:
    state = {
        f"net.{name}": value
        for name, value in load_trunk(trunk_path(options), like=_trunk(lpips)).items()
    }
    state |= _heads(options.net)
    # Each head has two names in lpips, so that one of them is always missing.
    lpips.load_state_dict(state, strict=False, assign=True)
    assert not any(value.is_meta for value in lpips.state_dict().values()), "all are filled"


def _empty_lpips(net: str) -> nn.Module:
    """An `lpips.LPIPS` without numbers: none is drawn, and no memory is taken for what is unused.

    With `use_dropout=False` the heads would have other names, and stay random without a word.
    """
    import_torchvision()
    import lpips

    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore", UserWarning)  # torchvision's, on how lpips calls it
        model: nn.Module = lpips.LPIPS(
            net=net, pretrained=False, pnet_rand=True, use_dropout=True, verbose=False
        )
    return model


def _trunk(lpips: Any) -> dict[str, Tensor]:
    state: dict[str, Tensor] = lpips.net.state_dict()
    return state


def _heads(net: str) -> dict[str, Tensor]:
    """The calibrated heads that lpips ships."""
    import lpips

    path = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    heads: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    if not heads or any(bool((head < 0).any()) for head in heads.values()):
        raise EnvironmentProblem(
            "the heads of LPIPS are not those that lpips 0.1.4 ships: a distance could be negative",
            where=str(path),
            remedy="reinstall lpips==0.1.4",
        )
    return heads


def _average_instead_of_max(lpips: Any) -> None:
    """Exchange each max-pooling for an average-pooling of the same windows."""
    for part in lpips.net.children():
        for name, layer in list(part.named_children()):
            if isinstance(layer, nn.MaxPool2d):
                average = nn.AvgPool2d(
                    layer.kernel_size, layer.stride, layer.padding, ceil_mode=layer.ceil_mode
                )
                setattr(part, name, average)
