"""The network F_θ(x̂, x_t, t) of eq. 3, or F_θ(x_t, t, r) of methods that have a second time r."""

from abc import ABC, abstractmethod
from typing import Any, final

from torch import Tensor, nn

from dddm.errors import UsageError


class Backbone(nn.Module, ABC):
    """Computes F in two parts, because sampling repeats only the second.

    Algorithm 2 keeps x_T and T fixed while it refines the estimate, so `begin` computes once what
    depends on (x_t, t, label) alone, and `refine` each time what depends on the estimate.  A
    forward pass is one after the other, so the split does not change F.

    A network may take no estimate (`takes_estimate`), and it may take a second time
    (`takes_second_time`), for a jump from t to r.  Only then has `begin` the further argument
    `second_time`.

    Requirements: initial weights come from torch's global generator, which is seeded before.  In
    eval mode a pass draws no random numbers.  No pass leaves state behind, running statistics
    included, and the output for an image does not depend on the rest of the batch.  All that F
    depends on is in parameters and buffers; a deep copy shares none of them.  Arguments are not
    modified.

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

        A network that takes a second time has the further argument `second_time: Tensor`: r as
        `Parametrization.network_time` gives it, (B,), float32.  It is always given.

        Args:
            x_t: noisy images as `Parametrization.network_input` gives them, (B, C, H, W).
            t: times as `Parametrization.network_time` gives them, (B,), float32: any finite
                numbers, such as 1000 t/T in (0, 1000] or ¼ ln σ around 0.
            label: classes, (B,), int64; None for a network without classes.

        Returns:
            whatever `refine` needs; `refine` must not modify it.
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
            UsageError: unless a backbone overrides this; images then cannot leave a batch early.
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
        argument = second_time_argument(self, t=t, second_time=second_time)
        cache = self.begin(x_t=x_t, t=t, label=label, **argument)
        return self.refine(cache, estimate=estimate if self.takes_estimate else None)


def second_time_argument(
    backbone: Backbone, *, t: Tensor, second_time: Tensor | None
) -> dict[str, Any]:
    """The second time for `begin` if the network takes one; t stands in for a missing one."""
    if not backbone.takes_second_time:
        return {}
    return {"second_time": t if second_time is None else second_time}
