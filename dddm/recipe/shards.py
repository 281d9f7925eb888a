"""How many shards a batch has, and how many batches an epoch.

Here, without torch, because checking a recipe asks for it; `dddm.train.batches` says what shards
are.
"""

from typing import Final

from dddm.errors import UsageError

_MOST_SHARDS: Final = 64


def default_shards(batch_images: int) -> int:
    """The largest power of two up to 64 that divides the batch."""
    return min(batch_images & -batch_images, _MOST_SHARDS)


def batches_per_epoch(*, images: int, batch_images: int, shards: int) -> int:
    """How many whole batches the smallest shard can serve; `shards` divides `batch_images`."""
    return (images // shards) // (batch_images // shards)


def refuse_too_many(processes: int, *, batch_images: int, shards: int | None) -> None:
    """Refuse a number of processes that cannot share the shards equally.

    Raises:
        UsageError: with the numbers that can.
    """
    shards = shards or default_shards(batch_images)
    if shards % processes:
        fit = ", ".join(str(count) for count in range(1, shards + 1) if shards % count == 0)
        raise UsageError(
            f"{processes} processes cannot share {shards} shards of the images equally",
            where="--nproc",
            remedy=f"use {fit} processes, or another train.batch_images",
        )
