"""The estimate of x_0: a schedule, a parametrization and a backbone together.

    f_θ(x̂, x_t, t) = x_t − F_θ(x̂, x_t, t)                                eq. 3
    D(x_t, t) = c_skip(t) x_t + c_out(t) F(c_in(t) x_t, c_noise(t))       in general

Every schedule has a default parametrization, which the recipe can replace.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from dddm.core.output_checks import check_output
from dddm.interfaces.backbone import Backbone, second_time_argument
from dddm.interfaces.parametrization import Parametrization
from dddm.interfaces.sampler import Denoiser
from dddm.interfaces.schedule import Schedule


@final
class _Cache(NamedTuple):
    """What `ScheduledDenoiser.begin` keeps for `refine`; torch.compile can trace a tuple."""

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
        compiled: whether to torch.compile `begin`, `refine` and `evaluate`, at their first call.
            Each is one graph, from x_t to the estimate.
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
        self._given: dict[str, Any] = {
            "schedule": schedule,
            "backbone": backbone,
            "parametrization": parametrization,
            "takes_latent": takes_latent,
        }
        self._schedule = schedule
        self._takes_latent = takes_latent
        self._parametrization = schedule if parametrization is None else parametrization
        self._backbone = backbone
        self._precision = precision
        if compiled:
            self._copy_tables()
            # In the places of the methods; within `evaluate` the other two are part of its graph.
            for method in (self.begin, self.refine, self.evaluate):
                setattr(self, method.__name__, torch.compile(method))

    @property
    def schedule(self) -> Schedule:
        return self._schedule

    @property
    def takes_latent(self) -> bool:
        return self._takes_latent

    def computed(self, *, precision: torch.dtype, compiled: bool) -> "ScheduledDenoiser":
        """The same network in another precision, or compiled."""
        return ScheduledDenoiser(**self._given, precision=precision, compiled=compiled)

    def begin(
        self, *, x_t: Tensor, t: Tensor, label: Tensor | None, second_time: Tensor | None = None
    ) -> _Cache:
        # Networks with a second time get t itself where there is none; others never see it.
        with self._autocast(x_t.device):
            network_time = self._parametrization.network_time
            network_t = network_time(t)
            network = self._backbone.begin(
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
            raw = self._backbone.refine(cache.network, estimate=estimate)
        check_output(
            raw,
            of=type(self._backbone),
            shape=cache.x_t.shape,
            dtypes=(cache.x_t.dtype, self._precision),
        )
        return self._parametrization.estimate(x_t=cache.x_t, raw=raw.to(cache.x_t.dtype), t=cache.t)

    def select(self, cache: _Cache, *, index: Tensor) -> _Cache:
        network = self._backbone.select(cache.network, index=index)
        return _Cache(x_t=cache.x_t[index], t=cache.t[index], network=network)

    def _copy_tables(self) -> None:
        """Have schedules copy their tables to the device now.

        As part of a graph, the first copy would have it compiled again for the second call.
        """
        device = next(self._backbone.parameters()).device
        t_B = self._schedule.grid(steps=1).to(device)
        nothing = torch.zeros(1, 1, 1, 1, device=device)
        self._schedule.diffuse(x_0=nothing, t=t_B, noise=nothing)
        self._parametrization.network_time(t_B)
        self._parametrization.network_input(x_t=nothing, t=t_B)
        self._parametrization.estimate(x_t=nothing, raw=nothing, t=t_B)

    def _autocast(self, device: torch.device) -> AbstractContextManager[object]:
        if device.type == "meta":  # nothing is computed there, in any precision
            return nullcontext()
        lower = self._precision is not torch.float32
        return torch.autocast(device.type, dtype=self._precision if lower else None, enabled=lower)
