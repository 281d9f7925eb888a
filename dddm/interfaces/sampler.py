"""How samples are drawn from a trained network (algorithm 2 and its kin)."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from dddm.interfaces.schedule import Schedule


class Denoiser(ABC):
    """f_θ(x̂, x_t, t) of eq. 3 as a sampler sees it: a schedule and a network in eval mode."""

    @property
    @abstractmethod
    def schedule(self) -> Schedule:
        """The forward process that the network was trained on."""

    @abstractmethod
    def begin(
        self, *, x_t: Tensor, t: Tensor, label: Tensor | None, second_time: Tensor | None = None
    ) -> Any:
        """What of f depends on all but the estimate; for one or many calls of `refine`.

        Args:
            x_t: (B, C, H, W), as the schedule gives it.
            t: (B,), as the schedule draws it.
            label: (B,), int64, or None.
            second_time: (B,), of the dtype of t, in [0, t]; None for a network of one time.
        """

    @abstractmethod
    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        """f_θ(x̂, x_t, t), (B, C, H, W), not clamped.  One call is one network evaluation."""

    @abstractmethod
    def select(self, begun: Any, *, index: Tensor) -> Any:
        """What `begin` would have returned for these images of the batch alone.

        Args:
            index: (K,), int64, of images within the batch.

        Raises:
            UsageError: if the network cannot tell.
        """

    def evaluate(
        self,
        *,
        x_t: Tensor,
        t: Tensor,
        label: Tensor | None,
        estimate: Tensor,
        second_time: Tensor | None = None,
    ) -> Tensor:
        """`begin` and then `refine`: what training does, once for each image."""
        more = {} if second_time is None else {"second_time": second_time}
        return self.refine(self.begin(x_t=x_t, t=t, label=label, **more), estimate=estimate)


class Sampler(ABC):
    """Turns noise into estimates, one a step.

    It draws nothing: all noise is given.  What becomes of an image does not depend on what else is
    in the batch, and neither what is given nor what was yielded is changed.

    A target of kind `sampler` is called as `target(options)`.
    """

    @property
    @abstractmethod
    def nested(self) -> bool:
        """Whether the first k estimates of a longer run are those of a run of k steps.

        Then one pass serves several step counts.
        """

    @property
    def exact(self) -> "Sampler | None":
        """The sampler whose result this one saves work on; None where it takes no short cut."""
        return None

    @abstractmethod
    def sample(
        self,
        *,
        model: Denoiser,
        x_T: Tensor,
        first_estimate: Tensor,
        label: Tensor | None,
        steps: int,
    ) -> Iterator[Tensor]:
        """Yield `steps` estimates, each (B, C, H, W) in [-1, 1]; the last is the sample.

        Args:
            model: what to evaluate, once a step.
            x_T: where to start, (B, C, H, W), from `Schedule.prior`.
            first_estimate: x̂ before the first step, (B, C, H, W): N(0, I) noise.
            label: (B,), int64, or None.
            steps: how many, at least 1.

        Raises:
            ValueError: if the schedule has not that many times.
        """
