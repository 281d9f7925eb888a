"""Random numbers that depend on what they are for, never on how often others were drawn.

`noise_by_index` gives row k of an endless table of N(0, I) rows: by Philox, a counter-based
generator (Salmon et al. 2011), whose key is made of the seed, the purpose and k.
`generator_for` gives a torch generator for one batch, seeded in the same manner.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


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
    for row, k in zip(noise, index.tolist(), strict=True):
        bits = np.random.Philox(key=np.array([key, k], dtype=np.uint64))
        np.random.Generator(bits).standard_normal(dtype=np.float32, out=row)
    return torch.from_numpy(noise)


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
