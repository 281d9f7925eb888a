"""A right schedule, and wrong ones."""

from typing import Any, Final, final

import torch
from torch import Tensor

from dddm.interfaces.info import ScheduleInfo
from dddm.interfaces.plugin import Kind, NoOptions
from dddm.interfaces.schedule import Schedule, expand_B111
from planted.bug import Bug, bug

LAST: Final = 20


class Cosine(Schedule):
    """x_t = cos(θ) x_0 + sin(θ) ε with θ = π t / 2T, T = 20."""

    last_time: float = LAST

    def __init__(self, options: NoOptions) -> None:
        pass

    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        return torch.randint(1, LAST + 1, (count,), generator=generator, device=generator.device)

    def signal(self, t: Tensor) -> Tensor:
        return torch.cos(t.double() * (torch.pi / 2 / LAST))

    def noise(self, t: Tensor) -> Tensor:
        return torch.sin(t.double() * (torch.pi / 2 / LAST))

    def prior(self, *, noise: Tensor) -> Tensor:
        return noise

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        return x_t - raw

    def grid(self, *, steps: int) -> Tensor:
        if steps > LAST:
            raise ValueError("there are 20 times")
        return LAST - torch.arange(steps) * LAST // steps

    def network_time(self, t: Tensor) -> Tensor:
        return t.float() * (1000 / LAST)

    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        return x_t


@final
class RightSchedule(Cosine):
    pass


@final
class LastTimeBetween(Cosine):
    last_time: float = 19.5


@final
class DrawsZero(Cosine):
    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        return super().draw_times(count=count, generator=generator) - 1


@final
class NeverDrawsT(Cosine):
    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        return torch.randint(1, LAST, (count,), generator=generator)


@final
class OwnRandomness(Cosine):
    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        return torch.randint(1, LAST + 1, (count,))


@final
class SingleSignal(Cosine):
    def signal(self, t: Tensor) -> Tensor:
        return super().signal(t).float()


@final
class TableWithoutZero(Cosine):
    def noise(self, t: Tensor) -> Tensor:
        return super().noise((t + 1).clamp(max=LAST))

    def signal(self, t: Tensor) -> Tensor:
        return super().signal((t + 1).clamp(max=LAST))


@final
class NoiseFallsAgain(Cosine):
    def noise(self, t: Tensor) -> Tensor:
        return super().noise(t) * (1 - 0.1 * (t == LAST - 2).double())


@final
class DrawsThePrior(Cosine):
    def prior(self, *, noise: Tensor) -> Tensor:
        return torch.randn_like(noise)


@final
class PriorTooSmall(Cosine):
    def prior(self, *, noise: Tensor) -> Tensor:
        return 0.5 * noise


@final
class FirstTimeForAll(Cosine):
    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        return x_t - expand_B111(self.noise(t[:1])).float() * raw


@final
class DeafAtT(Cosine):
    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        return x_t - expand_B111((t < LAST).float()) * raw


@final
class GridRises(Cosine):
    def grid(self, *, steps: int) -> Tensor:
        return super().grid(steps=steps).flip(0)


@final
class GridEndsAtZero(Cosine):
    def grid(self, *, steps: int) -> Tensor:
        if steps > LAST:
            raise ValueError("there are 20 times")
        return (
            torch.linspace(LAST, 0, steps + 1).round().long()[1 - steps :]
            if steps > 1
            else (super().grid(steps=steps))
        )


@final
class GridOfAnything(Cosine):
    def grid(self, *, steps: int) -> Tensor:
        return LAST - torch.arange(steps) * LAST // steps


@final
class NetworkSeesFewTimes(Cosine):
    def network_time(self, t: Tensor) -> Tensor:
        return (t.float() / 2).round()


@final
class NetworkSeesInfinity(Cosine):
    def network_time(self, t: Tensor) -> Tensor:
        return (t.float() - 1).log()


@final
class NetworkSeesLogarithms(Cosine):
    """Which fall below 0, and fall as t rises."""

    def network_time(self, t: Tensor) -> Tensor:
        return -t.float().log() / 4


