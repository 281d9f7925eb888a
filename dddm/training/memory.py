"""An objective's memory: a target store for each of its fields, all with the same rows.

In a checkpoint each process has a group `memory-<field>-0000` for each field, in which the tensors
of a shard stand under `0007.`.  Whoever resumes asks for the shards that it owns, in whichever
process's file they are.

Legend: B rows.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import final

import torch
from attrs import frozen
from safetensors import safe_open
from torch import Tensor

from dddm.interfaces.data_report import ProgressCallback
from dddm.interfaces.info import ImageShape, MemoryField
from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import MemoryUsage, ShardState, TargetStore
from dddm.recipe.model import ComponentConfig
from dddm.support.files import raise_on_disk_full
from dddm.support.noise import seed_for
from dddm.training.checkpoint import MEMORY, Groups
from dddm.training.context import RunContext
from dddm.training.resources import check_store_fits


@final
@frozen(kw_only=True)
class Memory:
    """The opened stores, by the names of the fields; none for an objective without memory.

    Attributes:
        shards: the rows that this process owns.
    """

    stores: Mapping[str, TargetStore]
    shards: Shards

    def begin_epoch(self, epoch: int) -> None:
        """From here on every row may be written once more."""
        for store in self.stores.values():
            store.begin_epoch(epoch)

    def read(self, rows: Tensor) -> dict[str, Tensor]:
        """All fields of rows (B,), each (B, …), float32, on the device."""
        return {name: store.read(rows) for name, store in self.stores.items()}

    def peek(self, rows: Tensor) -> dict[str, Tensor]:
        """The same, for diagnostics."""
        return {name: store.peek(rows) for name, store in self.stores.items()}

    def prefetch(self, rows: Tensor) -> None:
        """Be told which rows will be read next."""
        for store in self.stores.values():
            store.prefetch(rows)

    def write(self, rows: Tensor, *, values: Mapping[str, Tensor], written: Tensor | None) -> None:
        """Replace fields of rows; `written`, (B,), bool, says of which, None of all."""
        if written is not None:
            keep_B = written.cpu()
            rows = rows[keep_B]
            values = {name: tensor[written] for name, tensor in values.items()}
        if len(rows):
            for name, tensor in values.items():
                self.stores[name].write(rows, estimate=tensor)

    def flush(self) -> None:
        """Bring everything written to where it survives a crash of the machine."""
        for store in self.stores.values():
            store.flush()

    def snapshot(self, *, rank: int) -> Groups:
        """The groups of this process, for a checkpoint; they may share the stores' memory."""
        return {
            f"{MEMORY}{name}-{rank:04d}": {
                f"{shard:04d}.{part}": tensor
                for shard, state in store.snapshot().items()
                for part, tensor in state.items()
            }
            for name, store in self.stores.items()
        }

    def restore(self, files: Mapping[str, Path]) -> None:
        """Return to what a checkpoint holds.

        Raises:
            ValueError: if it is of other rows or kinds of store.
            EstimatesLost: if rows are no longer where it says.
        """
        for name, store in self.stores.items():
            store.restore(SavedStates(files, field=name, shards=self.shards.count))

    def verify(self, *, progress: ProgressCallback) -> None:
        """Compare rows that are not in the checkpoint with what was written.

        Raises:
            EstimatesLost: if some have changed.
        """
        for store in self.stores.values():
            store.verify(progress=progress)

    def close(self) -> None:
        for store in self.stores.values():
            store.close()


def kept_snapshots(keep_checkpoints: int) -> int:
    """Of how many checkpoints the stores must keep the rows: never below two.

    While a checkpoint is saved, the one before must stay whole.
    """
    return max(keep_checkpoints, 2)


def shape_of(field: MemoryField, image: ImageShape) -> ImageShape:
    """Of one row of a field."""
    if field.shape is None:
        return image
    channels, height, width = field.shape
    return ImageShape(channels=channels, height=height, width=width)


