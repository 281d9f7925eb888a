"""The processes of a run as threads of one, which gather by waiting for one another."""

import threading
from collections.abc import Callable
from typing import Any, final

from torch import Tensor


@final
class Together:
    """What `dddm.training.processes.Processes` offers, for one thread of several."""

    def __init__(self, rank: int, *, meet: threading.Barrier, values: list[Any]) -> None:
        self.rank, self.count, self.here = rank, meet.parties, meet.parties
        self.main = rank == 0
        self._meet, self._values = meet, values

    def gather(self, value: Any) -> list[Any]:
        self._values[self.rank] = value
        self._meet.wait()
        found = list(self._values)
        self._meet.wait()
        return found

    def barrier(self) -> None:
        self.gather(None)

    def from_main(self, make: Callable[[], Any]) -> Any:
        return self.gather(make() if self.main else None)[0]

    def collect(self, tensor: Tensor) -> list[Tensor] | None:
        found = self.gather(tensor)
        return found if self.main else None


def together(work: Callable[[Any], Any], *, count: int) -> list[Any]:
    """What `work` gives in each of so many threads, by rank; an error that it raises instead."""
    meet, values = threading.Barrier(count, timeout=60), [None] * count
    results: list[Any] = [None] * count

    def run(rank: int) -> None:
        try:
            results[rank] = work(Together(rank, meet=meet, values=values))
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            results[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
