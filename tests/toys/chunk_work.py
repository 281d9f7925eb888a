"""Work on chunks that other processes can import."""

import os

from dddm.data.source import Chunk
from dddm.data.workers import Count


def process_of(chunk: Chunk, count: Count) -> int:
    """The number of the process that does the work."""
    count(chunk.images)
    return os.getpid()


def vanish(chunk: Chunk, count: Count) -> int:
    """Work whose process ends without a word."""
    del count
    if chunk.payload == 7:
        os._exit(9)
    return chunk.images
