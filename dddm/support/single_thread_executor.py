"""A background thread that does not slow down a network on the CPU.

torch gives every thread that runs a parallel operation its own OpenMP team.  Once all teams have
more threads than the machine has cores, OpenMP threads sleep between operations instead of
spinning, and a small network takes 50 % longer.  So the background thread has no team.
"""

from concurrent.futures import ThreadPoolExecutor

import torch


def single_thread_executor(name: str) -> ThreadPoolExecutor:
    """One thread in which torch's operations use no further threads.

    Call it from the thread that runs the network, whose number of threads stays as it is.
    """
    threads = torch.get_num_threads()
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
    # OpenMP's number of threads is per thread, but others, such as MKL's, are per process: the
    # caller's number has to be restored.
    executor.submit(_use_one_thread).result()
    torch.set_num_threads(threads)
    return executor


def _use_one_thread() -> None:
    torch.set_num_threads(1)
    # A thread adopts the process's number when it first asks; let that happen while it is one.
    torch.get_num_threads()
