"""The target store in a checkpoint: a group `store-0000` for each process, a shard under `0007.`.

Whoever resumes asks for the shards that it owns, in whichever process's file they are.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, final

from safetensors import safe_open
from torch import Tensor

from dddm.interfaces.target_store import ShardState
from dddm.run.checkpoint import SavedGroups

_GROUP: Final = "store-"


def group_of(rank: int) -> str:
    """What the store of one process is called in a checkpoint."""
    return f"{_GROUP}{rank:04d}"


def to_group(states: Mapping[int, ShardState]) -> dict[str, Tensor]:
    """The states of a process's shards as one group of tensors."""
    return {
        f"{shard:04d}.{name}": tensor
        for shard, state in states.items()
        for name, tensor in state.items()
    }


@final
class SavedStates(Mapping[int, ShardState]):
    """The states of all shards in a checkpoint; each is read when it is asked for."""

    def __init__(self, groups: SavedGroups) -> None:
        self._place: dict[int, tuple[Path, list[str]]] = {}
        for group in groups:
            if group.startswith(_GROUP):
                self._look_through(groups.file(group))

    def _look_through(self, file: Path) -> None:
        with safe_open(file, "pt") as tensors:
            for key in tensors.keys():  # noqa: SIM118 - this is no dictionary
                shard = int(key.partition(".")[0])
                self._place.setdefault(shard, (file, []))[1].append(key)

    def __getitem__(self, shard: int) -> ShardState:
        """The tensors of one shard."""
        file, keys = self._place[shard]
        with safe_open(file, "pt") as tensors:
            return {key.partition(".")[2]: tensors.get_tensor(key) for key in keys}

    def __iter__(self) -> Iterator[int]:
        """Numbers of the shards."""
        return iter(self._place)

    def __len__(self) -> int:
        """How many shards there are."""
        return len(self._place)
