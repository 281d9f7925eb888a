"""Which rows and images stand in which set, for an objective that compares sets of images.

A batch is cut into G sets of n rows, each of one class; a set is compared with m further real
images of its class.  A set belongs to one shard, and so to one process and one micro-batch: it is
never gathered, and the same sets are compared however many processes share the work.

Classes take turns: every C sets in a row, beside each other or in following batches, have all C
classes, in an order that changes.  Which images and rows a set takes depends on the seed, the
batch and the set's place in it alone.

Rows of the memory are the training images, or rows of the objective's own, of which row k belongs
to shard k mod S and has class (k div S) mod C.
"""

import math
from typing import Literal, final

import numpy as np
import torch
from attrs import field, frozen
from torch import Tensor

from dddm.errors import DataError, RecipeError
from dddm.interfaces.dataset import Split
from dddm.interfaces.info import ObjectiveInfo, SetInfo
from dddm.interfaces.shards import Shards
from dddm.recipe.model import check_processes, default_shards
from dddm.support.noise import generator_for, seed_for
from dddm.training.batches import EpochRows, StepRows

MemoryRows = Literal["none", "images", "own"]


def _kind_of_rows(needs: ObjectiveInfo) -> MemoryRows:
    if not needs.memory:
        return "none"
    return "images" if needs.memory_rows is None else "own"


