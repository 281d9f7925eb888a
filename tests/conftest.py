"""What every test starts from: one thread, and no hidden random state."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hypothesis import settings

settings.register_profile("dddm", deadline=None, max_examples=50, print_blob=True)
settings.load_profile("dddm")


@pytest.fixture(autouse=True)
def _one_thread_and_a_known_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
