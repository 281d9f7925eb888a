"""Which images stand in which batch, whatever the number of processes.

The images are cut into shards (`dddm.interfaces.shards`).  In every epoch each shard is shuffled by
itself, and every batch takes the same count from each shard, shard after shard.  A process owns
whole shards, so its part of each batch is known without asking the others, and so is who keeps
which row of the target store.
"""

from collections.abc import Callable
from typing import final

import torch
from attrs import frozen
from torch import Tensor

from dddm.errors import RecipeError
from dddm.interfaces.shards import Shards
from dddm.recipe.model import batches_per_epoch, check_processes, default_shards
from dddm.support.noise import generator_for


@final
@frozen(kw_only=True, eq=False)
class StepRows:
    """What one step of one process works on, by index; int64, CPU.

    Attributes:
        index: (B,), of images.
        rows: (B,), of the objective's memory.
        real: (G, m), of the images that each set is compared with; None without sets.
    """

    index: Tensor
    rows: Tensor
    real: Tensor | None = None

    def first_rows(self, parts: int) -> Tensor:
        """Rows of the first of so many equal micro-batches."""
        return self.rows[: len(self.rows) // parts]


EpochRows = Callable[[int], StepRows]
"""Gives the rows of one batch of an epoch, by its number."""


@final
@frozen(kw_only=True)
class BatchPlan:
    """The batches of every epoch.

    Attributes:
        images: N, in the training split.
        batch_images: in one batch; divided by `shards`.
        shards: S.
        seed: the run's.
    """

    images: int
    batch_images: int
    shards: int
    seed: int

    @classmethod
    def make(cls, *, images: int, batch_images: int, shards: int | None, seed: int) -> "BatchPlan":
        """Choose the shards where the recipe does not, and refuse what cannot be cut.

        Raises:
            RecipeError: if shards do not divide the batch, or images are fewer than one batch.
        """
        shards = shards or default_shards(batch_images)
        if batch_images % shards:
            raise RecipeError(
                f"a batch of {batch_images} images cannot be split into {shards} equal shards",
                where="train.shards",
                remedy=f"set train.shards to a divisor of {batch_images}, or leave it out",
            )
        plan = cls(images=images, batch_images=batch_images, shards=shards, seed=seed)
        if plan.batches_per_epoch == 0:
            raise RecipeError(
                f"train.batch_images = {batch_images} is more than the {images} training images "
                "can fill",
                where="train.batch_images",
                remedy=f"use {images // shards * shards or images} or less",
            )
        return plan

    @property
    def batches_per_epoch(self) -> int:
        """How many whole batches the smallest shard can serve."""
        return batches_per_epoch(
            images=self.images, batch_images=self.batch_images, shards=self.shards
        )

    @property
    def stale_images(self) -> int:
        """Images that no batch of an epoch reaches, so that their estimates stay as they are."""
        return self.images - self.batches_per_epoch * self.batch_images

    @property
    def memory_rows(self) -> int:
        """How many rows an objective's memory has: one for each image."""
        return self.images

    def shards_of(self, *, rank: int, processes: int) -> Shards:
        """The shards of one process.

        Raises:
            UsageError: if the shards cannot be shared equally.
        """
        check_processes(processes, batch_images=self.batch_images, shards=self.shards)
        return Shards.of_process(
            images=self.images, count=self.shards, rank=rank, processes=processes
        )

    def process_slice(self, *, rank: int, processes: int) -> slice:
        """Which images of each batch one process works on; it owns them."""
        each = self.batch_images // processes
        return slice(rank * each, (rank + 1) * each)

    def memory_epoch(self, *, epoch: int, step: int) -> int:
        """The period in which a row of the memory is written once: the epoch."""
        del step
        return epoch

    def rows_of_epoch(self, epoch: int, *, part: slice) -> EpochRows:
        """What one process works on in epoch n: `part` of each batch."""
        own_NB = self.epoch(epoch, part=part)

        def rows(batch: int) -> StepRows:
            return StepRows(index=own_NB[batch], rows=own_NB[batch])

        return rows

    def epoch(self, epoch: int, *, part: slice | None = None) -> Tensor:
        """Image indices of every batch of epoch n: (batches, batch_images), int64, all distinct.

        The order depends on the seed and the epoch alone.

        Args:
            part: of each batch, that of whole shards, which alone are shuffled; None for all.
        """
        each = self.batch_images // self.shards
        part = part or slice(0, self.batch_images)
        owned = range(part.start // each, part.stop // each)
        size = self.shards_of(rank=0, processes=1).size
        index_NB = torch.empty(self.batches_per_epoch, len(owned) * each, dtype=torch.int64)
        for at, shard in enumerate(owned):
            generator = generator_for("order", self.seed, epoch, shard)
            order = torch.randperm(size(shard), generator=generator)[: len(index_NB) * each]
            # Image k of a shard is image k S + shard of all.
            own = order.mul_(self.shards).add_(shard).view(len(index_NB), each)
            index_NB[:, at * each : (at + 1) * each] = own
        return index_NB
