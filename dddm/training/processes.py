"""Process groups: rank and size, small collectives over gloo, and the gradient-averaging step.

Gradients go through DistributedDataParallel; other messages are small and always on the CPU.
torchrun and `dddm run --nproc` set the environment variables that are read here.

All processes take each training step at the same time, so one that lets the others wait for minutes
there hangs, and the others end with an error.  Between steps the first process may work alone for
hours, on grids, scores or a report, while the others wait.  A process that ends is noticed at once,
whatever the others are at: each has a thread that listens to the next one.
"""

import datetime as dt
import math
import os
import re
import resource
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, Self, TypeVar, final

import torch
import torch.distributed as dist
from attrs import evolve, frozen
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.nn.parallel import DistributedDataParallel

from dddm.errors import EnvironmentProblem, StoppedEarly, UsageError
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.objective import Outcome
from dddm.training.launch import is_worker

Value = TypeVar("Value")

STEP_SECONDS: Final = "DDDM_STEP_SECONDS"
"""In the environment: how long processes wait for one another within a training step."""
# Longer than reading a batch from a busy file system, or compiling a network in one of them alone.
_STEP_SECONDS: Final = 600.0
# The first process draws grids and scores while the others wait for it.
_TIMEOUT: Final = dt.timedelta(hours=6)
_FOREVER: Final = dt.timedelta(days=3650)
_WHICH: Final = dt.timedelta(seconds=10)
_LAZY: Final = "TORCH_GLOO_LAZY_INIT"
"""In the environment: gloo connects two processes when they first speak, not all with all."""
_GROUPS: Final = 4
_DESCRIPTORS: Final = 256
"""For files, libraries and one connection to the store that processes meet at."""
_GRACE_SECONDS: Final = 10.0
"""For the main thread to show its own error, once another process has gone."""


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
    _watch: "_Watch | None" = None

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

    def collect(self, tensor: Tensor) -> list[Tensor] | None:
        """The tensors of all processes, by rank, on the CPU of the first; None in the others.

        They may differ in their number of rows, which may be 0.
        """
        rows = self.gather(len(tensor))
        mine = tensor.detach().cpu().contiguous()
        if not self.main:
            if len(mine):
                dist.send(mine, dst=0, group=self._control_group)
            return None
        found = [mine]
        for rank in range(1, self.count):
            found.append(mine.new_empty(rows[rank], *mine.shape[1:]))
            if rows[rank]:
                dist.recv(found[-1], src=rank, group=self._control_group)
        return found

    def from_main(self, make: Callable[[], Value]) -> Value:
        """What `make` gives in the first process, in every one; the others do not call it."""
        if not self.joined:
            return make()
        box: list[Any] = [make() if self.main else None]
        dist.broadcast_object_list(box, src=0, group=self._control_group)
        value: Value = box[0]
        return value

    def sums(self, values: Sequence[float]) -> list[float]:
        """Sums over all processes, in double precision, the same bits in every one.

        Within a step: processes that wait here for long take another one for hung.
        """
        if not self.joined:
            return list(values)
        summed = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(summed)
        return [float(value) for value in summed]

    def apart(self) -> "Processes":
        """The same processes with a process group for another thread; a collective call."""
        if not self.joined:
            return self
        return evolve(self, control_group=dist.new_group(backend="gloo", timeout=_TIMEOUT))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, _trace: object) -> None:
        if not self.joined:
            return
        if error is None or isinstance(error, StoppedEarly):
            if self._watch is not None:
                self._watch.close()
            dist.destroy_process_group()
        elif _timed_out(error):
            raise self._hung() from error
        # After a failure the others notice that this process ends.  To take leave of NCCL could
        # mean to wait for them.

    def _hung(self) -> EnvironmentProblem:
        """The error for a process that the others have waited for, named if the first one asks."""
        which = "another process"
        try:
            dist.monitored_barrier(self._control_group, timeout=_WHICH, wait_all_ranks=True)
        except RuntimeError as error:
            found = re.findall(r"[Rr]anks? ([\d, ]+\d|\d+) failed", str(error))
            if found and self.main:
                which = f"process {found[0]}"
        return EnvironmentProblem(
            f"{which} let the others wait for {_step_seconds():g} s within a training step",
            remedy="look at what it does with `py-spy dump` before it is ended, or at its disk and "
            f"GPU; if it is only slow, set {STEP_SECONDS} higher; the same command resumes",
        )


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
    _allow_descriptors(int(os.environ["WORLD_SIZE"]))
    try:
        if device.type == "cuda":
            torch.cuda.set_device(device)
        os.environ.setdefault(_LAZY, "1")
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
            timeout=dt.timedelta(seconds=_step_seconds()),
            device_id=device if device.type == "cuda" else None,
        )
        control_group = dist.new_group(backend="gloo", timeout=_TIMEOUT)
        watch = _Watch(dist.new_group(backend="gloo", timeout=_FOREVER))
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
        watch=watch,
    )


