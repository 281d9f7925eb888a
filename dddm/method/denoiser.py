"""f_θ(x̂, x_t, t): a schedule and a backbone, put together by eq. 3.

f_θ(x̂, x_t, t) = x_t − F_θ(x̂, x_t, t)        (VP; the schedule says how in general)
"""

from typing import Any, final

from attrs import frozen
from torch import Tensor

from dddm.interfaces.backbone import Backbone
from dddm.interfaces.sampler import Denoiser
from dddm.interfaces.schedule import Schedule


@final
@frozen(kw_only=True)
class _Begun:
    """What `ScheduledDenoiser.begin` keeps for `refine`."""

    x_t: Tensor
    t: Tensor
    network: Any


@final
class ScheduledDenoiser(Denoiser):
    """f_θ for training and sampling alike."""

    def __init__(self, *, schedule: Schedule, backbone: Backbone) -> None:
        self._schedule = schedule
        self._backbone = backbone

    @property
    def schedule(self) -> Schedule:
        """The forward process."""
        return self._schedule

    def begin(self, *, x_t: Tensor, t: Tensor, label: Tensor | None) -> _Begun:
        """What of f depends on (x_t, t, label) alone."""
        network = self._backbone.begin(
            x_t=self._schedule.network_input(x_t=x_t, t=t),
            t=self._schedule.network_time(t),
            label=label,
        )
        return _Begun(x_t=x_t, t=t, network=network)

    def refine(self, begun: _Begun, *, estimate: Tensor) -> Tensor:
        """f_θ(x̂, x_t, t), (B, C, H, W), not clamped."""
        raw = self._backbone.refine(begun.network, estimate=estimate)
        return self._schedule.estimate(x_t=begun.x_t, raw=raw, t=begun.t)
