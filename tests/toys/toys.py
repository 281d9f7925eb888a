"""Small components of our own, so that the core is tested without any built-in plugin."""

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from dddm.interfaces.backbone import Backbone
from dddm.interfaces.info import ImageShape
from dddm.interfaces.metric import Metric
from dddm.interfaces.schedule import Schedule
from dddm.interfaces.target_store import MemoryUsage, ShardState, TargetStore
from dddm.support.noise import noise_by_index

SHAPE = ImageShape(channels=1, height=4, width=4)


@final
class ToySchedule(Schedule):
    """x_t = cos(θ) x_0 + sin(θ) ε with θ = π t / 2T, T = 10."""

    last_time = 10.0

    def __init__(self, options: object = None) -> None:
        pass

    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        return torch.randint(1, 11, (count,), generator=generator)

    def signal(self, t: Tensor) -> Tensor:
        return torch.cos(t.double() * (torch.pi / 20))

    def noise(self, t: Tensor) -> Tensor:
        return torch.sin(t.double() * (torch.pi / 20))

    def prior(self, *, noise: Tensor) -> Tensor:
        return noise

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        return x_t - raw

    def grid(self, *, steps: int) -> Tensor:
        if steps > 10:
            raise ValueError("there are 10 times")
        return torch.linspace(10, 10 / steps, steps).round().long()

    def network_time(self, t: Tensor) -> Tensor:
        return t.float() * 100

    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        return x_t


@final
class ToyBackbone(Backbone):
    """F = a x̂ + b x_t + c, three numbers to learn."""

    uses_labels = False

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([0.3, 0.5, 0.1]))
        self.register_buffer("seen", torch.zeros(()))
        self.begins = 0
        self.refined = 0

    def begin(self, *, x_t: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
        self.begins += 1
        return self.weights[1] * x_t + self.weights[2]

    def refine(self, cache: Tensor, *, estimate: Tensor) -> Tensor:
        self.refined += 1
        return cache + self.weights[0] * estimate


@final
class ToyMetric(Metric):
    """Squared distance, mean over pixels."""

    def __init__(self, options: object = None) -> None:
        pass

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        return (estimate - target).square().flatten(1).mean(1)


@final
class ToyStore(TargetStore):
    """A plain tensor that remembers in which order it was called."""

    def __init__(self, images: int = 16) -> None:
        self.rows = noise_by_index(
            seed=0, purpose="store", index=torch.arange(images), shape=SHAPE.as_tuple
        )
        self.calls: list[str] = []

    def open(self, **_: Any) -> None:
        raise NotImplementedError

    def memory_usage(self, *, rows: int, shape: ImageShape, kept_snapshots: int) -> MemoryUsage:
        del kept_snapshots
        return MemoryUsage(memory=rows * shape.values * 4)

    def begin_epoch(self, epoch: int) -> None:
        self.calls.append(f"epoch {epoch}")

    def read(self, index: Tensor) -> Tensor:
        self.calls.append("read")
        return self.rows[index]

    def write(self, index: Tensor, *, estimate: Tensor) -> None:
        self.calls.append("write")
        self.rows[index] = estimate

    def peek(self, index: Tensor) -> Tensor:
        return self.rows[index]

    def flush(self) -> None:
        pass

    def snapshot(self) -> Mapping[int, ShardState]:
        return {0: {"rows": self.rows}}

    def restore(self, state: Mapping[int, ShardState]) -> None:
        self.rows = state[0]["rows"]
