"""A thread that works beside the network on a CPU without slowing it down.

torch gives every thread that runs a parallel operation a team of its own. As soon as all teams
together have more threads than the machine has cores, OpenMP's threads go to sleep between
operations instead of staying awake, and a small network takes half as long again. So the thread
beside the network works alone.
"""

from concurrent.futures import ThreadPoolExecutor

import torch


def single_thread_executor(name: str) -> ThreadPoolExecutor:
    """One thread, in which torch's operations use no further threads; elsewhere nothing changes.

    To be called from the thread that runs the network.
    """
    threads = torch.get_num_threads()
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
    # The number of OpenMP's threads belongs to the thread that sets it; others, such as MKL's,
    # belong to the process, so that the caller sets its own again.
    executor.submit(_work_alone).result()
    torch.set_num_threads(threads)
    return executor


def _work_alone() -> None:
    torch.set_num_threads(1)
    # A thread takes over the process's number when it first asks; let it be while that is one.
    torch.get_num_threads()
