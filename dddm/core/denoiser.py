"""The estimate of x_0: a schedule, a parametrization and a backbone together.

    f_θ(x̂, x_t, t) = x_t − F_θ(x̂, x_t, t)                                eq. 3
    D(x_t, t) = c_skip(t) x_t + c_out(t) F(c_in(t) x_t, c_noise(t))       in general

Every schedule has a default parametrization, which the recipe can replace.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.core.output_checks import check_output
from dddm.interfaces.backbone import Backbone, second_time_argument
from dddm.interfaces.parametrization import Parametrization
from dddm.interfaces.sampler import Denoiser
from dddm.interfaces.schedule import Schedule


@final
@frozen(kw_only=True)
class _Cache:
    """What `ScheduledDenoiser.begin` keeps for `refine`."""

    x_t: Tensor
    t: Tensor
    network: Any


@final
class ScheduledDenoiser(Denoiser):
    """f_θ for training and sampling alike.

    Args:
        parametrization: how the network is called and how F becomes an estimate; None for the
            schedule's own.
        precision: of the network: float32, or bfloat16 or float16 by autocast.  F is converted
            to float32 before eq. 3, so that the estimate keeps its precision.
        compiled: whether to torch.compile `begin` and `refine`, at their first call.
        takes_latent: whether the network was trained with a fresh latent as x̂.
    """

    def __init__(
        self,
        *,
        schedule: Schedule,
        backbone: Backbone,
        parametrization: Parametrization | None = None,
        precision: torch.dtype = torch.float32,
        compiled: bool = False,
        takes_latent: bool = False,
    ) -> None:
        self._schedule = schedule
        self._takes_latent = takes_latent
        self._parametrization = schedule if parametrization is None else parametrization
        self._backbone = backbone
        self._precision = precision
        self._select = backbone.select
        begin, refine = backbone.begin, backbone.refine
        self._begin = torch.compile(begin) if compiled else begin
        self._refine = torch.compile(refine) if compiled else refine

    @property
    def schedule(self) -> Schedule:
        return self._schedule

    @property
    def takes_latent(self) -> bool:
        return self._takes_latent

    def begin(
        self, *, x_t: Tensor, t: Tensor, label: Tensor | None, second_time: Tensor | None = None
    ) -> _Cache:
        # Networks with a second time get t itself where there is none; others never see it.
        with self._autocast(x_t.device):
            network_time = self._parametrization.network_time
            network_t = network_time(t)
            network = self._begin(
                x_t=self._parametrization.network_input(x_t=x_t, t=t),
                t=network_t,
                label=label,
                **second_time_argument(
                    self._backbone,
                    t=network_t,
                    second_time=None if second_time is None else network_time(second_time),
                ),
            )
        return _Cache(x_t=x_t, t=t, network=network)

    def refine(self, cache: _Cache, *, estimate: Tensor | None) -> Tensor:
        if not self._backbone.takes_estimate:
            estimate = None
        elif estimate is None:
            raise ValueError(f"the network {type(self._backbone).__name__} takes an estimate")
        with self._autocast(cache.x_t.device):
            raw = self._refine(cache.network, estimate=estimate)
        check_output(
            raw,
            of=type(self._backbone),
            shape=cache.x_t.shape,
            dtypes=(cache.x_t.dtype, self._precision),
        )
        return self._parametrization.estimate(x_t=cache.x_t, raw=raw.to(cache.x_t.dtype), t=cache.t)

    def select(self, cache: _Cache, *, index: Tensor) -> _Cache:
        network = self._select(cache.network, index=index)
        return _Cache(x_t=cache.x_t[index], t=cache.t[index], network=network)

    def _autocast(self, device: torch.device) -> AbstractContextManager[object]:
        if device.type == "meta":  # nothing is computed there, in any precision
            return nullcontext()
        lower = self._precision is not torch.float32
        return torch.autocast(device.type, dtype=self._precision if lower else None, enabled=lower)
