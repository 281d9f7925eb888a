"""What networks, metrics and objectives give is refused where their interfaces promise another."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast, final

import pytest
import torch
from torch import Tensor

from dddm.core.output_checks import CheckedMetric, check_outcome, check_output
from dddm.errors import PluginError
from dddm.interfaces.metric import Metric
from dddm.interfaces.objective import Outcome

SHAPE = torch.Size((6, 1, 4, 4))
ESTIMATE = torch.zeros(SHAPE, requires_grad=True)
DISTANCE = ESTIMATE.flatten(1).mean(1)
WRONG = [
    (DISTANCE.mean(), r"of shape \(\), not \(6,\)"),
    (DISTANCE[:, None], r"of shape \(6, 1\), not \(6,\)"),
    (DISTANCE.double(), "of dtype torch.float64, not torch.float32"),
    (DISTANCE.detach(), "without gradient, though the estimate has one"),
    (None, "that is not a tensor but of type NoneType"),
]


@final
class Giving(Metric):
    """Gives what it is told to."""

    trained_on = "nothing"

    def __init__(self, given: object) -> None:
        self._given: Any = given
        self.device = torch.device("cpu")

    def to(self, device: torch.device) -> None:
        self.device = device

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        return cast("Tensor", self._given)


@pytest.mark.parametrize(("given", "says"), WRONG)
def test_a_wrong_distance_is_refused(given: object, says: str) -> None:
    """With what it is and what it should be, in the name of the metric; alone or one of several."""
    metric = CheckedMetric(Giving(given))
    with pytest.raises(PluginError, match=f"the metric Giving gave a distance {says}"):
        metric.distance(estimate=ESTIMATE, target=ESTIMATE.detach())
    with pytest.raises(PluginError, match=f"the metric Giving gave a distance {says}"):
        metric.distances(estimate=ESTIMATE, targets=(ESTIMATE.detach(),))


def test_the_second_of_several_distances_is_looked_at_too() -> None:
    """Where a metric computes several at once, each of them is one."""

    @final
    class Uneven(Metric):
        def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
            return DISTANCE

        def distances(self, *, estimate: Tensor, targets: Sequence[Tensor]) -> tuple[Tensor, ...]:
            return (DISTANCE, DISTANCE.double())

    images = ESTIMATE.detach()
    with pytest.raises(PluginError, match="the metric Uneven gave a distance of dtype"):
        CheckedMetric(Uneven()).distances(estimate=ESTIMATE, targets=(images, images))


def test_a_right_distance_is_taken() -> None:
    """With a gradient; and without one where the estimate has none, as under `no_grad`."""
    images = ESTIMATE.detach()
    given = CheckedMetric(Giving(DISTANCE)).distance(estimate=ESTIMATE, target=images)
    assert given is DISTANCE
    free = DISTANCE.detach()
    assert CheckedMetric(Giving(free)).distance(estimate=images, target=images) is free


def test_a_checked_metric_is_the_metric() -> None:
    """It moves it, and says what it was trained on."""
    inner = Giving(DISTANCE)
    checked = CheckedMetric(inner)
    checked.to(torch.device("meta"))
    assert inner.device.type == "meta"
    assert checked.trained_on == "nothing"


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (ESTIMATE[:, :, 1:], r"of shape \(6, 1, 3, 4\), not \(6, 1, 4, 4\)"),
        (ESTIMATE.double(), "of dtype torch.float64, not torch.float32"),
        ((ESTIMATE,), "that is not a tensor but of type tuple"),
    ],
)
def test_a_wrong_network_is_refused(raw: object, says: str) -> None:
    """It is not for the metric to stumble over it."""
    with pytest.raises(PluginError, match=f"the backbone dict gave F {says}"):
        check_output(raw, of=dict, shape=SHAPE, dtypes=(torch.float32, torch.bfloat16))


def test_what_autocast_computes_is_taken() -> None:
    """The precision of the network, or the images' own."""
    for dtype in (torch.float32, torch.bfloat16):
        given = ESTIMATE.to(dtype)
        check_output(given, of=dict, shape=SHAPE, dtypes=(torch.float32, torch.bfloat16))


MEMORY = {"estimate": torch.zeros(SHAPE), "feature": torch.zeros(6, 2, 1, 1)}
RIGHT = Outcome(loss=DISTANCE.mean(), loss_B=DISTANCE, memory={"estimate": ESTIMATE.detach()})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (DISTANCE.mean(), "Tensor, not an Outcome"),
        (None, "NoneType, not an Outcome"),
        (replace(RIGHT, loss=DISTANCE), r"a loss of shape \(6,\), not \(\)"),
        (replace(RIGHT, loss=DISTANCE.double().mean()), "a loss of dtype torch.float64"),
        (replace(RIGHT, loss=DISTANCE.mean().detach()), "a loss without gradient"),
        (replace(RIGHT, loss=cast("Tensor", 0.5)), "a loss that is not a tensor but of type float"),
        (replace(RIGHT, loss_B=DISTANCE[1:]), r"a loss for each row of shape \(5,\), not \(6,\)"),
        (replace(RIGHT, loss_B=DISTANCE.half()), "a loss for each row of dtype torch.float16"),
        (replace(RIGHT, memory={"x": ESTIMATE}), "the field 'x', which its memory does not have"),
        (
            replace(RIGHT, memory={"feature": ESTIMATE.detach()}),
            r"feature for its memory of shape \(6, 1, 4, 4\), not \(6, 2, 1, 1\)",
        ),
        (
            replace(RIGHT, memory={"estimate": ESTIMATE.detach().long()}),
            "estimate for its memory of dtype torch.int64",
        ),
        (
            replace(RIGHT, memory={"estimate": ESTIMATE}),
            "estimate for its memory with a gradient, which would be kept",
        ),
    ],
)
def test_a_wrong_outcome_is_refused(given: object, says: str) -> None:
    """With what it is and what it should be, in the name of the objective."""
    with pytest.raises(PluginError, match=f"the objective dict gave {says}"):
        check_outcome(given, of=dict, memory=MEMORY, rows=6)


def test_a_right_outcome_is_taken() -> None:
    """With all that there may be, with a loss alone, and with estimates of a lower precision."""
    for given in (
        RIGHT,
        Outcome(loss=DISTANCE.mean()),
        replace(RIGHT, memory={"estimate": ESTIMATE.detach().bfloat16()}),
    ):
        check_outcome(given, of=dict, memory=MEMORY, rows=6)
