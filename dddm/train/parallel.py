"""A step in several processes: DistributedDataParallel averages the gradients.

What is wrapped is the objective's step, not one evaluation of the network: an objective may
evaluate it several times, with and without gradient, and take derivatives of it; the gradient of
its loss is averaged all the same.  All processes have equal parts of each batch, so that the
average is the whole batch's gradient.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dddm.interfaces.backbone import Backbone
from dddm.interfaces.objective import Outcome
from dddm.train.context import RunContext

MakeStep = Callable[[], Outcome]


@final
class _Step(nn.Module):
    """A step as the module whose parameters are watched."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, make: MakeStep) -> tuple[Tensor, Outcome]:
        """The loss, where it is looked for, and all else."""
        outcome = make()
        return outcome.loss, outcome


@final
class ParallelStep:
    """Makes steps whose backward passes average gradients over the processes."""

    def __init__(self, backbone: Backbone, *, context: RunContext) -> None:
        device = context.device
        self._parallel = DistributedDataParallel(
            _Step(backbone),
            device_ids=[device] if device.type == "cuda" else None,
            # Otherwise gradients are summed in another order after the first step than in it, and
            # a resumed run differs in its last bits; two numbers have but one order.
            find_unused_parameters=device.type == "cpu" and context.processes.count > 2,  # noqa: PLR2004
        )

    def __call__(self, make: MakeStep) -> Outcome:
        """What `make` gives."""
        found: tuple[Any, Outcome] = self._parallel(make)
        return found[1]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within it gradients stay in this process and add up, for gradient accumulation."""
        with self._parallel.no_sync():
            yield
