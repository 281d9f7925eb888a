"""Samplers: how noise becomes images by a trained network."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from dddm.interfaces.schedule import Schedule

StepNoise = Callable[[int], Tensor]
"""N(0, I) noise for a step, (B, C, H, W), float32, on the device of x_T.

Row b depends only on the seed, the number of image b and the step.  A step is any integer from 0:
a sampler may use several numbers in one of its steps.
"""


class Denoiser(ABC):
    """f_θ(x̂, x_t, t) of eq. 3 as a sampler sees it: a schedule and a network in eval mode."""

    @property
    @abstractmethod
    def schedule(self) -> Schedule:
        """The forward process that the network was trained on."""

    @property
    def takes_latent(self) -> bool:
        """Whether x̂ is a latent, N(0, I) and fresh in every step, not an estimate of x_0."""
        return False

    @abstractmethod
    def begin(
        self, *, x_t: Tensor, t: Tensor, label: Tensor | None, second_time: Tensor | None = None
    ) -> Any:
        """Compute what does not depend on the estimate, for any number of calls of `refine`.

        Args:
            x_t: (B, C, H, W), as the schedule gives it.
            t: (B,), as the schedule draws it.
            label: (B,), int64, or None.
            second_time: (B,), of the dtype of t, in [0, t]; None for a network of one time.
        """

    @abstractmethod
    def refine(self, cache: Any, *, estimate: Tensor | None) -> Tensor:
        """f_θ(x̂, x_t, t), (B, C, H, W), not clamped.  One call is one network evaluation.

        Args:
            cache: what `begin` returned.
            estimate: x̂; ignored by a network that takes none.  N(0, I) noise where
                `takes_latent`.
        """

    @abstractmethod
    def select(self, cache: Any, *, index: Tensor) -> Any:
        """The cache of some images of the batch, as `begin` would have computed it for them.

        Args:
            index: (K,), int64, positions in the batch.

        Raises:
            UsageError: if the network does not support it.
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
        """`begin` followed by one `refine`, as in training."""
        cache = self.begin(x_t=x_t, t=t, label=label, second_time=second_time)
        return self.refine(cache, estimate=estimate)


class Sampler(ABC):
    """Turns noise into estimates, one per step.

    A stochastic sampler calls `noise` and never uses torch's global random state.  An image does
    not depend on the rest of the batch, and neither arguments nor yielded tensors are modified.

    The network's x̂ is the estimate of the step before or, where `Denoiser.takes_latent`, noise for
    that step.

    A target of kind `sampler` is called as `target(options)`.  A registration describes it by
    `SamplerInfo`.
    """

    @property
    @abstractmethod
    def prefix_consistent(self) -> bool:
        """Whether the first k estimates of a longer run equal those of a run of k steps.

        Then one pass gives samples at several step counts.
        """

    @property
    def reference_sampler(self) -> "Sampler | None":
        """The exact sampler that this one approximates with less work; None for an exact one."""
        return None

    def evaluations(self, steps: int) -> int:
        """Network evaluations for one image in a run of `steps` steps.

        An upper bound where there is a `reference_sampler`.  A second-order sampler returns 2k − 1.
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
            x_T: noise from `Schedule.prior`, (B, C, H, W).
            first_estimate: x̂ before the first step, (B, C, H, W): N(0, I) noise.
            label: (B,), int64, or None.
            steps: number of steps, at least 1.
            noise: fresh noise, for stochastic samplers.

        Raises:
            ValueError: if the schedule has fewer times than steps.
        """
