"""How samples are drawn from a trained network (algorithm 2 and its kin)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from dddm.interfaces.schedule import Schedule

StepNoise = Callable[[int], Tensor]
"""N(0, I) noise of a step, (B, C, H, W), float32, on the device of x_T.

Row b depends on the seed, the number of image b and the step alone; different steps share no
numbers.  A step is any whole number from 0, so that a sampler may draw several times in one.
"""


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
    def refine(self, cache: Any, *, estimate: Tensor | None) -> Tensor:
        """f_θ(x̂, x_t, t), (B, C, H, W), not clamped.  One call is one network evaluation.

        `estimate` is ignored by a network that takes none, and may then be None.
        """

    @abstractmethod
    def select(self, cache: Any, *, index: Tensor) -> Any:
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
        estimate: Tensor | None,
        second_time: Tensor | None = None,
    ) -> Tensor:
        """`begin` and then `refine`: what training does, once for each image."""
        cache = self.begin(x_t=x_t, t=t, label=label, second_time=second_time)
        return self.refine(cache, estimate=estimate)


class Sampler(ABC):
    """Turns noise into estimates, one a step.

    All noise is given: a sampler that draws asks `noise`, never torch's global random state.  What
    becomes of an image does not depend on what else is in the batch, and neither what is given nor
    what was yielded is changed.

    A target of kind `sampler` is called as `target(options)`.  A registration describes it by
    `SamplerInfo`.
    """

    @property
    @abstractmethod
    def prefix_consistent(self) -> bool:
        """Whether the first k estimates of a longer run are those of a run of k steps.

        Then one pass serves several step counts.
        """

    @property
    def reference_sampler(self) -> "Sampler | None":
        """The sampler whose result this one saves work on; None where it takes no short cut."""
        return None

    def evaluations(self, steps: int) -> int:
        """Network evaluations for one image in a run of `steps` steps.

        An upper bound where there is a `reference_sampler`.  A second-order sampler says 2k − 1.
        """
        return steps

    @abstractmethod
    def sample(
        self,
        *,
        model: Denoiser,
        x_T: Tensor,
        first_estimate: Tensor,
        label: Tensor | None,
        steps: int,
        noise: StepNoise,
    ) -> Iterator[Tensor]:
        """Yield `steps` estimates, each (B, C, H, W) in [-1, 1]; the last is the sample.

        Args:
            model: the network, evaluated `evaluations(steps)` times.
            x_T: where to start, (B, C, H, W), from `Schedule.prior`.
            first_estimate: x̂ before the first step, (B, C, H, W): N(0, I) noise.
            label: (B,), int64, or None.
            steps: how many, at least 1.
            noise: fresh noise, for samplers that draw.

        Raises:
            ValueError: if the schedule has not that many times.
        """