class RealTimes(Cosine):
    """The same with real times in (0, 20]."""

    def uniform(self, count: int, generator: torch.Generator) -> Tensor:
        return 1 - torch.rand(count, generator=generator, dtype=torch.float64)

    def normal(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.randn(count, generator=generator, dtype=torch.float64)

    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        return LAST * self.uniform(count, generator)

    def grid(self, *, steps: int) -> Tensor:
        return LAST * torch.arange(steps, 0, -1, dtype=torch.float64) / steps


@final
class RightRealTimes(RealTimes):
    pass


@final
class LogNormalTimes(RealTimes):
    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        return (1.2 * self.normal(count, generator) - 1.2).exp().clamp(max=LAST)


@final
class LogitNormalTimes(RealTimes):
    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        return LAST * self.normal(count, generator).sigmoid()


@final
class LogNormalWholeTimes(Cosine):
    """As iCT draws its times: those of much noise hardly ever."""

    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        normal = torch.randn(count, generator=generator)
        return (0.7 * normal + 1.0).exp().ceil().clamp(1, LAST).long()


@final
class BeyondT(RealTimes):
    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        return (1.2 * self.normal(count, generator) + 1.2).exp()


@final
class HalfOfTheTimes(RealTimes):
    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        return LAST / 2 * self.uniform(count, generator)


@final
class OneTime(RealTimes):
    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        return 0 * self.uniform(count, generator) + LAST


@final
class HidesItsRealTimes(RealTimes):
    pass


@final
class SaysAnotherLastTime(RealTimes):
    pass


def describing(**facts: Any) -> Any:
    return lambda options: ScheduleInfo(**facts)


REAL: Final = describing(continuous=True, last_time=20.0)


@final
class Exploding(Cosine):
    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        return 50 * x_t


@final
class TableOnTheCpu(Cosine):
    def signal(self, t: Tensor) -> Tensor:
        return super().signal(t.cpu())


BUGS: Final[list[Bug]] = [
    bug(Kind.SCHEDULE, RightSchedule),
    bug(Kind.SCHEDULE, NetworkSeesLogarithms),
    bug(Kind.SCHEDULE, LogNormalWholeTimes),
    bug(Kind.SCHEDULE, RightRealTimes, describe=REAL),
    bug(Kind.SCHEDULE, LogNormalTimes, describe=REAL),
    bug(Kind.SCHEDULE, LogitNormalTimes, describe=REAL),
    bug(Kind.SCHEDULE, BeyondT, "schedule.draws-within-range", describe=REAL),
    bug(Kind.SCHEDULE, HalfOfTheTimes, "schedule.draws-within-range", describe=REAL),
    bug(Kind.SCHEDULE, OneTime, "schedule.draws-within-range", describe=REAL),
    bug(Kind.SCHEDULE, HidesItsRealTimes, "schedule.described"),
    bug(
        Kind.SCHEDULE,
        SaysAnotherLastTime,
        "schedule.described",
        describe=describing(continuous=True, last_time=1.0),
    ),
    bug(
        Kind.SCHEDULE,
        LastTimeBetween,
        "schedule.last-time",
        "schedule.draws-within-range",
        "schedule.grid-falls",
        "schedule.grid-refuses",
    ),
    bug(Kind.SCHEDULE, DrawsZero, "schedule.draws-within-range"),
    bug(Kind.SCHEDULE, NeverDrawsT, "schedule.draws-within-range"),
    bug(Kind.SCHEDULE, OwnRandomness, "schedule.draws-are-seeded"),
    bug(Kind.SCHEDULE, SingleSignal, "schedule.float64-coefficients"),
    bug(
        Kind.SCHEDULE,
        TableWithoutZero,
        "schedule.begins-with-the-image",
        "schedule.noise-rises",
    ),
    bug(Kind.SCHEDULE, NoiseFallsAgain, "schedule.noise-rises"),
    bug(
        Kind.SCHEDULE,
        DrawsThePrior,
        "schedule.prior",
        "schedule.prior-is-what-diffusion-ends-in",
    ),
    bug(Kind.SCHEDULE, PriorTooSmall, "schedule.prior-is-what-diffusion-ends-in"),
    bug(Kind.SCHEDULE, FirstTimeForAll, "schedule.estimate"),
    bug(Kind.SCHEDULE, DeafAtT, "schedule.estimate-listens"),
    bug(Kind.SCHEDULE, GridRises, "schedule.grid-falls"),
    bug(Kind.SCHEDULE, GridEndsAtZero, "schedule.grid-falls"),
    bug(Kind.SCHEDULE, GridOfAnything, "schedule.grid-refuses"),
    bug(Kind.SCHEDULE, NetworkSeesFewTimes, "schedule.network-time"),
    bug(Kind.SCHEDULE, NetworkSeesInfinity, "schedule.network-time"),
    bug(Kind.SCHEDULE, Exploding, "schedule.network-input"),
]
ON_A_DEVICE: Final = bug(Kind.SCHEDULE, TableOnTheCpu, "schedule.devices")
