"""The same losses as the authors' public code, for the same images, noise, times and network.

The numbers were computed with the public code itself, in float64, for the inputs below:

    consistency_models   github.com/openai/consistency_models at e32b69e, cm/karras_diffusion.py:
                         KarrasDenoiser(sigma_data=0.5, loss_norm="l2").consistency_losses with 18
                         scales and weight_schedule="uniform", and .training_losses ("karras")
    py-meanflow          github.com/Gsunshine/py-meanflow at 1f6d72d, meanflow/models/meanflow.py:
                         MeanFlow.forward_with_loss with norm_eps = 1e-3
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from dddm.core.forward_mode import jvp
from dddm.interfaces.objective import Batch, Objective, TrainingProgress, TrainingStep
from dddm.interfaces.parametrization import Parametrization
from dddm.interfaces.schedule import Schedule
from dddm.testing.toys import ScalarDenoiser, SquaredError
from dddm_objectives.consistency import Consistency
from dddm_objectives.denoising import Denoising
from dddm_objectives.mean_flow import MeanFlow
from dddm_objectives.options import ConsistencyOptions as Improved
from dddm_objectives.options import DenoisingOptions, MeanFlowOptions
from dddm_parametrizations.affine import consistency, edm, velocity
from dddm_parametrizations.options import ConsistencyOptions, EdmOptions, PlainOptions
from dddm_schedules.continuous import Karras, RectifiedFlow
from dddm_schedules.options import KarrasOptions, RectifiedFlowOptions

IMAGES = torch.linspace(-1, 1, 48, dtype=torch.float64).reshape(6, 2, 2, 2)
NOISE = 1.5 * torch.sin(7 * torch.arange(48, dtype=torch.float64)).reshape(6, 2, 2, 2)
KARRAS = Karras(KarrasOptions())


def network(x: Tensor, t: Tensor) -> Tensor:
    """Of a scaled image and ¼ ln σ."""
    return torch.tanh(x) + 0.3 * torch.cos(t).reshape(-1, 1, 1, 1) * x.roll(1, -1)


def denoiser(
    parametrization: Parametrization, network: Callable[..., Tensor]
) -> Callable[..., Tensor]:
    def estimate(*, x_t: Tensor, t: Tensor, **_: Any) -> Tensor:
        x_in = parametrization.network_input(x_t=x_t, t=t)
        raw = network(x_in, parametrization.network_time(t))
        return parametrization.estimate(x_t=x_t, raw=raw, t=t)

    return estimate


def losses(
    objective: Objective,
    schedule: Schedule,
    draws: Mapping[str, Tensor],
    *,
    function: Callable[..., Tensor],
    average: Callable[..., Tensor] | None = None,
) -> Tensor:
    """Of a step in float64, which training never makes."""
    index = torch.arange(len(IMAGES))
    outcome = objective.step(
        TrainingStep(
            batch=Batch(index=index, x_0=IMAGES, label=None, rows=index),
            draws={"noise": NOISE, **draws},
            denoiser=ScalarDenoiser(schedule, function=function),
            average=None if average is None else ScalarDenoiser(schedule, function=average),
            metric=SquaredError(),
            memory={},
            progress=TrainingProgress(step=0, total_steps=1, epoch=0),
            frozen_pass=torch.no_grad,
            jvp=jvp,
        )
    )
    assert outcome.loss_B is not None
    return outcome.loss_B.detach().double()


def test_consistency_training() -> None:
    """The target is another network's, as of the averaged one: here 0.9 F."""
    options = Improved(times="uniform", weight="uniform", averaged_teacher=True)
    f = consistency(ConsistencyOptions(), schedule=KARRAS)
    grid = KARRAS.grid(steps=18)
    pair = torch.tensor([7, 3, 12, 16, 2, 0])
    found = losses(
        Consistency(options),
        KARRAS,
        {"t": grid[pair], "r": grid[pair + 1]},
        function=denoiser(f, network),
        average=denoiser(f, lambda x, t: 0.9 * network(x, t)),
    )
    expected = torch.tensor([
        0.002721973036488322, 0.0010333934313425134, 0.03723925287220675,
        4.991406254203317e-05, 0.0011250569727869226, 0.0011252267374966918,
    ], dtype=torch.float64)  # fmt: skip
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-9)


def test_edm() -> None:
    found = losses(
        Denoising(DenoisingOptions()),
        KARRAS,
        {"t": torch.tensor([0.01, 0.1, 0.5, 1, 5, 50], dtype=torch.float64)},
        function=denoiser(edm(EdmOptions(), schedule=KARRAS), network),
    )
    expected = torch.tensor([
        2.12855635111154, 1.596611946038153, 2.0435391205923423,
        1.6014068612977517, 1.6817818116163727, 3.55892093911672,
    ], dtype=torch.float64)  # fmt: skip
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("power", "expected"),
    [(0.75, 1.6074592070052518), (1.0, 0.9997862484687406), (0.0, 8.210802745290485)],
)
def test_mean_flow(power: float, expected: float) -> None:
    schedule = RectifiedFlow(RectifiedFlowOptions())
    velocities = velocity(PlainOptions(), schedule=schedule)

    def estimate(*, x_t: Tensor, t: Tensor, second_time: Tensor, **_: Any) -> Tensor:
        rise = 1 + 0.3 * torch.sin(3 * t).reshape(-1, 1, 1, 1)
        of_r = torch.cos(2 * second_time).reshape(-1, 1, 1, 1)
        raw = torch.tanh(x_t) * rise - 0.2 * x_t.roll(1, -1) * of_r
        return velocities.estimate(x_t=x_t, raw=raw, t=t)

    found = losses(
        MeanFlow(MeanFlowOptions(power=power)),
        schedule,
        {
            "t": torch.tensor([0.9, 0.5, 0.3, 1.0, 0.8, 0.25], dtype=torch.float64),
            "r": torch.tensor([0.1, 0.5, 0.05, 0.0, 0.6, 0.25], dtype=torch.float64),
        },
        function=estimate,
    )
    assert float(found.mean()) == pytest.approx(expected, rel=1e-5)
