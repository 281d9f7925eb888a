"""The standard ResNet-20 for CIFAR-10 (He et al. 2015, §4.2): 6n + 2 layers with n = 3.

One convolution, then three stages of three blocks at 32×32, 16×16 and 8×8 with 16, 32 and 64
channels, then the mean over places and a linear layer.  Short cuts carry no weights: where a stage
halves the image, every other pixel is taken and the missing channels are zeros (option A).

Names of parameters are those of akamaster/pytorch_resnet_cifar10: conv1, bn1, layer1.0.conv1,
…, linear.

Legend: B images, C channels, H rows, W columns, D = 64 features, K = 10 classes.
"""

import copy
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

FEATURES: Final = 64
CLASSES: Final = 10

_BLOCKS: Final = 3
_Norm = nn.BatchNorm2d | nn.Identity


@final
class Block(nn.Module):
    """Two 3×3 convolutions, each normalised, beside a short cut without weights."""

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1: _Norm = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2: _Norm = nn.BatchNorm2d(outputs)
        self._stride = stride
        self._missing = outputs - inputs

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, outputs, H / stride, W / stride)."""
        h_BCHW = functional.relu_(self.bn1(self.conv1(x_BCHW)))
        h_BCHW = self.bn2(self.conv2(h_BCHW))
        return functional.relu_(h_BCHW + self._short_cut(x_BCHW))

    def fold(self) -> None:
        """Take the norms into the convolutions, as far as both are constant: in eval mode."""
        self.conv1, self.bn1 = _folded(self.conv1, self.bn1), nn.Identity()
        self.conv2, self.bn2 = _folded(self.conv2, self.bn2), nn.Identity()

    def _short_cut(self, x_BCHW: Tensor) -> Tensor:
        """Option A: every `stride`-th pixel; half of the missing channels before, half behind."""
        if self._missing == 0:
            return x_BCHW
        before = self._missing // 2
        thinned_BCHW = x_BCHW[:, :, :: self._stride, :: self._stride]
        return functional.pad(thinned_BCHW, (0, 0, 0, 0, before, self._missing - before))


@final
class ResNet20(nn.Module):
    """269,722 weights; computes on normalised images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1: _Norm = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, stride=1)
        self.layer2 = _stage(16, 32, stride=2)
        self.layer3 = _stage(32, FEATURES, stride=2)
        self.linear = nn.Linear(FEATURES, CLASSES)

    def maps(self, image_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The output of each stage: 16, 32 and 64 channels of whole, half and quarter size."""
        h_BCHW = functional.relu_(self.bn1(self.conv1(image_BCHW)))
        first_BCHW = self.layer1(h_BCHW)
        second_BCHW = self.layer2(first_BCHW)
        return first_BCHW, second_BCHW, self.layer3(second_BCHW)

    def features(self, image_BCHW: Tensor) -> Tensor:
        """The mean over places of the last feature map, (B, 64), at least 0."""
        return self.maps(image_BCHW)[-1].mean(dim=(2, 3))

    def folded(self) -> "ResNet20":
        """The same network for use alone, twice as fast on a CPU; it can be trained no more.

        Norms are taken into the convolutions, whose weights lie channels last.
        """
        network = copy.deepcopy(self).eval().requires_grad_(requires_grad=False)
        network.conv1, network.bn1 = _folded(network.conv1, network.bn1), nn.Identity()
        for block in network.modules():
            if isinstance(block, Block):
                block.fold()
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub
        return network

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Logits (B, 10)."""
        logit_BK: Tensor = self.linear(self.features(image_BCHW))
        return logit_BK


def _folded(convolution: nn.Conv2d, norm: _Norm) -> nn.Conv2d:
    assert isinstance(norm, nn.BatchNorm2d), "it is folded once"
    return fuse_conv_bn_eval(convolution, norm)


def _stage(inputs: int, outputs: int, *, stride: int) -> nn.Sequential:
    first = Block(inputs, outputs, stride=stride)
    others = (Block(outputs, outputs, stride=1) for _ in range(_BLOCKS - 1))
    return nn.Sequential(first, *others)


def normalise(value_BCHW: Tensor) -> Tensor:
    """Images (B, 3, H, W) in [0, 1], float32, as this network was trained: ImageNet's mean, std."""
    mean_C11, std_C11 = (
        torch.tensor(values, device=value_BCHW.device)[:, None, None]
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    return (value_BCHW - mean_C11) / std_C11
