"""The loss of an objective, for training loops of your own: `dddm.Loss("directly-denoising")`."""

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor

from dddm.core.draws import draw
from dddm.core.output_checks import CheckedMetric
from dddm.core.step import StepParts, make_step
from dddm.errors import UsageError
from dddm.interfaces.data_report import no_progress
from dddm.interfaces.dataset import Split
from dddm.interfaces.info import ImageShape, ObjectiveInfo
from dddm.interfaces.metric import Metric
from dddm.interfaces.objective import Batch, Objective, Outcome, RealSets, TrainingProgress
from dddm.interfaces.plugin import Kind
from dddm.interfaces.sampler import Denoiser
from dddm.recipe.read import read_component
from dddm.registry.loader import load_catalogue


@final
class Loss:
    """One training step of an objective, up to the gradient.

    Attributes:
        needs: what the objective needs: fields of memory, a metric, an averaged network, sets.

    Args:
        objective: its name.
        options: as in `[objective]` of a recipe.
        metric: the distance d, made by `dddm.build`; None for an objective that uses none.
        images: the training images, for objectives that learn features of them before they begin.
        device: of the images that it will be called with.

    Raises:
        PluginError: if there is no such objective.
        UsageError: if an option does not fit, or the metric or the images are missing.
    """

    def __init__(
        self,
        objective: str,
        options: Mapping[str, Any] | None = None,
        *,
        metric: Metric | None = None,
        images: Split | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        config = read_component(
            Kind.OBJECTIVE, objective, options=options or {}, catalogue=load_catalogue()
        )
        self.needs = config.info(ObjectiveInfo) or ObjectiveInfo()
        self._name = config.component.name
        self._objective: Objective = config.instantiate()
        self._device = torch.device(device)
        self._refuse(
            metric is None and self.needs.metric,
            "a metric, which it compares images with",
            'pass metric=dddm.build("metric", "pseudo-huber")',
        )
        self._metric = None if metric is None else CheckedMetric(metric)
        if self._metric is not None:
            self._metric.to(self._device)
        self._objective.to(self._device)
        if images is not None:
            self._objective.prepare(
                images=images, flips=False, device=self._device, progress=no_progress
            )

    def __repr__(self) -> str:
        return f"<Loss {self._name}>"

    def __call__(
        self,
        denoiser: Denoiser,
        *,
        x_0: Tensor,
        label: Tensor | None = None,
        memory: Mapping[str, Tensor] | None = None,
        average: Denoiser | None = None,
        sets: RealSets | None = None,
        progress: TrainingProgress | None = None,
        generator: torch.Generator | None = None,
    ) -> Outcome:
        """Draw times and noise, and compute the loss of a batch.

        Args:
            denoiser: `Generator.denoiser`, whose network is in training mode.
            x_0: images (B, C, H, W), float32, in [-1, 1].
            label: (B,), int64; None for a network without classes.
            memory: the fields of `needs.memory` of these images, (B, …), as the last outcome of
                each had them; at first N(0, I) noise, or zeros where the field says so.
            average: the averaged network, for objectives that need it.
            sets: more real images, for objectives that compare sets.
            progress: how far training has come, for objectives that change on the way.
            generator: of all random numbers but dropout's; None for torch's global one.

        Returns:
            an outcome whose `loss` is a scalar with gradient, and whose `memory` has the new rows.

        Raises:
            UsageError: if something that the objective needs is missing or of a wrong shape.
        """
        self._check(denoiser, x_0, memory=memory, average=average, sets=sets)
        channels, height, width = x_0.shape[1:]
        progress = progress or TrainingProgress(step=0, total_steps=1, epoch=0)
        row_B = torch.arange(len(x_0))
        draws = draw(
            self._objective,
            count=len(x_0),
            shape=ImageShape(channels=channels, height=height, width=width),
            schedule=denoiser.schedule,
            progress=progress,
            generator=generator or _global_generator(x_0.device),
            flips=False,
        )
        parts = StepParts(
            objective=self._objective, denoiser=denoiser, average=average, metric=self._metric
        )
        return make_step(
            parts,
            batch=Batch(index=row_B, x_0=x_0, label=label, rows=row_B, sets=sets),
            draws=draws,
            memory=memory or {},
            progress=progress,
        )

    def _check(
        self,
        denoiser: Denoiser,
        x_0: Tensor,
        *,
        memory: Mapping[str, Tensor] | None,
        average: Denoiser | None,
        sets: RealSets | None,
    ) -> None:
        if x_0.ndim != 4 or not x_0.is_floating_point():  # noqa: PLR2004 - B, C, H, W
            raise UsageError(
                f"x_0 has shape {tuple(x_0.shape)}, {x_0.dtype}; it must be (B, C, H, W), float32, "
                "in [-1, 1]",
                where="x_0",
                remedy="for images in 0…255: x_0 = images / 127.5 - 1",
            )
        fields = {field.name: field.shape or tuple(x_0.shape[1:]) for field in self.needs.memory}
        wanted = {name: (len(x_0), *shape) for name, shape in fields.items()}
        found = {name: tuple(tensor.shape) for name, tensor in (memory or {}).items()}
        self._refuse(
            found != wanted,
            f"memory of the shapes {wanted}, and is given {found}",
            "at first N(0, I) noise, later the `memory` of the outcome before",
        )
        self._refuse(
            self.needs.average and average is None,
            "the averaged network",
            "pass average=, the `denoiser` of a generator from torch's AveragedModel",
        )
        self._refuse(
            self.needs.sets is not None and sets is None,
            f"sets of real images, {self.needs.sets}",
            "pass sets=dddm.interfaces.objective.RealSets(…)",
        )
        self._refuse(
            (self.needs.estimate == "latent") != denoiser.takes_latent,
            f"x̂ to be {self.needs.estimate}",
            "make the generator with takes_latent=True for a latent, and without it otherwise",
        )

    def _refuse(self, wrong: bool, needed: str, remedy: str) -> None:  # noqa: FBT001 - private
        if wrong:
            raise UsageError(f"the objective {self._name} needs {needed}", remedy=remedy)


def _global_generator(device: torch.device) -> torch.Generator:
    if device.type != "cuda":
        return torch.default_generator
    torch.cuda.init()  # type: ignore[no-untyped-call]  # torch does not type it
    index = torch.cuda.current_device() if device.index is None else device.index
    return torch.cuda.default_generators[index]
