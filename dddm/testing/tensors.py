"""Made-up images and noise, comparisons of tensors, the state of torch, and an empty cache."""

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dddm.interfaces.info import ImageShape
from dddm.support.cache import CACHE_VARIABLE
from dddm.support.noise import generator_for

BATCHES: Final = (1, 3, 5)
"""Batch sizes: one, and two that nothing divides."""


def noise(*shape: int, seed: int = 0) -> Tensor:
    """N(0, I), float32."""
    return torch.randn(shape, generator=generator_for("conformance", seed))


def pictures(count: int, shape: ImageShape, *, seed: int = 0) -> Tensor:
    """Images (count, C, H, W), float32, uniform in [-1, 1]."""
    generator = generator_for("conformance pictures", seed)
    return torch.rand(count, *shape.as_tuple, generator=generator) * 2 - 1


def pixels(count: int, shape: ImageShape, *, seed: int = 0) -> Tensor:
    """Images (count, C, H, W), uint8."""
    generator = generator_for("conformance pixels", seed)
    return torch.randint(0, 256, (count, *shape.as_tuple), generator=generator, dtype=torch.uint8)


def perturb(module: nn.Module, *, size: float = 0.1) -> None:
    """Add noise to every parameter: layers that begin at zero hide what is before them."""
    generator = generator_for("conformance parameters")
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator))


def assert_tensor(found: object, *, shape: tuple[int, ...], dtype: torch.dtype, what: str) -> None:
    """Require a finite tensor of this shape and dtype."""
    assert isinstance(found, Tensor), f"{what} is a {type(found).__name__}, not a tensor"
    assert tuple(found.shape) == shape, f"{what} has shape {tuple(found.shape)}, not {shape}"
    assert found.dtype == dtype, f"{what} is {found.dtype}, not {dtype}"
    assert found.isfinite().all(), f"{what} has values that are not finite"


def assert_equal(found: Tensor, expected: Tensor, message: str) -> None:
    """Require equality, bit for bit."""
    equal = found.shape == expected.shape and torch.equal(found, expected)
    assert equal, f"{message}{_difference(found, expected)}"


def assert_close(found: Tensor, expected: Tensor, message: str, *, relative: float = 1e-4) -> None:
    """Require differences of at most `relative` times the largest absolute value of both."""
    close = found.shape == expected.shape
    if close and found.numel():
        largest = torch.maximum(found.abs().max(), expected.abs().max()).item()
        close = (found.double() - expected.double()).abs().max().item() <= relative * largest
    assert close, f"{message}{_difference(found, expected)}"


def _difference(found: Tensor, expected: Tensor) -> str:
    if found.shape != expected.shape:
        return f": shapes {tuple(found.shape)} and {tuple(expected.shape)}"
    if not found.numel():
        return ""
    return f": off by at most {(found.double() - expected.double()).abs().max().item():.3g}"


def gpus() -> Iterator[torch.device]:
    """The GPU; skips the check if there is none."""
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU here")
    yield torch.device("cuda")


def _conv_precision() -> Any:
    cudnn: Any = torch.backends.cudnn
    return cudnn.conv.fp32_precision if hasattr(cudnn, "conv") else cudnn.allow_tf32


_SETTINGS: Final[Mapping[str, tuple[Callable[[], Any], Callable[[Any], Any] | None]]] = {
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "grad mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "deterministic algorithms": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
    "float32 matmul precision": (
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    "number of threads": (torch.get_num_threads, torch.set_num_threads),
    "autocast": (
        lambda: torch.is_autocast_enabled("cpu"),
        lambda enabled: torch.set_autocast_enabled("cpu", enabled),
    ),
    "precision of convolutions": (_conv_precision, None),
}
"""Settings of torch that hold for the whole process: how to read and to set each."""


@contextmanager
def torch_unchanged(during: str) -> Iterator[None]:
    """Require that what happens inside changes none of torch's settings."""
    before = {name: read() for name, (read, _) in _SETTINGS.items()}
    yield
    now = {name: read() for name, (read, _) in _SETTINGS.items()}
    changed = [f"{name} is {now[name]}, not {v}" for name, v in before.items() if now[name] != v]
    assert not changed, (
        f"after {during}, torch's {'; '.join(changed)}: set it only around your own work"
    )


@contextmanager
def generators_unchanged(during: str) -> Iterator[None]:
    """Require that what happens inside neither draws from the global generators nor seeds them."""
    # Away from the beginning of any seed, to which seeding would lead back unseen.
    torch.rand(1), np.random.rand(), random.random()  # noqa: NPY002, S311
    before = _random_states()
    yield
    moved = [name for name, state in _random_states().items() if state != before[name]]
    assert not moved, (
        f"{during} moved the global generator of {' and of '.join(moved)}, from which the rest of "
        "the run draws: draw from dddm.support.noise.generator_for, and seed nothing"
    )


def _random_states() -> dict[str, object]:
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": [np.asarray(part).tobytes() for part in np.random.get_state()],  # noqa: NPY002
        "Python": random.getstate(),
    }


@contextmanager
def torch_restored() -> Iterator[None]:
    """Begin with a fixed random state; restore that and torch's settings at the end."""
    before = {name: read() for name, (read, _) in _SETTINGS.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            yield
        finally:
            for name, (_, write) in _SETTINGS.items():
                if write is not None:
                    write(before[name])


@contextmanager
def cache_in(folder: Path | None) -> Iterator[None]:
    """Have what is made meanwhile cached in `folder`, or nowhere where it is None."""
    with tempfile.TemporaryDirectory() as empty, pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(folder or empty))
        yield
