"""The thread beside the network works alone, and the network's thread keeps its own."""

import os
from pathlib import Path

import pytest
import torch

from dddm.support.side_thread import side_thread


@pytest.fixture
def _two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_two_threads")
def test_the_callers_threads_stay_as_they_are():
    with side_thread("beside") as thread:
        assert thread.submit(torch.get_num_threads).result() == 1
        assert torch.get_num_threads() == 2


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc")
@pytest.mark.usefixtures("_two_threads")
def test_no_operation_starts_further_threads():
    large = torch.rand(1 << 20)
    large.sum()
    with side_thread("beside") as thread:
        before = len(os.listdir("/proc/self/task"))
        thread.submit(large.exp).result()
        thread.submit(torch.matmul, large.view(1024, 1024), large.view(1024, 1024)).result()
        assert len(os.listdir("/proc/self/task")) == before
