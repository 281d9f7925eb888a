"""The place of a failure is in the component's own code."""

import inspect

import pytest
import torch
from planted.metrics import Charbonnier, RightMetric

from dddm.interfaces.plugin import Kind, NoOptions
from dddm.registry.component import Component
from dddm.testing.place import place_in


def component(target: str = "planted.metrics:RightMetric") -> Component:
    """One of the package `planted`."""
    return Component(
        kind=Kind.METRIC, name="near", namespace="toy", target=target, options=NoOptions,
        summary="A toy.", plugin="toy", package="toys", version="1",
    )  # fmt: skip


def test_it_is_the_last_line_of_its_own_package() -> None:
    """Not the line within torch that raised the error."""
    metric = RightMetric(NoOptions())
    with pytest.raises(RuntimeError) as caught:
        metric.distance(estimate=torch.zeros(2, 3), target=torch.zeros(2, 4))
    lines, first = inspect.getsourcelines(Charbonnier.distance)
    file, _, line = str(place_in(component(), caught.value)).rpartition(":")
    assert file.endswith("planted/metrics.py")
    assert first <= int(line) < first + len(lines)


def test_without_such_a_line_it_is_the_class() -> None:
    """As where it gave something of which the caller can make nothing."""
    place = place_in(component(), ValueError("elsewhere"))
    assert str(place).endswith(f"metrics.py:{inspect.getsourcelines(RightMetric)[1]}")


def test_what_is_not_there_has_no_place() -> None:
    """A class that cannot be imported."""
    assert place_in(component("nowhere:X"), ValueError("elsewhere")) is None
