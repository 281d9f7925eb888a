"""What components are tried on: made-up images, noise, and comparisons of tensors."""

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor, nn

from dddm.interfaces.info import ImageShape
from dddm.support.noise import generator_for
from dddm.testing.check import expect
from dddm.testing.subject import LeftOut

BATCHES: Final = (1, 3, 5)
"""Batch sizes that are tried: one, and two that nothing divides."""


def noise(*shape: int, seed: int = 0) -> Tensor:
    """N(0, I), float32."""
    return torch.randn(shape, generator=generator_for("conformance", seed))


def pictures(count: int, shape: ImageShape, *, seed: int = 0) -> Tensor:
    """Images (count, C, H, W), float32, in [-1, 1]; no two are alike."""
    generator = generator_for("conformance pictures", seed)
    return torch.rand(count, *shape.as_tuple, generator=generator) * 2 - 1


def pixels(count: int, shape: ImageShape, *, seed: int = 0) -> Tensor:
    """Images (count, C, H, W), uint8."""
    generator = generator_for("conformance pixels", seed)
    return torch.randint(0, 256, (count, *shape.as_tuple), generator=generator, dtype=torch.uint8)


def perturb(module: nn.Module, *, size: float = 0.1) -> None:
    """Move every parameter from where it begins: behind a layer at zero nothing can be seen."""
    generator = generator_for("conformance parameters")
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator))


def expect_tensor(found: object, *, shape: tuple[int, ...], dtype: torch.dtype, what: str) -> None:
    """Expect a finite tensor of this shape and dtype."""
    if not isinstance(found, Tensor):
        expect(kept=False, seen=f"{what} is {type(found).__name__}, no tensor")
        return
    expect(tuple(found.shape) == shape, f"{what} has the shape {tuple(found.shape)}, not {shape}")
    expect(found.dtype == dtype, f"{what} is {found.dtype}, not {dtype}")
    expect(bool(found.isfinite().all()), f"{what} holds numbers that are not finite")


def expect_equal(found: Tensor, wanted: Tensor, seen: str, *, remedy: str | None = None) -> None:
    """Expect equality, bit for bit."""
    same = found.shape == wanted.shape and torch.equal(found, wanted)
    expect(same, f"{seen}{_by_how_much(found, wanted)}", remedy=remedy)


def expect_close(
    found: Tensor,
    wanted: Tensor,
    seen: str,
    *,
    relative: float = 1e-4,
    remedy: str | None = None,
) -> None:
    """Expect differences of at most `relative`, as a share of the largest number there is."""
    close = found.shape == wanted.shape
    if close and found.numel():
        largest = float(torch.maximum(found.abs().max(), wanted.abs().max()))
        most = float((found.double() - wanted.double()).abs().max())
        close = most <= relative * largest
    expect(close, f"{seen}{_by_how_much(found, wanted)}", remedy=remedy)


def _by_how_much(found: Tensor, wanted: Tensor) -> str:
    if found.shape != wanted.shape:
        return f": shapes {tuple(found.shape)} and {tuple(wanted.shape)}"
    if not found.numel():
        return ""
    return f": off by {(found.double() - wanted.double()).abs().max().item():.3g} at most"


def gpus() -> Iterator[torch.device]:
    """Devices beside the CPU.

    Raises:
        LeftOut: if there is none.
    """
    if not torch.cuda.is_available():
        raise LeftOut("there is no GPU here")
    yield torch.device("cuda")
