"""How fast a run goes, and how long it will take."""

import time
from collections import deque
from typing import final

_STEPS_REMEMBERED = 50


@final
class Rate:
    """Steps per second over the last steps; pauses between steps count."""

    def __init__(self) -> None:
        self._times: deque[float] = deque([time.perf_counter()], maxlen=_STEPS_REMEMBERED + 1)

    def step(self) -> None:
        """One more step is done."""
        self._times.append(time.perf_counter())

    @property
    def steps_per_second(self) -> float | None:
        """None before the first step."""
        steps = len(self._times) - 1
        seconds = self._times[-1] - self._times[0]
        return steps / seconds if steps and seconds > 0 else None

    def seconds_left(self, steps: int) -> float | None:
        """How long `steps` more steps will take; None before there is a rate."""
        rate = self.steps_per_second
        return steps / rate if rate else None
