"""Processes stop at the same step, whenever one of them is asked to."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dddm.interfaces.objective import Outcome
from dddm.training import loop as train
from dddm.training.stopping import StopRequest


@pytest.mark.parametrize(("before", "after"), [(False, True), (True, True), (False, False)])
def test_only_what_all_processes_know_of_counts(*, before: bool, after: bool) -> None:
    """A request after the exchange stops a later step: the others go on with this one."""
    stop = StopRequest()
    if before:
        stop.request("SIGTERM")

    def sums(values: list[float]) -> list[float]:
        if after:
            stop.request("SIGINT")
        return [2 * value for value in values]

    training: Any = SimpleNamespace(
        context=SimpleNamespace(stop=stop, processes=SimpleNamespace(count=2, sums=sums))
    )
    loss, _, stopping = train._share(training, Outcome(loss=torch.tensor(3.0)), own=[3.0])
    assert loss == 3
    assert stopping is before
