"""The network in several processes: DistributedDataParallel averages the gradients.

All processes have equal parts of each batch, so that the average is the whole batch's gradient.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dddm.interfaces.backbone import Backbone
from dddm.interfaces.sampler import Denoiser
from dddm.interfaces.schedule import Schedule
from dddm.run.processes import Processes


@final
class _Evaluation(nn.Module):
    """`Denoiser.evaluate` as the module whose parameters are watched."""

    def __init__(self, model: Denoiser, backbone: Backbone) -> None:
        super().__init__()
        self._model = model
        self.backbone = backbone

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None, estimate: Tensor) -> Tensor:
        """f_θ(x̂, x_t, t)."""
        return self._model.evaluate(x_t=x_t, t=t, label=label, estimate=estimate)


@final
class ParallelDenoiser(Denoiser):
    """A denoiser whose `evaluate` leads to averaged gradients; `begin` and `refine` do not."""

    def __init__(
        self, model: Denoiser, *, backbone: Backbone, device: torch.device, processes: Processes
    ) -> None:
        self._model = model
        self._parallel = DistributedDataParallel(
            _Evaluation(model, backbone),
            device_ids=[device] if device.type == "cuda" else None,
            # Otherwise gradients are summed in another order after the first step than in it, and
            # a resumed run differs in its last bits; two numbers have but one order.
            find_unused_parameters=device.type == "cpu" and processes.count > 2,  # noqa: PLR2004
        )

    @property
    def schedule(self) -> Schedule:
        """The forward process."""
        return self._model.schedule

    def begin(self, *, x_t: Tensor, t: Tensor, label: Tensor | None) -> Any:
        """What of f depends on (x_t, t, label) alone."""
        return self._model.begin(x_t=x_t, t=t, label=label)

    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        """f_θ(x̂, x_t, t)."""
        return self._model.refine(begun, estimate=estimate)

    def select(self, begun: Any, *, index: Tensor) -> Any:
        """What `begin` would have returned for these images alone."""
        return self._model.select(begun, index=index)

    def evaluate(self, *, x_t: Tensor, t: Tensor, label: Tensor | None, estimate: Tensor) -> Tensor:
        """f_θ(x̂, x_t, t); its backward pass averages gradients over the processes."""
        evaluated: Tensor = self._parallel(x_t, t, label, estimate)
        return evaluated

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within it gradients stay in this process and add up, for gradient accumulation."""
        with self._parallel.no_sync():
            yield
