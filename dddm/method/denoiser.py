"""f_θ(x̂, x_t, t): a schedule and a backbone, put together by eq. 3.

f_θ(x̂, x_t, t) = x_t − F_θ(x̂, x_t, t)        (VP; the schedule says how in general)
"""

from typing import Any, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.interfaces.backbone import Backbone
from dddm.interfaces.sampler import Denoiser
from dddm.interfaces.schedule import Schedule
from dddm.method.promises import refuse_wrong_network


@final
@frozen(kw_only=True)
class _Begun:
    """What `ScheduledDenoiser.begin` keeps for `refine`."""

    x_t: Tensor
    t: Tensor
    network: Any


@final
class ScheduledDenoiser(Denoiser):
    """f_θ for training and sampling alike.

    Args:
        precision: in which the network computes: float32, or bfloat16 or float16 by autocast.
            F is float32 again before eq. 3, so that the estimate loses nothing to it.
        compiled: whether `begin` and `refine` go through torch.compile; at their first call.
    """

    def __init__(
        self,
        *,
        schedule: Schedule,
        backbone: Backbone,
        precision: torch.dtype = torch.float32,
        compiled: bool = False,
    ) -> None:
        self._schedule = schedule
        self._precision = precision
        self._of = type(backbone)
        self._select = backbone.select
        begin, refine = backbone.begin, backbone.refine
        self._begin = torch.compile(begin) if compiled else begin
        self._refine = torch.compile(refine) if compiled else refine

    @property
    def schedule(self) -> Schedule:
        """The forward process."""
        return self._schedule

    def begin(self, *, x_t: Tensor, t: Tensor, label: Tensor | None) -> _Begun:
        """What of f depends on (x_t, t, label) alone."""
        with self._autocast(x_t.device):
            network = self._begin(
                x_t=self._schedule.network_input(x_t=x_t, t=t),
                t=self._schedule.network_time(t),
                label=label,
            )
        return _Begun(x_t=x_t, t=t, network=network)

    def refine(self, begun: _Begun, *, estimate: Tensor) -> Tensor:
        """f_θ(x̂, x_t, t), (B, C, H, W), not clamped.

        Raises:
            PluginError: if the backbone's F has another shape or dtype.
        """
        with self._autocast(estimate.device):
            raw = self._refine(begun.network, estimate=estimate)
        refuse_wrong_network(
            raw,
            of=self._of,
            shape=begun.x_t.shape,
            dtypes=(begun.x_t.dtype, self._precision),
        )
        return self._schedule.estimate(x_t=begun.x_t, raw=raw.to(begun.x_t.dtype), t=begun.t)

    def select(self, begun: _Begun, *, index: Tensor) -> _Begun:
        """What `begin` would have returned for these images of the batch alone."""
        network = self._select(begun.network, index=index)
        return _Begun(x_t=begun.x_t[index], t=begun.t[index], network=network)

    def _autocast(self, device: torch.device) -> torch.autocast:
        lower = self._precision is not torch.float32
        return torch.autocast(device.type, dtype=self._precision if lower else None, enabled=lower)
