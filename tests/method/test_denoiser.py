"""Eq. 3."""

import torch
from toys import SHAPE, ToyBackbone, ToySchedule

from dddm.method.denoiser import ScheduledDenoiser


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
