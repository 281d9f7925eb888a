"""Networks, and batches as training gives them to one.

Legend: B images, C channels, H rows, W columns.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, final

import attrs
import torch
from attrs import frozen
from torch import Tensor

from dddm.interfaces.backbone import Backbone
from dddm.interfaces.facts import ImageShape
from dddm.testing.material import noise, perturb
from dddm.testing.subject import Subject


@final
@frozen(kw_only=True)
class Inputs:
    """A batch as training gives it to a network: x̂, x_t, t and labels or None."""

    estimate: Tensor
    x_t: Tensor
    t: Tensor
    label: Tensor | None

    def rows(self, index: Tensor) -> "Inputs":
        """Some of the images, in another order."""
        label = None if self.label is None else self.label[index]
        return Inputs(
            estimate=self.estimate[index], x_t=self.x_t[index], t=self.t[index], label=label
        )

    def to(self, device: torch.device) -> "Inputs":
        """The same on a device."""
        label = None if self.label is None else self.label.to(device)
        return Inputs(
            estimate=self.estimate.to(device),
            x_t=self.x_t.to(device),
            t=self.t.to(device),
            label=label,
        )

    def through(self, network: Backbone) -> Tensor:
        """F, (B, C, H, W)."""
        out: Tensor = network(estimate=self.estimate, x_t=self.x_t, t=self.t, label=self.label)
        return out

    def begun(self, network: Backbone) -> Any:
        """What `begin` makes of it."""
        return network.begin(x_t=self.x_t, t=self.t, label=self.label)


def network_of(subject: Subject, shape: ImageShape, *, moved: bool = True) -> Backbone:
    """A network in eval mode; away from where it begins, unless told otherwise."""
    network: Backbone = subject.make(shape=shape)
    if moved:
        perturb(network)
    return network.eval()


def inputs_of(subject: Subject, network: Backbone, shape: ImageShape, *, count: int = 5) -> Inputs:
    """Noise at times from 1 to 1000; labels for a network that uses them."""
    labels = torch.arange(count) % subject.classes
    return Inputs(
        estimate=noise(count, *shape.as_tuple, seed=2),
        x_t=noise(count, *shape.as_tuple, seed=3),
        t=torch.linspace(1, 1000, count),
        label=labels if network.uses_labels else None,
    )


def networks(subject: Subject, *, count: int = 5) -> Iterator[tuple[Backbone, Inputs]]:
    """A network for each shape, with a batch for it."""
    for shape in subject.shapes:
        network = network_of(subject, shape)
        yield network, inputs_of(subject, network, shape, count=count)


def tensors_in(begun: Any) -> list[Tensor]:
    """All tensors in what was begun, whatever holds them."""
    if isinstance(begun, Tensor):
        return [begun]
    inner: Iterable[Any] = ()
    if isinstance(begun, Mapping):
        inner = begun.values()
    elif isinstance(begun, list | tuple):
        inner = begun
    elif attrs.has(type(begun)):
        inner = [getattr(begun, field.name) for field in attrs.fields(type(begun))]
    elif hasattr(begun, "__dict__"):
        inner = vars(begun).values()
    return [tensor for part in inner for tensor in tensors_in(part)]