def _allow_descriptors(count: int) -> None:
    """Let this process open as many files and connections as it may.

    Raises:
        EnvironmentProblem: if those are too few for connections to `count` processes.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # As many as there are at worst, where each is connected with all others.
    needed = _GROUPS * count + _DESCRIPTORS
    if resource.RLIM_INFINITY not in (soft, hard) and hard < needed:
        raise EnvironmentProblem(
            f"{count} processes need up to {needed:,} open descriptors each, and the system allows "
            f"{hard:,}",
            where="ulimit -n",
            remedy=f"allow more, as root or in the job's limits: ulimit -Hn {needed}",
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _step_seconds() -> float:
    """How long processes wait for one another within a step.

    Raises:
        UsageError: if the environment says no number of seconds.
    """
    text = os.environ.get(STEP_SECONDS, str(_STEP_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _FOREVER.total_seconds():
        remedy = f"set it to a number of seconds, such as {_STEP_SECONDS:g}, or unset it"
        raise UsageError(f"{text!r} is no number of seconds", where=STEP_SECONDS, remedy=remedy)
    return seconds


@final
class _Watch:
    """Ends this process when the next one of the ring has ended, even if its main thread waits.

    A thread waits for a message, which comes when all goes well; a connection that breaks ends the
    wait.  So one process that ends takes all others with it, one after the other, at once.
    """

    def __init__(self, group: Any) -> None:
        self._group = group
        rank, count = dist.get_rank(), dist.get_world_size()
        self._next, self._previous = (rank + 1) % count, (rank - 1) % count
        self._leaving = False
        self._thread: threading.Thread | None = None
        if count > 1:
            # Connected from the start: a connection that was never made cannot break.
            greeting = dist.isend(torch.zeros(1), dst=self._previous, group=group)
            dist.recv(torch.empty(1), src=self._next, group=group)
            assert greeting is not None
            greeting.wait()
            self._thread = threading.Thread(target=self._wait, name="dddm-watch", daemon=True)
            self._thread.start()

    def _wait(self) -> None:
        try:
            dist.recv(torch.empty(1), src=self._next, group=self._group)
        except RuntimeError:
            if not self._leaving:
                time.sleep(_GRACE_SECONDS)
                os._exit(1)

    def close(self) -> None:
        """Take leave, and wait for the next process: the first one may still write its report."""
        if self._thread is not None:
            self._leaving = True
            with suppress(RuntimeError):  # it may have failed since
                dist.send(torch.zeros(1), dst=self._previous, group=self._group)
            self._thread.join()


def _timed_out(error: BaseException) -> bool:
    """Whether an error only says that another process did not come."""
    words = ("Timed out waiting", "timed out", "timeout")
    return (
        isinstance(error, RuntimeError)
        and caused_by_peer(error)
        and any(each in str(error) for each in words)
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


def _in_bfloat16(
    group: Any,
    bucket: dist.GradBucket,  # type: ignore[name-defined]  # torch does not export it for typing
) -> torch.futures.Future[Tensor]:
    # torch's own hook goes by a name that DistributedDataParallel takes with NCCL alone.
    return default_hooks.bf16_compress_hook(group, bucket)


@final
class ParallelStep:
    """Makes steps whose backward passes average gradients over the processes."""

    def __init__(
        self,
        backbone: Backbone,
        *,
        device: torch.device,
        processes: Processes,
        precision: torch.dtype = torch.float32,
    ) -> None:
        processes.barrier()  # one may have read its data for long
        self._parallel = DistributedDataParallel(
            _Step(backbone),
            device_ids=[device] if device.type == "cuda" else None,
            # Otherwise gradients are summed in another order after the first step than in it, and
            # a resumed run differs in its last bits; two numbers have but one order.
            find_unused_parameters=device.type == "cpu" and processes.count > 2,  # noqa: PLR2004
            gradient_as_bucket_view=True,  # no second copy of the gradients
        )
        if precision == torch.bfloat16:
            self._parallel.register_comm_hook(None, _in_bfloat16)

    def __call__(self, make: MakeStep) -> Outcome:
        """What `make` gives."""
        found: tuple[Any, Outcome] = self._parallel(make)
        return found[1]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within it gradients stay in this process and add up, for gradient accumulation."""
        with self._parallel.no_sync():
            yield
