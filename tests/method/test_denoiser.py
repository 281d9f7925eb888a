"""Eq. 3."""

import shutil
from typing import Any, final

import pytest
import torch
from torch import Tensor, nn
from toys import SHAPE, ToyBackbone, ToySchedule

from dddm.interfaces.backbone import Backbone
from dddm.method.denoiser import ScheduledDenoiser


@final
class MatrixBackbone(Backbone):
    """F = x̂ M with a fixed matrix: autocast lowers its precision."""

    uses_labels = False

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Linear(4, 4, bias=False)
        with torch.no_grad():
            self.matrix.weight.copy_(torch.linspace(-1, 1, 16).reshape(4, 4))

    def begin(self, *, x_t: Tensor, t: Tensor, label: Tensor | None) -> Any:
        return x_t

    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        raw: Tensor = self.matrix(estimate)
        return raw


def test_begin_once_refine_often_is_the_same_as_both_each_time() -> None:
    """Algorithm 2 may keep what `begin` gave: every refinement gives f of its own estimate."""
    model = ScheduledDenoiser(schedule=ToySchedule(), backbone=ToyBackbone())
    x_t, t = torch.randn(3, *SHAPE.as_tuple), torch.tensor([1, 5, 10])
    estimates = [torch.randn_like(x_t) for _ in range(3)]
    begun = model.begin(x_t=x_t, t=t, label=None)
    kept = [model.refine(begun, estimate=estimate) for estimate in estimates]
    anew = [
        model.refine(model.begin(x_t=x_t, t=t, label=None), estimate=estimate)
        for estimate in estimates
    ]
    for one, other in zip(kept, anew, strict=True):
        assert torch.equal(one, other)


def test_lower_precision_reaches_the_network_alone() -> None:
    """Under bfloat16 F is rounded and x_t − F is not: eq. 3 is computed in float32."""
    plain, lower = (
        ScheduledDenoiser(schedule=ToySchedule(), backbone=MatrixBackbone(), precision=precision)
        for precision in (torch.float32, torch.bfloat16)
    )
    x_t, t = torch.randn(3, *SHAPE.as_tuple), torch.tensor([1, 5, 10])
    estimates = [
        model.refine(model.begin(x_t=x_t, t=t, label=None), estimate=x_t)
        for model in (plain, lower)
    ]
    assert estimates[1].dtype == torch.float32
    assert not torch.equal(estimates[1], estimates[1].bfloat16().float())
    torch.testing.assert_close(estimates[0], estimates[1], atol=0.05, rtol=0)
    assert not torch.equal(*estimates)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_compiled_is_the_same_up_to_rounding() -> None:
    """torch.compile changes no number beyond rounding, forward and backward."""
    torch.manual_seed(0)
    x_t, t = torch.randn(3, *SHAPE.as_tuple), torch.tensor([1, 5, 10])
    found = []
    for compiled in (False, True):
        backbone = ToyBackbone()
        model = ScheduledDenoiser(schedule=ToySchedule(), backbone=backbone, compiled=compiled)
        estimate = model.refine(model.begin(x_t=x_t, t=t, label=None), estimate=x_t)
        estimate.square().mean().backward()  # type: ignore[no-untyped-call]  # not typed by torch
        found.append((estimate.detach(), backbone.weights.grad))
    torch.testing.assert_close(found[0], found[1])
