"""What a network or a metric gives is refused where its interface promises something else."""

import pytest
import torch

from dddm.errors import PluginError
from dddm.method.promises import refuse_wrong_loss, refuse_wrong_network

SHAPE = torch.Size((6, 1, 4, 4))
ESTIMATE = torch.zeros(SHAPE, requires_grad=True)
LOSS = ESTIMATE.flatten(1).mean(1)


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        (LOSS.mean(), r"of shape \(\), not \(6,\)"),
        (LOSS[:, None], r"of shape \(6, 1\), not \(6,\)"),
        (LOSS.double(), "of dtype torch.float64, not torch.float32"),
        (LOSS.detach(), "without gradient, though the estimate has one"),
        (None, "that is no tensor, but of type NoneType"),
    ],
)
def test_a_wrong_loss_is_refused(loss: object, says: str) -> None:
    """With what it is and what it should be, in the name of the metric."""
    with pytest.raises(PluginError, match=f"the metric dict gave a loss {says}"):
        refuse_wrong_loss(loss, of=dict, estimate=ESTIMATE)


def test_a_right_loss_is_taken() -> None:
    """With a gradient; and without one where the estimate has none, as under `no_grad`."""
    refuse_wrong_loss(LOSS, of=dict, estimate=ESTIMATE)
    refuse_wrong_loss(LOSS.detach(), of=dict, estimate=ESTIMATE.detach())


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (ESTIMATE[:, :, 1:], r"of shape \(6, 1, 3, 4\), not \(6, 1, 4, 4\)"),
        (ESTIMATE.double(), "of dtype torch.float64, not torch.float32"),
        ((ESTIMATE,), "that is no tensor, but of type tuple"),
    ],
)
def test_a_wrong_network_is_refused(raw: object, says: str) -> None:
    """It is not for the metric to stumble over it."""
    with pytest.raises(PluginError, match=f"the backbone dict gave F {says}"):
        refuse_wrong_network(raw, of=dict, shape=SHAPE, dtypes=(torch.float32, torch.bfloat16))


def test_what_autocast_computes_is_taken() -> None:
    """The precision of the network, or the images' own."""
    for dtype in (torch.float32, torch.bfloat16):
        given = ESTIMATE.to(dtype)
        refuse_wrong_network(given, of=dict, shape=SHAPE, dtypes=(torch.float32, torch.bfloat16))
