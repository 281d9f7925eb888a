"""Says the name of each event, and can end its own process at a step that was chosen."""

import os
import sys
from pathlib import Path
from typing import final

from dddm.interfaces.observer import Event, Observer, StepDone
from toy_components import ObserverOptions


@final
class Words(Observer):
    def __init__(self, options: ObserverOptions, *, folder: Path) -> None:
        self._options = options

    def on_event(self, event: Event) -> None:
        sys.stderr.write(f"{type(event).__name__}\n")
        signal = self._options.signal
        if signal and isinstance(event, StepDone) and event.step == self._options.at_step:
            os.kill(os.getpid(), signal)
