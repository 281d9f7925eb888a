"""The forward processes and distances of a plain run, each written from its formula.

Legend: B images, C channels, H rows, W columns.
"""

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, final

import torch
from torch import Tensor
from torch.nn import functional


@final
class Schedule(NamedTuple):
    """x_t = a_t x_0 + s_t ε,  f = skip_t x_t + out_t F(x̂, scale_t x_t, t): tables of t = 0…T.

    All are float64; `prior` is what N(0, I) is multiplied by to give x_T.
    """

    a: Tensor
    s: Tensor
    skip: Tensor
    out: Tensor
    scale: Tensor
    prior: float


def variance_preserving(T: int) -> Schedule:
    """§2 and eq. 3: x_t = √ᾱ_t x_0 + √(1−ᾱ_t) ε,  f = x_t − F(x̂, x_t, t)."""
    beta = torch.linspace(0.1 / T, 20 / T, T, dtype=torch.float64)
    alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), (1 - beta).cumprod(0)])
    one = torch.ones_like(alpha_bar)
    return Schedule(
        a=alpha_bar.sqrt(), s=(1 - alpha_bar).sqrt(), skip=one, out=-one, scale=one, prior=1.0
    )


def variance_exploding(T: int) -> Schedule:
    """The follow-up paper, arXiv 2405.21059: x_t = x_0 + σ_t ε,  f = κ x_t + (1−κ) F.

    κ = σ_min/σ_t, and the network sees x_t / √(σ_t² + ½²), as EDM's does.
    """
    power = torch.arange(T, dtype=torch.float64) / (T - 1)
    sigma = torch.cat([torch.zeros(1, dtype=torch.float64), 0.01 * (50 / 0.01) ** power])
    kappa = 0.01 / sigma
    return Schedule(
        a=torch.ones_like(sigma),
        s=sigma,
        skip=kappa,
        out=1 - kappa,
        scale=(sigma**2 + 0.5**2).rsqrt(),
        prior=50.0,
    )


def at(table: Tensor, t: Tensor) -> Tensor:
    """Entries of a table for a batch of images, (B, 1, 1, 1), float32."""
    return table[t].float()[:, None, None, None]


Distance = Callable[[Tensor, Tensor], Tensor]


def pseudo_huber(c: float) -> Distance:
    """√(‖a − b‖² + c²) − c of each image, (B,)."""
    return lambda a, b: ((a - b).square().sum(dim=(1, 2, 3)) + c**2).sqrt() - c


def pseudo_lpips(c: float, *, trunk: Path, size: int) -> Distance:
    """√(L + c²) − c = L/(√(L + c²) + c) of each image, (B,): eq. 7 with −c outside the root.

    L = Σ_l mean over places of Σ_channels w_l (φ_l(a) − φ_l(b))²,  each place's φ_l of length 1
    """
    weights: dict[str, Tensor] = torch.load(trunk, weights_only=True)
    package = importlib.util.find_spec("lpips")
    assert package is not None
    assert package.origin is not None
    file = Path(package.origin).parent / "weights" / "v0.1" / "vgg.pth"
    heads: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)

    def distance(a: Tensor, b: Tensor) -> Tensor:
        L = torch.zeros(len(a))
        pairs = zip(vgg_features(a, weights, size), vgg_features(b, weights, size), strict=True)
        for layer, (phi_a, phi_b) in enumerate(pairs):
            w = heads[f"lin{layer}.model.1.weight"]
            L = L + (w * (phi_a - phi_b).square()).sum(dim=1).mean(dim=(1, 2))
        return L / ((L + c**2).sqrt() + c)

    return distance


def vgg_features(x: Tensor, weights: Mapping[str, Tensor], size: int) -> Iterator[Tensor]:
    """φ_1…φ_5 of VGG16: after the last ReLU before each halving, by averages, and at the end."""
    shift = torch.tensor([-0.030, -0.088, -0.188])[:, None, None]
    spread = torch.tensor([0.458, 0.448, 0.450])[:, None, None]
    x = functional.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
    h = (x - shift) / spread
    for block in ([0, 2], [5, 7], [10, 12, 14], [17, 19, 21], [24, 26, 28]):
        if block[0]:
            h = functional.avg_pool2d(h, 2)
        for number in block:
            weight, bias = (weights[f"features.{number}.{name}"] for name in ("weight", "bias"))
            h = functional.conv2d(h, weight, bias, padding=1).relu()
        yield h / (h.square().sum(dim=1, keepdim=True) + 1e-10).sqrt()
