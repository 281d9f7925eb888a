"""`--nproc`: several processes on this machine, started by torchrun's elastic agent.

The agent watches the workers: when one fails, it ends the others, and says which was the first.
A worker writes its error into a file of the agent's, and this process shows it.  Imports no torch
before it launches.
"""

import ctypes
import json
import logging
import os
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, final

from attrs import frozen

LAUNCHER: Final = "DDDM_LAUNCHER"
"""In a worker's environment: the process that started it, and will show its error."""
PARENT: Final = "DDDM_PARENT"
"""In the environment of a sweep's entry: the process that started it, and resumes it."""
_ERROR_FILE: Final = "TORCHELASTIC_ERROR_FILE"
_CODE_FILE: Final = "DDDM_CODE_FILE"
_DIE_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>
_SECONDS_TO_SAVE: Final = 24 * 3600


@final
@frozen(kw_only=True)
class LaunchResult:
    """How the workers ended.

    Attributes:
        exit_code: 0, or that of the worker that failed first, 128 + N for one that a signal killed.
        rank: of that worker; None where all did what they were asked to.
        message: its own error; None where it left none.
    """

    exit_code: int
    rank: int | None = None
    message: str | None = None


def is_worker() -> bool:
    """Whether this process was started as one of several, by `launch` or by torchrun."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def rank_here() -> int:
    """The number of this process among those of its run, from 0."""
    return int(os.environ["RANK"]) if is_worker() else 0


def local_rank() -> int | None:
    """The number of this process among those on its machine; None for the only one of its run."""
    return int(os.environ.get("LOCAL_RANK", "0")) if is_worker() else None


def launch(arguments: Sequence[str], *, processes: int) -> LaunchResult:
    """Run `python -m dddm` with `arguments` in so many processes, and wait for them.

    A signal that asks this process to stop is passed on to them.
    """
    # Here: torch takes a second to import.
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # What it has to say is said here, in words for a person who runs a recipe.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="dddm-") as folder, _environment(folder, processes):
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
            monitor_interval=0.1,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
        )
        try:
            elastic_launch(config, sys.executable)("-m", "dddm", *arguments)
        except ChildFailedError as error:
            return _first_failure(error.failures)
        except SignalException as error:
            return LaunchResult(exit_code=_code_of_main(Path(folder)) or 128 + int(error.sigval))
        return LaunchResult(exit_code=0)


@contextmanager
def _environment(folder: str, processes: int) -> Iterator[None]:
    """Within it, what workers find in their environment beside what the agent puts there."""
    from dddm.data.workers import usable_cores

    before = dict(os.environ)
    os.environ.update({LAUNCHER: str(os.getpid()), _CODE_FILE: str(Path(folder) / "code")})
    os.environ.setdefault("OMP_NUM_THREADS", str(max(usable_cores() // processes, 1)))
    # DistributedDataParallel warns of what is asked of it on purpose.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    # They finish their step and save before they stop, however long that takes.
    os.environ["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] = str(_SECONDS_TO_SAVE)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _first_failure(failures: Mapping[int, Any]) -> LaunchResult:
    """The worker whose failure made the others fail: those leave no error of their own.

    Where none left one, the agent's SIGTERM tells those that it ended; its times are whole seconds.
    """
    found = []
    for rank, failure in failures.items():
        known = _error_in(failure.error_file)
        at = known.get("at", float("inf"))
        ended = failure.exitcode == -signal.SIGTERM
        order = (at, ended, failure.timestamp, rank)
        # One that has left its error may be told to end before it could.
        code = known.get("code", failure.exitcode)
        found.append((order, rank, code, known.get("message")))
    _, rank, code, message = min(found, key=lambda each: each[0])
    return LaunchResult(exit_code=128 - code if code < 0 else code, rank=rank, message=message)


def _error_in(file: str) -> dict[str, Any]:
    try:
        known: dict[str, Any] = json.loads(Path(file).read_text("utf-8"))["message"]["dddm"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return known


def _code_of_main(folder: Path) -> int | None:
    try:
        return int((folder / "code").read_text("ascii"))
    except (OSError, ValueError):
        return None


def record_error(message: str, *, code: int) -> None:
    """In a worker: leave the error, and the exit code, where the agent and `launch` look for it."""
    if _ERROR_FILE in os.environ:
        now = time.time()
        contents = {
            "message": {
                "message": message,
                "extraInfo": {"timestamp": str(int(now)), "py_callstack": ""},
                "dddm": {"message": message, "at": now, "code": code},
            }
        }
        Path(os.environ[_ERROR_FILE]).write_text(json.dumps(contents), encoding="utf-8")


def record_exit_code(code: int) -> None:
    """In the first worker: leave the exit code, which the agent forgets after a signal."""
    if _CODE_FILE in os.environ and os.environ.get("RANK") == "0":
        Path(os.environ[_CODE_FILE]).write_text(str(code), encoding="ascii")


def exit_with_launcher() -> None:
    """In a worker or an entry of a sweep: end with the process that started it, also if killed.

    So that no process writes into a folder whose command was given again.  Linux can do this;
    elsewhere a process whose launcher is killed trains on.
    """
    launcher = os.environ.get(LAUNCHER) if is_worker() else None
    # Not for processes that this one starts.
    launcher = os.environ.pop(PARENT, launcher)
    if launcher is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != int(launcher):  # it had gone before this was asked for
        os.kill(os.getpid(), signal.SIGKILL)
