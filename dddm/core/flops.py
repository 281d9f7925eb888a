"""FLOPs of one network evaluation, counted on the meta device without computing anything.

As in torch's counter, a multiply-add is two operations, and only matrix products, convolutions and
attention count.
"""

from typing import final

import torch
from attrs import frozen
from torch.utils.flop_counter import FlopCounterMode

from dddm.interfaces.backbone import Backbone, second_time_argument
from dddm.interfaces.info import ImageShape


@final
@frozen(kw_only=True)
class Flops:
    """Floating point operations for one image.

    Attributes:
        begin: part that does not depend on the estimate, computed once per sample.
        refine: part that does, computed at each step.
    """

    begin: int
    refine: int

    @property
    def forward(self) -> int:
        """FLOPs of one forward pass."""
        return self.begin + self.refine


def count_flops(backbone: Backbone, *, shape: ImageShape) -> Flops:
    """Count for one image of `shape`; `backbone` must be on the meta device."""
    image_BCHW = torch.empty(1, *shape.as_tuple, device="meta")
    t_B = torch.empty(1, device="meta")
    label_B = torch.zeros(1, dtype=torch.int64, device="meta") if backbone.uses_labels else None
    backbone.eval()
    with torch.no_grad():
        with FlopCounterMode(display=False) as first:
            more = second_time_argument(backbone, t=t_B, second_time=None)
            cache = backbone.begin(x_t=image_BCHW, t=t_B, label=label_B, **more)
        with FlopCounterMode(display=False) as second:
            backbone.refine(cache, estimate=image_BCHW if backbone.takes_estimate else None)
    return Flops(begin=first.get_total_flops(), refine=second.get_total_flops())
