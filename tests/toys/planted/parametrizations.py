"""A right parametrization, and wrong ones."""

from typing import Final, final

import torch
from torch import Tensor

from dddm.errors import RecipeError
from dddm.interfaces.parametrization import Parametrization
from dddm.interfaces.plugin import Kind, NoOptions
from dddm.interfaces.schedule import Schedule, expand_B111
from planted.bug import Bug, bug


class FlowNetwork(Parametrization):
    """D = (x_t − s F)/(a + s)."""

    def __init__(self, options: NoOptions, *, schedule: Schedule) -> None:
        self.schedule = schedule

    def path(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return expand_B111(self.schedule.signal(t)), expand_B111(self.schedule.noise(t))

    def network_time(self, t: Tensor) -> Tensor:
        return (t.double() / self.schedule.last_time).float()

    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        a, s = self.path(t)
        return x_t * torch.rsqrt(a.square() / 4 + s.square()).float()

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        a, s = self.path(t)
        return (1 / (a + s)).float() * x_t - (s / (a + s)).float() * raw


@final
class RightParametrization(FlowNetwork):
    pass


@final
class RefusesOne(FlowNetwork):
    def __init__(self, options: NoOptions, *, schedule: Schedule) -> None:
        super().__init__(options, schedule=schedule)
        if not float(schedule.signal(schedule.grid(steps=1))):
            raise RecipeError("this path ends in noise alone", where="parametrization.use")


@final
class RefusesAll(FlowNetwork):
    def __init__(self, options: NoOptions, *, schedule: Schedule) -> None:
        super().__init__(options, schedule=schedule)
        raise RecipeError("this path is not liked", where="parametrization.use")


@final
class InFloat64(FlowNetwork):
    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        return super().estimate(x_t=x_t, raw=raw, t=t).double()


@final
class TimeOfTheFirst(FlowNetwork):
    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        return super().estimate(x_t=x_t, raw=raw, t=t[:1])


@final
class DividesNearTheImage(FlowNetwork):
    """Right at the three times that are looked at first, and infinite at one beside them."""

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        found = super().estimate(x_t=x_t, raw=raw, t=t)
        times = self.schedule.grid(steps=20 if self.schedule.last_time > 1 else 1000)
        return found / (t != times[-2]).float().reshape(-1, 1, 1, 1)


@final
class DividesByTheSignal(FlowNetwork):
    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        a, s = self.path(t)
        return ((x_t - s * raw) / a).float()


@final
class DeafAtT(FlowNetwork):
    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        listening = expand_B111(t < self.schedule.last_time)
        return super().estimate(x_t=x_t, raw=raw * listening, t=t)


@final
class UnscaledInput(FlowNetwork):
    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        return x_t


@final
class LogarithmOfZero(FlowNetwork):
    def network_time(self, t: Tensor) -> Tensor:
        return t.double().log().float()


@final
class FewTimes(FlowNetwork):
    def network_time(self, t: Tensor) -> Tensor:
        return super().network_time(t).mul(8).round()


@final
class TimesOnTheCpu(FlowNetwork):
    def network_time(self, t: Tensor) -> Tensor:
        return super().network_time(t.cpu())


BUGS: Final[list[Bug]] = [
    bug(Kind.PARAMETRIZATION, RightParametrization),
    bug(Kind.PARAMETRIZATION, RefusesOne),
    bug(Kind.PARAMETRIZATION, RefusesAll, "component.builds"),
    bug(Kind.PARAMETRIZATION, InFloat64, "parametrization.estimate"),
    bug(Kind.PARAMETRIZATION, TimeOfTheFirst, "parametrization.estimate"),
    bug(Kind.PARAMETRIZATION, DividesByTheSignal, "parametrization.estimate"),
    bug(Kind.PARAMETRIZATION, DividesNearTheImage, "parametrization.finite-at-every-time"),
    bug(Kind.PARAMETRIZATION, DeafAtT, "parametrization.estimate-listens"),
    bug(Kind.PARAMETRIZATION, UnscaledInput, "parametrization.network-input"),
    bug(Kind.PARAMETRIZATION, LogarithmOfZero, "parametrization.network-time"),
    bug(Kind.PARAMETRIZATION, FewTimes, "parametrization.network-time"),
]
ON_A_DEVICE: Final = bug(Kind.PARAMETRIZATION, TimesOnTheCpu, "parametrization.devices")