def memory_usage_of(
    targets: ComponentConfig | None,
    *,
    fields: tuple[MemoryField, ...],
    rows: int,
    image: ImageShape,
    keep_checkpoints: int,
) -> MemoryUsage:
    """What the stores of all fields take with so many rows."""
    total = MemoryUsage()
    for field in fields if targets is not None else ():
        store: TargetStore = targets.instantiate()  # type: ignore[union-attr]  # there are fields
        one = store.memory_usage(
            rows=rows,
            shape=shape_of(field, image),
            kept_snapshots=kept_snapshots(keep_checkpoints),
        )
        total = MemoryUsage(
            memory=total.memory + one.memory,
            disk=total.disk + one.disk,
            device=total.device + one.device,
        )
    return total


def open_memory(context: RunContext, *, shards: Shards, image: ImageShape) -> Memory:
    """Open a store for each field that the recipe's objective names.

    Raises:
        EnvironmentProblem: if the machine will not hold them.
    """
    recipe, folder = context.recipe, context.folder.memory
    fields = recipe.needs.memory
    if not fields or recipe.targets is None:
        return Memory(stores={}, shards=shards)
    keep = recipe.train.keep_checkpoints
    stores: dict[str, TargetStore] = {field.name: recipe.targets.instantiate() for field in fields}
    places = {name: store.choose_folder(folder / name) for name, store in stores.items()}
    for place in places.values():
        with raise_on_disk_full(place):
            place.mkdir(parents=True, exist_ok=True)
    check_store_fits(
        memory_usage_of(
            recipe.targets, fields=fields, rows=shards.rows, image=image, keep_checkpoints=keep
        ),
        context,
        folder=places[fields[0].name].parent,
    )
    for number, field in enumerate(fields):
        stores[field.name].open(
            shards=shards,
            shape=shape_of(field, image),
            # Fields begin with different noise; the first with that of the recipe's own seed.
            seed=recipe.seed if number == 0 else seed_for("memory", recipe.seed, field.name) >> 1,
            folder=places[field.name],
            device=context.device,
            kept_snapshots=kept_snapshots(keep),
            initial=field.initial,
        )
    return Memory(stores=stores, shards=shards)


@final
class SavedStates(Mapping[int, ShardState]):
    """The states of all shards of one field in a checkpoint; each is read when it is asked for.

    Which process saved a shard follows from its number, so that no file is opened in vain.

    Args:
        shards: of all processes.
    """

    def __init__(self, files: Mapping[str, Path], *, field: str, shards: int) -> None:
        name = re.compile(rf"{MEMORY}{re.escape(field)}-\d+")
        self._files = [file for group, file in sorted(files.items()) if name.fullmatch(group)]
        self._shards = range(shards)

    def __getitem__(self, shard: int) -> ShardState:
        file = self._files[self._shards[shard] * len(self._files) // len(self._shards)]
        prefix = f"{shard:04d}."
        with safe_open(file, "pt") as tensors:
            keys = [key for key in tensors.keys() if key.startswith(prefix)]  # noqa: SIM118 - not a dictionary
            return {key.removeprefix(prefix): tensors.get_tensor(key) for key in keys}

    def __contains__(self, shard: object) -> bool:
        return shard in self._shards

    def __iter__(self) -> Iterator[int]:
        return iter(self._shards)

    def __len__(self) -> int:
        return len(self._shards)


def gather_rows(memory: Memory, context: RunContext, rows: Tensor) -> dict[str, Tensor] | None:
    """Fields of rows (B,) from the processes that own them; None but in the first process."""
    shards = memory.shards
    own = rows[torch.isin(rows % shards.count, torch.tensor(shards.owned))]
    of_all = context.processes.collect(own)
    fields = {name: context.processes.collect(tensor) for name, tensor in memory.peek(own).items()}
    if of_all is None:
        return None
    order = torch.cat(of_all).argsort()
    return {
        name: torch.cat(parts)[order].to(context.device)
        for name, parts in fields.items()
        if parts is not None
    }
