"""A limit on the memory that reading one thing may take.  Imports no torch."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STATM = Path("/proc/self/statm")


@contextmanager
def limited_memory(more_bytes: int) -> Iterator[None]:
    """Within it, this process can take so much memory more; then allocations fail.

    It holds for all threads, so it should be short.  Where the system does not say how much the
    process has, as on macOS, there is no limit.
    """
    if not _STATM.exists():
        yield
        return
    taken = int(_STATM.read_text().split()[0]) * resource.getpagesize()
    before, hard = resource.getrlimit(resource.RLIMIT_AS)
    limits = [taken + more_bytes, *(x for x in (before, hard) if x != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, hard))
