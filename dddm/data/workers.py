"""Work on many images, chunk by chunk, on all cores.  Imports no torch.

Processes are started afresh (`spawn`), so that they inherit neither threads nor locks; each imports
what its work needs and nothing else.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Final, TypeVar, final

from attrs import define

from dddm.data.pack_source import Chunk
from dddm.errors import EnvironmentProblem
from dddm.interfaces.data_report import ProgressCallback

_LOOK_SECONDS: Final = 0.25
_WORTH_PROCESSES: Final = 10
"""With fewer chunks than this, processes take longer to start than the work does."""

Result = TypeVar("Result")
Count = Callable[[int], None]
"""Called with how many further images are done; raises where the work is to stop."""
Work = Callable[[Chunk, Count], Result]
"""What is done with a chunk; picklable."""


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@final
@define
class Tally:
    """How many images are done of how many, and who wants to know."""

    what: str
    total: int
    progress: ProgressCallback
    done: int = 0

    def add(self, images: int) -> None:
        """Count further images."""
        self.show(self.done + images)

    def show(self, done: int) -> None:
        """Say how many images are done."""
        self.done = done
        self.progress(self.what, done, self.total)


def over_chunks(
    work: Work[Result], chunks: Mapping[int, Chunk], *, workers: int, tally: Tally
) -> Iterator[tuple[int, Result]]:
    """The number and the result of each chunk, as they come.

    Raises:
        EnvironmentProblem: if a worker process was killed.
        Exception: whatever the work or the progress raises; unfinished chunks are given up.
    """
    if workers == 1 or len(chunks) < _WORTH_PROCESSES:
        for number, chunk in chunks.items():
            yield number, work(chunk, tally.add)
    else:
        yield from _over_processes(work, chunks, workers=min(workers, len(chunks)), tally=tally)


def _over_processes(
    work: Work[Result], chunks: Mapping[int, Chunk], *, workers: int, tally: Tally
) -> Iterator[tuple[int, Result]]:
    context = multiprocessing.get_context("spawn")
    counter, stop = context.Value("q", 0), context.Event()
    done_before = tally.done
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(counter, stop)
    )
    try:
        running = {pool.submit(_in_worker, work, chunk): n for n, chunk in chunks.items()}
        while running:
            finished, _ = wait(running, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
            tally.show(done_before + counter.value)
            for future in finished:
                yield running.pop(future), _result(future)
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _result(future: "Future[Result]") -> Result:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise EnvironmentProblem(
            "a worker process ended before its images were done",
            remedy="if memory ran out, use fewer workers (`dddm data pack RECIPE --workers 1`); "
            'in a script of your own, call this under `if __name__ == "__main__":`; what is done '
            "stays done",
        ) from error


_counter: Any = None
_stop: Any = None


def _start_worker(counter: Any, stop: Any) -> None:
    global _counter, _stop
    _counter, _stop = counter, stop
    # Ctrl-C reaches every process of the terminal; the parent decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """End when the parent was killed, which nothing else would tell an idle worker."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _in_worker(work: Work[Result], chunk: Chunk) -> Result:
    return work(chunk, _count)


def _count(images: int) -> None:
    if _stop.is_set():
        raise InterruptedError
    with _counter.get_lock():
        _counter.value += images
