"""Networks, and batches as training gives them to one.

Legend: B images, C channels, H rows, W columns.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, final

import attrs
import torch
from attrs import frozen
from torch import Tensor

from dddm.interfaces.backbone import Backbone, second_time_argument
from dddm.interfaces.info import ImageShape
from dddm.testing.material import noise, perturb
from dddm.testing.subject import Subject


@final
@frozen(kw_only=True)
class Inputs:
    """A batch as training gives it to a network: x_t, t, and what else it takes, or None."""

    estimate: Tensor | None
    x_t: Tensor
    t: Tensor
    label: Tensor | None
    second_time: Tensor | None = None

    def rows(self, index: Tensor) -> "Inputs":
        """Some of the images, in another order."""
        return self._each(lambda tensor: tensor[index])

    def to(self, device: torch.device) -> "Inputs":
        """The same on a device."""
        return self._each(lambda tensor: tensor.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Inputs":
        given = attrs.asdict(self, recurse=False).items()
        changed: dict[str, Any] = {n: None if v is None else change(v) for n, v in given}
        return Inputs(**changed)

    def through(self, network: Backbone) -> Tensor:
        """F, (B, C, H, W)."""
        out: Tensor = network(**attrs.asdict(self, recurse=False))
        return out

    def begin(self, network: Backbone) -> Any:
        """What `begin` makes of it."""
        more = second_time_argument(network, t=self.t, second_time=self.second_time)
        return network.begin(x_t=self.x_t, t=self.t, label=self.label, **more)


def network_of(subject: Subject, shape: ImageShape, *, moved: bool = True) -> Backbone:
    """A network in eval mode; away from where it begins, unless told otherwise."""
    network: Backbone = subject.make(shape=shape)
    if moved:
        perturb(network)
    return network.eval()


def inputs_of(subject: Subject, network: Backbone, shape: ImageShape, *, count: int = 5) -> Inputs:
    """Noise at times from 1 to 1000, with what else the network takes."""
    labels = torch.arange(count) % subject.classes
    return Inputs(
        estimate=noise(count, *shape.as_tuple, seed=2) if network.takes_estimate else None,
        x_t=noise(count, *shape.as_tuple, seed=3),
        t=torch.linspace(1, 1000, count),
        label=labels if network.uses_labels else None,
        second_time=torch.linspace(1, 400, count) if network.takes_second_time else None,
    )


def networks(subject: Subject, *, count: int = 5) -> Iterator[tuple[Backbone, Inputs]]:
    """A network for each shape, with a batch for it."""
    for shape in subject.shapes:
        network = network_of(subject, shape)
        yield network, inputs_of(subject, network, shape, count=count)


def tensors_in(cache: Any) -> list[Tensor]:
    """All tensors in a cache, whatever holds them."""
    if isinstance(cache, Tensor):
        return [cache]
    inner: Iterable[Any] = ()
    if isinstance(cache, Mapping):
        inner = cache.values()
    elif isinstance(cache, list | tuple):
        inner = cache
    elif attrs.has(type(cache)):
        inner = [getattr(cache, field.name) for field in attrs.fields(type(cache))]
    elif hasattr(cache, "__dict__"):
        inner = vars(cache).values()
    return [tensor for part in inner for tensor in tensors_in(part)]
