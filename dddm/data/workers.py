"""Process chunks of images on all cores.  Imports no torch.

Worker processes are spawned, so they inherit neither threads nor locks, and import only what their
work needs.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final, TypeVar, final

from attrs import define

from dddm.data.source import Chunk
from dddm.errors import EnvironmentProblem
from dddm.interfaces.data_report import ProgressCallback

_POLL_SECONDS: Final = 0.25
_MIN_CHUNKS: Final = 10
"""With fewer chunks, starting processes takes longer than the work."""

Result = TypeVar("Result")
Count = Callable[[int], None]
"""Called with the number of further images done; raises if the work has to stop."""
Work = Callable[[Chunk, Count], Result]
"""What is done with a chunk; picklable."""


def usable_cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@final
@define
class ImageCounter:
    """Counts images done and reports them to a progress callback."""

    what: str
    total: int
    progress: ProgressCallback
    done: int = 0

    def add(self, images: int) -> None:
        self.set(self.done + images)

    def set(self, done: int) -> None:
        self.done = done
        self.progress(self.what, done, self.total)


def map_chunks(
    work: Work[Result], chunks: Mapping[int, Chunk], *, workers: int, counter: ImageCounter
) -> Iterator[tuple[int, Result]]:
    """Yield number and result of each chunk, in order of completion.

    Raises:
        EnvironmentProblem: if a worker process was killed.
        Exception: whatever the work or the progress callback raises; unfinished chunks are dropped.
    """
    if workers == 1 or len(chunks) < _MIN_CHUNKS:
        for number, chunk in chunks.items():
            yield number, work(chunk, counter.add)
        return
    context = multiprocessing.get_context("spawn")
    done, stop = context.Value("q", 0), context.Event()
    done_before = counter.done
    pool = ProcessPoolExecutor(
        min(workers, len(chunks)),
        mp_context=context,
        initializer=_start_worker,
        initargs=(done, stop),
    )
    try:
        with _main_hidden(from_work=work):
            running = {pool.submit(_run_in_worker, work, chunk): n for n, chunk in chunks.items()}
        while running:
            finished, _ = wait(running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            counter.set(done_before + done.value)
            for future in finished:
                yield running.pop(future), future.result()
    except BrokenProcessPool as error:
        raise EnvironmentProblem(
            "a worker process ended before its images were done",
            remedy="if memory ran out, use fewer workers (`dddm data pack RECIPE --workers 1`); "
            "finished images are kept",
        ) from error
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _main_hidden(*, from_work: Work[Any]) -> Iterator[None]:
    """Spawned processes would run the user's script again, from its first line to this call.

    Args:
        from_work: what they do; if the script itself defines it, they have to run it.
    """
    main = sys.modules["__main__"]
    if getattr(from_work, "func", from_work).__module__ != "__main__":
        sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


_done: Any = None
_stop: Any = None


def _start_worker(done: Any, stop: Any) -> None:
    global _done, _stop
    _done, _stop = done, stop
    # Ctrl-C reaches every process of the terminal; only the parent reacts to it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # An idle worker would otherwise outlive a killed parent.
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _run_in_worker(work: Work[Result], chunk: Chunk) -> Result:
    return work(chunk, _count_in_worker)


def _count_in_worker(images: int) -> None:
    if _stop.is_set():
        raise InterruptedError
    with _done.get_lock():
        _done.value += images
