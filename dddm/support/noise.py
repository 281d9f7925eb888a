"""Random numbers that depend on what they are for, never on how often others were drawn.

`noise_by_index` gives row k of an endless table of N(0, I) rows: by Philox, a counter-based
generator (Salmon et al. 2011), whose key is made of the seed, the purpose and k.
`generator_for` gives a torch generator for one batch, seeded in the same manner.
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

_THREADS: Final = min(os.cpu_count() or 1, 8)
_NUMBERS_OF_A_THREAD: Final = 1 << 17
"""It draws these in 2 ms, which is long beside starting it."""


def seed_for(*parts: int | str) -> int:
    """A 64-bit seed from what the numbers are for, such as `("train", seed, epoch, batch)`."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def generator_for(*parts: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator seeded by what its numbers are for."""
    return torch.Generator(device).manual_seed(seed_for(*parts))


def noise_by_index(*, seed: int, purpose: str, index: Tensor, shape: Sequence[int]) -> Tensor:
    """Standard normal noise (B, *shape), float32, CPU; row b depends on (seed, purpose, index[b]).

    Args:
        seed: the run's or the caller's seed.
        purpose: what the noise is for, such as `"store"`: different purposes share no numbers.
        index: (B,), int64, at least 0.
        shape: of one row.
    """
    key = seed_for("noise", seed, purpose)
    noise = np.empty((len(index), *shape), dtype=np.float32)
    parts = min(_THREADS, noise.size // _NUMBERS_OF_A_THREAD + 1)
    rows, numbers = np.array_split(noise, parts), np.array_split(index.numpy(), parts)
    if parts == 1:
        _fill(rows[0], numbers[0], key=key)
        return torch.from_numpy(noise)
    with ThreadPoolExecutor(parts) as pool:  # numpy draws without the interpreter's lock
        list(pool.map(partial(_fill, key=key), rows, numbers))
    return torch.from_numpy(noise)


def _fill(rows: "NDArray[np.float32]", index: "NDArray[np.int64]", *, key: int) -> None:
    """Rows of the generators whose keys are (key, k): one, set to each of them in turn."""
    bits = np.random.Philox(key=np.array([key, 0], dtype=np.uint64))
    generator, state = np.random.Generator(bits), bits.state
    for row, k in zip(rows, index, strict=True):
        state["state"]["key"][1] = k
        bits.state = state
        generator.standard_normal(dtype=np.float32, out=row)


def integers_by_index(*, seed: int, purpose: str, index: Tensor, below: int) -> Tensor:
    """Uniform integers (B,), int64, in 0…below-1; entry b depends on (seed, purpose, index[b]).

    Args:
        seed: as in `noise_by_index`.
        purpose: as in `noise_by_index`.
        index: (B,), int64, at least 0.
        below: at least 1.
    """
    key = seed_for("integers", seed, purpose)
    bits = (np.random.Philox(key=np.array([key, k], dtype=np.uint64)) for k in index.tolist())
    drawn = [int(np.random.Generator(one).integers(below)) for one in bits]
    return torch.tensor(drawn, dtype=torch.int64)
