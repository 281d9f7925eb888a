"""Shards: the parts that images are cut into, whole numbers of which belong to each process.

Image k belongs to shard k mod S and stands there at place k div S.  Every batch takes equally many
images from each shard, so which process works on an image, and keeps its estimate, is known without
asking; a run that is resumed on another number of processes moves whole shards.
"""

from typing import final

import torch
from attrs import frozen
from torch import Tensor


@final
@frozen(kw_only=True)
class Shards:
    """The shards of one process.

    Attributes:
        images: N, in the data set.
        count: S, shards of all processes.
        owned: numbers, ascending, of the shards that this process owns.
    """

    images: int
    count: int
    owned: tuple[int, ...]

    @classmethod
    def whole(cls, images: int) -> "Shards":
        """All images in one shard, which this process owns."""
        return cls(images=images, count=1, owned=(0,))

    @classmethod
    def of_process(cls, *, images: int, count: int, rank: int, processes: int) -> "Shards":
        """The shards of one of `processes`, which divide `count`: consecutive ones."""
        each = count // processes
        return cls(images=images, count=count, owned=tuple(range(rank * each, (rank + 1) * each)))

    def size(self, shard: int) -> int:
        """How many images a shard has."""
        return len(range(shard, self.images, self.count))

    def images_of(self, shard: int) -> Tensor:
        """Indices of a shard's images, (size,), int64, ascending: the one at place j is j-th."""
        # There may be more shards than images.
        return torch.arange(shard, max(shard, self.images), self.count)

    @property
    def rows(self) -> int:
        """How many images this process owns."""
        return sum(self.size(shard) for shard in self.owned)
