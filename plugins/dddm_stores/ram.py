"""X̂ in main memory, float32.

All rows get their noise when the store is opened, not when they are first read: a machine with too
little memory then says so before training begins, a step takes the same time in the first epoch as
later, and the state needs no record of which rows are real.  The price is a few seconds at the
start of a run with many images, also of a resumed one, whose rows `restore` then replaces.

Legend: n rows of this process, B images asked for, C channels, H rows, W columns.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from dddm.errors import EnvironmentProblem
from dddm.interfaces.facts import ImageShape
from dddm.interfaces.plugin import NoOptions
from dddm.interfaces.target_store import TargetStore
from dddm.support.noise import noise_by_index
from dddm_stores.owned_rows import OwnedRows, name_indices

_BEFORE_THE_FIRST_EPOCH = -1


@final
class RamStore(TargetStore):
    """One float32 tensor (n, C, H, W).  Nothing of it is shared with a caller's tensors."""

    def __init__(self, options: NoOptions) -> None:
        del options
        self._own = OwnedRows(torch.empty(0, dtype=torch.int64), images=0)
        self._rows_nCHW = torch.empty(0, 0, 0, 0)
        self._written_n = torch.empty(0, dtype=torch.bool)
        self._epoch = _BEFORE_THE_FIRST_EPOCH
        self._device = torch.device("cpu")

    def open(
        self,
        *,
        images: int,
        shape: ImageShape,
        seed: int,
        owned: Tensor,
        folder: Path,
        device: torch.device,
    ) -> None:
        """Allocate the owned rows and fill them with noise.

        Raises:
            EnvironmentProblem: if there is not that much memory.
            ValueError: if `owned` does not ascend or leaves 0…images-1.
        """
        del folder  # nothing is kept on the disk
        self._own = OwnedRows(owned, images=images)
        self._device = device
        try:
            self._rows_nCHW = noise_by_index(
                seed=seed, purpose="store", index=owned, shape=shape.as_tuple
            )
        except MemoryError as error:
            raise EnvironmentProblem(
                f"the target store does not fit into memory: {len(owned)} estimates of {shape} "
                f"take {len(owned) * shape.values * 4 / 1e9:.1f} GB",
                where="targets.use = ram",
                remedy="use fewer or smaller images, or more processes, which share them",
            ) from error
        self._written_n = torch.zeros(len(owned), dtype=torch.bool)
        self._epoch = _BEFORE_THE_FIRST_EPOCH

    def size_bytes(self) -> int:
        """n·C·H·W·4."""
        return self._rows_nCHW.nbytes

    def begin_epoch(self, epoch: int) -> None:
        """From here on every row may be written once more."""
        self._epoch = epoch
        self._written_n.zero_()

    def read(self, index: Tensor) -> Tensor:
        """Rows (B, C, H, W), float32, on the device; a copy.

        Raises:
            ValueError: if an index is not this process's own.
        """
        return self._rows_nCHW[self._own.rows_of(index)].to(self._device)

    def peek(self, index: Tensor) -> Tensor:
        """The same as `read`, which leaves no trace here either."""
        return self.read(index)

    def write(self, index: Tensor, *, estimate: Tensor) -> None:
        """Replace rows by a copy of `estimate`, (B, C, H, W).

        Raises:
            ValueError: if an index is not this process's own, was written in this epoch already,
                or stands twice in `index`, or if `estimate` has another shape; no row is changed.
        """
        row_B = self._own.rows_of(index)
        self._refuse_second_write(index, row_B=row_B)
        expected = (len(index), *self._rows_nCHW.shape[1:])
        if estimate.shape != expected:
            raise ValueError(f"estimates of shape {tuple(estimate.shape)}, not {expected}")
        self._rows_nCHW[row_B] = estimate.detach().to("cpu", torch.float32)
        self._written_n[row_B] = True

    def _refuse_second_write(self, index: Tensor, *, row_B: Tensor) -> None:
        again_B = self._written_n[row_B]
        if again_B.any():
            named = name_indices(index[again_B])
            raise ValueError(f"images {named} were written in epoch {self._epoch} already")
        ascending_B = index.sort().values
        twice = ascending_B[1:][ascending_B[1:] == ascending_B[:-1]]
        if len(twice):
            raise ValueError(f"images {name_indices(twice)} stand twice in one write")

    def flush(self) -> None:
        """Nothing: what is in memory outlives the process in a checkpoint's `snapshot` alone."""

    def snapshot(self) -> Mapping[str, Tensor]:
        """Copies, so that later writes do not change them.

        `rows`: (n, C, H, W), float32.  `index`: (n,), int64, which image each row belongs to.
        `written`: (n,), bool, whether this epoch has written it.  `epoch`: (1,), int64, from 0;
        -1 before the first.
        """
        return {name: part.clone() for name, part in self._parts().items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Return to what `snapshot` gave; the state stays the caller's.

        Raises:
            ValueError: if the state is not of this kind of store, or of other images.
        """
        for name, mine in self._parts().items():
            theirs = state.get(name)
            if theirs is None or theirs.dtype != mine.dtype or theirs.shape != mine.shape:
                found = "is missing" if theirs is None else f"is {_describe(theirs)}"
                raise ValueError(f"the store's state: {name} {found}, not {_describe(mine)}")
        if not torch.equal(state["index"], self._own.index):
            raise ValueError("the store's state belongs to other images than this process owns")
        self._rows_nCHW.copy_(state["rows"])
        self._written_n.copy_(state["written"])
        self._epoch = int(state["epoch"])

    def _parts(self) -> dict[str, Tensor]:
        return {
            "rows": self._rows_nCHW,
            "index": self._own.index,
            "written": self._written_n,
            "epoch": torch.tensor([self._epoch]),
        }


def _describe(tensor: Tensor) -> str:
    return f"{tensor.dtype} of shape {tuple(tensor.shape)}"
