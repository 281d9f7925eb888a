"""What one training step asks of the network, and what it remembers between epochs.

An objective declares by `ObjectiveInfo` what it needs; the core provides it, and nothing else, in
a `TrainingStep`.  Random numbers are drawn for the whole batch of all processes and sliced by
process and by accumulation part, so that no number depends on how the work is shared.

Legend: B rows of this part of the batch, C channels, H rows, W columns; G sets of n rows each
(B = G n) and m further real images.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.interfaces.backbone import Backbone
from dddm.interfaces.data_report import ProgressCallback
from dddm.interfaces.dataset import Split
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.interfaces.metric import Metric
from dddm.interfaces.sampler import Denoiser
from dddm.interfaces.schedule import Schedule


@final
@frozen(kw_only=True)
class TrainingProgress:
    """How far training has come.

    Attributes:
        step: optimizer steps done before this one.
        total_steps: of the whole run.
        epoch: n, from 0.
    """

    step: int
    total_steps: int
    epoch: int

    @property
    def fraction(self) -> float:
        """p, in [0, 1)."""
        return self.step / self.total_steps


@final
@frozen(kw_only=True, eq=False)
class RealSets:
    """Further real images of each set's class, for an objective that compares sets.

    Attributes:
        index: (G, m), int64, CPU: their indices in the data set, different within a set.
        x_0: (G, m, C, H, W), float32, in [-1, 1].
        label: (G,), int64: the class of each set; None where the images have no classes.
    """

    index: Tensor
    x_0: Tensor
    label: Tensor | None


@final
@frozen(kw_only=True, eq=False)
class Batch:
    """Rows that are trained on together.

    Attributes:
        index: (B,), int64, CPU: indices of the images x_0 in their data set.
        x_0: (B, C, H, W), float32, in [-1, 1].
        label: (B,), int64, or None where the network uses no classes.  With `[train] label_dropout`
            some are the number of classes, "no class", which the network takes as one class more.
        rows: (B,), int64, CPU: rows of the objective's memory, all different; equal to `index`
            where each training image has a row.
        sets: real images for sets; None for an objective that compares none.  Rows of one set
            stand beside each other.
    """

    index: Tensor
    x_0: Tensor
    label: Tensor | None
    rows: Tensor
    sets: RealSets | None = None


@final
@frozen(kw_only=True, eq=False)
class TrainingStep:
    """All that a step may use.

    Attributes:
        draws: what `Objective.draw` drew, for these rows.
        denoiser: the network in training mode, whose evaluations carry the gradient.
        average: the averaged network in eval mode, without gradient; None unless asked for.
        metric: d; None for an objective that uses none.
        memory: the fields of these rows, (B, …), float32; empty without memory.
        frozen_pass: makes a context in which evaluations carry no gradient and begin with the
            random state that the step began with, so that dropout drops the same.
        jvp: forward-mode derivative: `jvp(function, primals, tangents)` gives the function's value,
            which carries the gradient, and its derivative along the tangents.
    """

    batch: Batch
    draws: Mapping[str, Tensor]
    denoiser: Denoiser
    average: Denoiser | None
    metric: Metric | None
    memory: Mapping[str, Tensor]
    progress: TrainingProgress
    frozen_pass: Callable[[], AbstractContextManager[None]]
    jvp: Callable[[Callable[..., Tensor], tuple[Tensor, ...], tuple[Tensor, ...]], Any]


@final
@dataclass(frozen=True, kw_only=True, eq=False)  # not attrs, which torch.compile cannot trace
class Outcome:
    """What a step gave.

    Attributes:
        loss: a scalar, the mean over these rows or sets, which carries the gradient.
        loss_B: each row's own, (B,), float32; None where rows have none.
        memory: new values of fields, (B, …); fields that are not named stay as they are.
        written: (B,), bool: which rows of the memory are replaced; None for all.
        numbers: scalars by name, for the log.
    """

    loss: Tensor
    loss_B: Tensor | None = None
    memory: Mapping[str, Tensor] = field(default_factory=dict)
    written: Tensor | None = None
    numbers: Mapping[str, Tensor] = field(default_factory=dict)


@final
@frozen(kw_only=True, eq=False)
class Diagnosis:
    """Some training images, and the network in eval mode, for `Objective.diagnose`.

    Attributes:
        memory: the fields of these rows, as they are kept.
        noise: N(0, I) of the shape of the images, which depends on the seed, the purpose that is
            named, and each image's index alone.
    """

    denoiser: Denoiser
    batch: Batch
    memory: Mapping[str, Tensor]
    progress: TrainingProgress
    noise: Callable[[str], Tensor]


class Objective(ABC):
    """One training step.  A target of kind `objective` is called as `target(options)`."""

    def to(self, device: torch.device) -> None:
        """Move the objective's tensors to `device`; by default there are none."""
        return

    def prepare(
        self, *, images: Split, flips: bool, device: torch.device, progress: ProgressCallback
    ) -> str | None:
        """Do what is needed once before the first step, such as learning features of the images.

        Called at the start and again when a run is resumed, before `restore`, but not for sampling
        or scoring: keep what takes long in `dddm.support.cache`.  The first process is called
        first, with the cache to itself; then the others, which find what it has put there.  What
        steps use must not depend on which process or which call made it.

        Args:
            images: the training images.
            flips: whether training mirrors images.
            device: of the steps.
            progress: called with the number of images done; may raise to stop the work.

        Returns:
            a sentence for the log and the user; None for nothing to say.
        """
        del images, flips, device, progress
        return None

    def prepare_shapes(self, images: DatasetInfo) -> float:
        """Stand in for `prepare` where a step is only counted, as for `dddm run --dry-run`.

        Called once after `to`, with the meta device, whose tensors have shapes and no values.
        Objectives whose steps need what `prepare` makes give it its shapes here.

        Args:
            images: what is known of the training images.

        Returns:
            how many floating point operations learning takes in `prepare`, about; 0 by default.
        """
        del images
        return 0.0

    @abstractmethod
    def draw(
        self,
        *,
        count: int,
        shape: ImageShape,
        schedule: Schedule,
        progress: TrainingProgress,
        generator: torch.Generator,
    ) -> Mapping[str, Tensor]:
        """Draw every random number of a step, for the whole batch.

        Args:
            count: rows of the whole batch.

        Returns:
            tensors by name, each with `count` as its first dimension, on the generator's device.
        """

    @abstractmethod
    def step(self, given: TrainingStep) -> Outcome:
        """Compute the loss of these rows, and new values of their memory.

        Must not draw random numbers.  The loss of a set depends on that set alone; without sets,
        the loss of a row on that row alone.
        """

    def diagnose(self, given: Diagnosis) -> Mapping[str, float]:
        """Numbers for the log and the report; by default none."""
        del given
        return {}

    def after_step(self, *, backbone: Backbone, progress: TrainingProgress) -> None:  # noqa: B027 - to do nothing is right
        """Called after each optimizer step, for example to update a teacher network."""

    def state(self) -> Mapping[str, Tensor]:
        """Tensors to checkpoint besides the memory; by default none."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Return to what `state` gave.

        Raises:
            ValueError: if it does not fit.
        """
        if state:
            raise ValueError(f"{type(self).__name__} keeps no state, and there is {sorted(state)}")

    def optimum(self, *, variance: float, schedule: Schedule) -> Callable[..., Tensor] | None:
        """The best denoiser where x_0 ~ N(0, variance) and x̂ is noise; None where nobody knows.

        Returns:
            a function `(x_t, t, second_time, estimate)` → the estimate, all tensors (B, 1, 1, 1)
            but the times, (B,).  There the objective's expected gradient is zero, for a squared
            metric, which the conformance kit tries.
        """
        del variance, schedule
        return None
