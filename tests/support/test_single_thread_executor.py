"""The thread beside the network works alone, and the network's thread keeps its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import torch

from dddm.support.single_thread_executor import single_thread_executor

_THREADS: Final = Path("/proc/self/task")


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_the_callers_threads_stay_as_they_are() -> None:
    with single_thread_executor("beside") as thread:
        assert thread.submit(torch.get_num_threads).result() == 1
        assert torch.get_num_threads() == 2


@pytest.mark.skipif(not _THREADS.exists(), reason="threads are counted in /proc")
def test_no_operation_starts_further_threads() -> None:
    large = torch.rand(1 << 20)
    large.sum()
    with single_thread_executor("beside") as thread:
        before = sum(1 for _ in _THREADS.iterdir())
        thread.submit(large.exp).result()
        thread.submit(torch.matmul, large.view(1024, 1024), large.view(1024, 1024)).result()
        assert sum(1 for _ in _THREADS.iterdir()) == before
