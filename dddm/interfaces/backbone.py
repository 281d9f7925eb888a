"""The network F_θ(x̂, x_t, t) of eq. 3, or F_θ(x_t, t, r) of methods that have a second time r."""

from abc import ABC, abstractmethod
from typing import Any, final

from torch import Tensor, nn

from dddm.errors import UsageError


class Backbone(nn.Module, ABC):
    """Computes F, split where the method splits.

    Algorithm 2 keeps x_T and T fixed while it refines the estimate, so what depends on
    (x_t, t, label) alone is computed once, in `begin`, and what depends on the estimate each time,
    in `refine`.  A forward pass is one after the other, so that the split changes no number.

    A network may take no estimate (`takes_estimate`), and it may take a second time
    (`takes_second_time`), as a jump from t to r does.  Only the `begin` of a network that takes one
    has a further argument, `second_time`.

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

    @property
    def takes_estimate(self) -> bool:
        """Whether x̂ enters the network."""
        return True

    @property
    def takes_second_time(self) -> bool:
        """Whether `begin` has the further argument `second_time`."""
        return False

    @abstractmethod
    def begin(self, *, x_t: Tensor, t: Tensor, label: Tensor | None) -> Any:
        """Compute what does not depend on the estimate.

        A network that takes a second time has the argument `second_time: Tensor` beside these: the
        second times r, as the network's times, (B,), float32.  It is always given.

        Args:
            x_t: noisy images as `Parametrization.network_input` gives them, (B, C, H, W).
            t: times as `Parametrization.network_time` gives them, (B,), float32: any finite
                numbers, as 1000 t/T in (0, 1000] or ¼ ln σ around 0.
            label: classes, (B,), int64; None for a network without classes.

        Returns:
            whatever `refine` needs; it must not be changed by `refine`.
        """

    @abstractmethod
    def refine(self, cache: Any, *, estimate: Any) -> Tensor:
        """Compute F, (B, C, H, W), from what `begin` returned and the estimate.

        Args:
            cache: what `begin` returned.
            estimate: a tensor (B, C, H, W); None for a network that takes no estimate.
        """

    def select(self, cache: Any, *, index: Tensor) -> Any:
        """What `begin` would have returned for these images of the batch alone.

        Args:
            index: (K,), int64, of images within the batch.

        Raises:
            UsageError: unless a backbone says how; then images cannot leave a batch early.
        """
        del cache, index
        raise UsageError(
            f"the backbone {type(self).__name__} cannot let images leave a batch early",
            where="tolerance",
            remedy="leave the tolerance out, or add `select` to the backbone",
        )

    @final  # type: ignore[misc]  # torch declares an attribute where it means a method
    def forward(
        self,
        *,
        x_t: Tensor,
        t: Tensor,
        estimate: Tensor | None = None,
        label: Tensor | None = None,
        second_time: Tensor | None = None,
    ) -> Tensor:
        """F(x̂, x_t, t) or F(x_t, t, r), (B, C, H, W).

        Args:
            x_t: as in `begin`.
            t: as in `begin`.
            estimate: ignored by a network that takes none.
            label: as in `begin`.
            second_time: ignored by a network that takes none; None for t itself.
        """
        more = second_time_argument(self, t=t, second_time=second_time)
        cache = self.begin(x_t=x_t, t=t, label=label, **more)
        return self.refine(cache, estimate=estimate if self.takes_estimate else None)


def second_time_argument(
    backbone: Backbone, *, t: Tensor, second_time: Tensor | None
) -> dict[str, Any]:
    """What `begin` is given beside x_t, t and label: t itself stands in for a second time."""
    if not backbone.takes_second_time:
        return {}
    return {"second_time": t if second_time is None else second_time}
