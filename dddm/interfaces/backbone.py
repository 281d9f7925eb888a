"""The network F_θ(x̂, x_t, t) of eq. 3."""

from abc import ABC, abstractmethod
from typing import Any, final

from torch import Tensor, nn

from dddm.errors import UsageError


class Backbone(nn.Module, ABC):
    """Computes F, split where the method splits.

    Algorithm 2 keeps x_T and T fixed while it refines the estimate, so what depends on
    (x_t, t, label) alone is computed once, in `begin`, and what depends on the estimate each time,
    in `refine`.  A forward pass is one after the other, so that the split changes no number.

    First weights come from torch's own generator, which is seeded before.  In eval mode a pass
    draws nothing.  In both modes it keeps nothing for the next, running statistics neither, and
    what it makes of an image does not depend on what else is in the batch.  All that F depends on
    is in parameters and buffers; a deep copy shares none of them.  Nothing that is given is
    changed.

    A target of kind `backbone` is called as
    `target(options, shape=ImageShape, classes=number of classes, 0 if the data have none)`.
    """

    @property
    @abstractmethod
    def uses_labels(self) -> bool:
        """Whether the network is conditioned on class labels."""

    @abstractmethod
    def begin(self, *, x_t: Tensor, t: Tensor, label: Tensor | None) -> Any:
        """Compute what does not depend on the estimate.

        Args:
            x_t: noisy images as `Schedule.network_input` gives them, (B, C, H, W).
            t: times as `Schedule.network_time` gives them, (B,), float32, in (0, 1000].
            label: classes, (B,), int64; None for a network without classes.

        Returns:
            whatever `refine` needs; it must not be changed by `refine`.
        """

    @abstractmethod
    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        """Compute F, (B, C, H, W), from what `begin` returned and the estimate, (B, C, H, W)."""

    def select(self, begun: Any, *, index: Tensor) -> Any:
        """What `begin` would have returned for these images of the batch alone.

        Args:
            index: (K,), int64, of images within the batch.

        Raises:
            UsageError: unless a backbone says how; then images cannot leave a batch early.
        """
        del begun, index
        raise UsageError(
            f"the backbone {type(self).__name__} cannot let images leave a batch early",
            where="tolerance",
            remedy="leave the tolerance out, or add `select` to the backbone",
        )

    @final  # type: ignore[misc]  # torch declares an attribute where it means a method
    def forward(
        self, *, estimate: Tensor, x_t: Tensor, t: Tensor, label: Tensor | None = None
    ) -> Tensor:
        """F(x̂, x_t, t), (B, C, H, W)."""
        return self.refine(self.begin(x_t=x_t, t=t, label=label), estimate=estimate)
