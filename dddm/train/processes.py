"""Process groups: rank and size, small collectives over gloo, and the gradient-averaging step.

Gradients go through DistributedDataParallel; other messages are small and always on the CPU.
torchrun and `dddm run --nproc` set the environment variables that are read here.
"""

import datetime as dt
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Self, TypeVar, final

import torch
import torch.distributed as dist
from attrs import evolve, frozen
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dddm.errors import EnvironmentProblem
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.objective import Outcome
from dddm.train.launch import is_worker

Value = TypeVar("Value")

# The first process draws grids and scores while the others wait for it.
_TIMEOUT: Final = dt.timedelta(hours=6)


@final
@frozen(kw_only=True)
class Processes:
    """The processes of a run, as seen from one of them.

    Attributes:
        rank: of this one, from 0.
        count: how many there are.
        here: how many of them are on this machine.
        local_rank: of this one among those on this machine.
    """

    rank: int = 0
    count: int = 1
    here: int = 1
    local_rank: int = 0
    _control_group: Any = None

    @property
    def main(self) -> bool:
        """Whether this is rank 0, which logs, draws grids and writes the report."""
        return self.rank == 0

    @property
    def joined(self) -> bool:
        """Whether there is a process group, be it of one."""
        return self._control_group is not None

    def barrier(self) -> None:
        """Wait until all are here."""
        self.gather(None)

    def gather(self, value: Value) -> list[Value]:
        """The values of all processes, by rank, in every one."""
        if not self.joined:
            return [value]
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value, group=self._control_group)
        return values

    def from_main(self, make: Callable[[], Value]) -> Value:
        """What `make` gives in the first process, in every one; the others do not call it."""
        if not self.joined:
            return make()
        box: list[Any] = [make() if self.main else None]
        dist.broadcast_object_list(box, src=0, group=self._control_group)
        value: Value = box[0]
        return value

    def sums(self, values: Sequence[float]) -> list[float]:
        """Sums over all processes, in double precision, the same bits in every one."""
        if not self.joined:
            return list(values)
        summed = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(summed, group=self._control_group)
        return [float(value) for value in summed]

    def apart(self) -> "Processes":
        """The same processes with a process group for another thread; a collective call."""
        if not self.joined:
            return self
        return evolve(self, control_group=dist.new_group(backend="gloo", timeout=_TIMEOUT))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.joined:
            dist.destroy_process_group()


ALONE: Final = Processes()
"""The only process of its run."""


def join(device: torch.device) -> Processes:
    """Join the other processes of this run, if there are any; a block that leaves them at its end.

    Gradients travel by NCCL between GPUs and by gloo between CPUs.

    Raises:
        EnvironmentProblem: if the others cannot be reached.
    """
    if not is_worker():
        return ALONE
    try:
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            timeout=_TIMEOUT,
            device_id=device if device.type == "cuda" else None,
        )
        control_group = dist.new_group(backend="gloo", timeout=_TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise EnvironmentProblem(
            f"the other processes of this run cannot be reached: {str(error).splitlines()[0]}",
            where=f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}",
            remedy="on several machines name the network device: GLOO_SOCKET_IFNAME=eth0 (and "
            "NCCL_SOCKET_IFNAME); see docs/processes.md",
        ) from error
    return Processes(
        rank=dist.get_rank(),
        count=dist.get_world_size(),
        here=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        local_rank=int(os.environ.get("LOCAL_RANK", "0")),
        control_group=control_group,
    )


def caused_by_peer(error: BaseException) -> bool:
    """Whether an error only says that another process has gone."""
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and is_worker() and "gloo/transport" in str(error)
    )


MakeStep = Callable[[], Outcome]


@final
class _Step(nn.Module):
    """A step as the module whose parameters are watched."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, make: MakeStep) -> tuple[Tensor, Outcome]:
        """The loss, where it is looked for, and all else."""
        outcome = make()
        return outcome.loss, outcome


@final
class ParallelStep:
    """Makes steps whose backward passes average gradients over the processes."""

    def __init__(self, backbone: Backbone, *, device: torch.device, processes: Processes) -> None:
        self._parallel = DistributedDataParallel(
            _Step(backbone),
            device_ids=[device] if device.type == "cuda" else None,
            # Otherwise gradients are summed in another order after the first step than in it, and
            # a resumed run differs in its last bits; two numbers have but one order.
            find_unused_parameters=device.type == "cpu" and processes.count > 2,  # noqa: PLR2004
        )

    def __call__(self, make: MakeStep) -> Outcome:
        """What `make` gives."""
        found: tuple[Any, Outcome] = self._parallel(make)
        return found[1]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within it gradients stay in this process and add up, for gradient accumulation."""
        with self._parallel.no_sync():
            yield