@final
@frozen(kw_only=True)
class SetPlan:
    """The batches of an objective that compares sets; where a `BatchPlan` stands otherwise.

    Attributes:
        images: N, in the training split.
        batch_images: G n, rows of a batch.
        shards: S, which divides G.
        memory: what its rows are: training images, others of the objective's own, or nothing.
        memory_rows: how many they are.
    """

    images: int
    batch_images: int
    shards: int
    seed: int
    sets: SetInfo
    memory: MemoryRows
    memory_rows: int
    _images_of_class: tuple[Tensor, ...] = field(eq=False, repr=False)

    @classmethod
    def make(
        cls,
        *,
        split: Split,
        batch_images: int,
        shards: int | None,
        seed: int,
        needs: ObjectiveInfo,
        labels: bool,
    ) -> "SetPlan":
        """Choose the shards where the recipe does not, and refuse what cannot be cut.

        Args:
            needs: of the objective, which compares sets.
            labels: whether the network uses classes; without, all images are of one.

        Raises:
            RecipeError: if sets cannot be shared by the shards.
            DataError: if a class has too few images.
        """
        sets = needs.sets
        assert sets is not None, "other objectives have a BatchPlan"
        count = batch_images // sets.rows
        shards = shards or default_shards(count)
        if count % shards:
            raise RecipeError(
                f"{count} sets of {sets.rows} images cannot be shared equally by {shards} shards",
                where="train.shards",
                remedy=f"set train.shards to a divisor of {count}, or leave it out",
            )
        every = torch.arange(len(split))
        label_N = split.labels(every) if labels else None
        by_class = (
            (every,)
            if label_N is None
            else tuple(
                (label_N == label).nonzero().flatten() for label in range(len(split.classes))
            )
        )
        needed = sets.rows + sets.real
        for label, index in enumerate(by_class):
            if len(index) < needed:
                of = f"class {split.classes[label]}" if label_N is not None else "the data set"
                raise DataError(
                    f"the objective compares sets of {sets.rows} images with {sets.real} others, "
                    f"and {of} has {len(index)}",
                    where="data",
                    remedy="use smaller sets: fewer rows or real images in [objective]",
                )
        plan = cls(
            images=len(split),
            batch_images=batch_images,
            shards=shards,
            seed=seed,
            sets=sets,
            memory=_kind_of_rows(needs),
            memory_rows=needs.memory_rows or len(split),
            images_of_class=by_class,
        )
        plan._refuse_small_pools()
        return plan

    @property
    def batches_per_epoch(self) -> int:
        """Batches after which as many images were visited as there are."""
        return max(self.images // self.batch_images, 1)

    @property
    def stale_images(self) -> int:
        """None: sets take their images from anywhere."""
        return 0

    @property
    def _count(self) -> int:
        """G, sets of a batch."""
        return self.batch_images // self.sets.rows

    def shards_of(self, *, rank: int, processes: int) -> Shards:
        """The shards of one process.

        Raises:
            UsageError: if the shards cannot be shared equally.
        """
        check_processes(processes, batch_images=self._count, shards=self.shards)
        return Shards.of_process(
            images=self.memory_rows, count=self.shards, rank=rank, processes=processes
        )

    def process_slice(self, *, rank: int, processes: int) -> slice:
        """Which rows of each batch one process works on: whole sets."""
        each = self.batch_images // processes
        return slice(rank * each, (rank + 1) * each)

    def memory_epoch(self, *, epoch: int, step: int) -> int:
        """The period in which a row of the memory is written once: the step."""
        del epoch
        return step

    def rows_of_epoch(self, epoch: int, *, part: slice) -> EpochRows:
        """What one process works on in epoch n: `part` of each batch."""
        size = self.sets.rows
        places = range(part.start // size, part.stop // size)

        def rows(batch: int) -> StepRows:
            number = epoch * self.batches_per_epoch + batch
            label = [self._class_at(number * self._count + place) for place in places]
            row_Gn = None if self.memory == "none" else self._rows(number, places, label)
            index, real = [], []
            for at, (place, of_class) in enumerate(zip(places, label, strict=True)):
                images = self._images_of_class[of_class]
                if row_Gn is not None and self.memory == "images":
                    others = self._others(images, row_Gn[at], number, place)
                    images = torch.cat([row_Gn[at], others])
                else:
                    images = images[self._chosen(len(images), size + self.sets.real, number, place)]
                index.append(images[:size])
                real.append(images[size:])
            index_B = torch.cat(index)
            return StepRows(
                index=index_B,
                rows=index_B if row_Gn is None else row_Gn.flatten(),
                real=torch.stack(real),
            )

        return rows

    def _class_at(self, place: int) -> int:
        """The class of the set at a place in the sequence of all sets of the run."""
        classes = len(self._images_of_class)
        turn, within = divmod(place, classes)
        order = torch.randperm(classes, generator=generator_for("set classes", self.seed, turn))
        return int(order[within])

    def _rows(self, batch: int, places: range, label: list[int]) -> Tensor:
        """Rows of the memory for each set, of its class and its shard, (G, n); all different."""
        each, size = self._count // self.shards, self.sets.rows
        seen: dict[tuple[int, int], int] = {}
        found = []
        for place, of_class in zip(places, label, strict=True):
            shard = place // each
            before = seen.get((shard, of_class), 0)
            seen[shard, of_class] = before + 1
            pool = self._pool(shard, of_class)
            generator = generator_for("set rows", self.seed, batch, shard, of_class)
            order = torch.randperm(len(pool), generator=generator)
            found.append(pool[order[before * size : (before + 1) * size]])
        return torch.stack(found)

    def _pool(self, shard: int, label: int) -> Tensor:
        """All rows of one class in one shard."""
        if self.memory == "images":
            index = self._images_of_class[label]
            return index[index % self.shards == shard]
        stride = self.shards * len(self._images_of_class)
        return torch.arange(shard + label * self.shards, self.memory_rows, stride)

    def _others(self, images: Tensor, rows: Tensor, batch: int, place: int) -> Tensor:
        """Images of a class, none of which is among the rows of the set."""
        rest = images[~torch.isin(images, rows)]
        return rest[self._chosen(len(rest), self.sets.real, batch, place)]

    def _chosen(self, available: int, count: int, batch: int, place: int) -> Tensor:
        """`count` different places among `available`, (count,), int64."""
        lot = np.random.Generator(np.random.PCG64(seed_for("set", self.seed, batch, place)))
        return torch.from_numpy(lot.choice(available, count, replace=False, shuffle=True))

    def _refuse_small_pools(self) -> None:
        if self.memory == "none":
            return
        classes = len(self._images_of_class)
        each = self._count // self.shards
        # Neighbours in the sequence of sets may have one class where a turn ends.
        most = math.ceil(each / classes) + (classes > 1 and each > 1)
        least = min(len(self._pool(s, c)) for s in range(self.shards) for c in range(classes))
        if least < most * self.sets.rows:
            raise RecipeError(
                f"a batch of {self._count} sets of {self.sets.rows} rows may need "
                f"{most * self.sets.rows} rows of one class in one of {self.shards} shards; one "
                f"has {least}",
                where="train.batch_images",
                remedy="use fewer shards or smaller batches, or a larger memory of the objective",
            )
