"""Drifting (Deng, Li, Li, Du & He 2026, arXiv 2602.04770): training of a one-step generator.

For each class, n images g = f(x_T, T) are generated from noise and compared with m real ones r, in
features φ scaled so that real images have mean distance 1, at several temperatures τ:

    L = [ −‖φ(g_i) − φ(r_j)‖/τ  |  −‖φ(g_i) − φ(g_k)‖/τ, k ≠ i ]                    n × (m + n)
    A = √(softmax over columns of L ∘ softmax over rows of L) = [A⁺ | A⁻]
    V = (A⁺ ∘ rowsum A⁻) φ(r) − (A⁻ ∘ rowsum A⁺) φ(g),  divided by its root mean square
    loss = mean of (φ(g) − sg(φ(g) + Σ_τ V))²

V moves each generated image towards real ones near it and away from generated ones near it; it
vanishes where both sets have the same distribution.  The loss hardly falls, because V is
normalised; follow the number `drift`, the root mean square of V before that.

Every mean is over one set, so that the loss of a set depends on that set alone.

Legend: B = G n generated images in G sets, m real ones in each, C channels, H rows, W columns,
P groups of D features.
"""

from typing import final

import torch
from torch import Tensor

from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import Objective, Outcome, TrainingProgress, TrainingStep
from dddm.interfaces.schedule import Schedule
from dddm_objectives.kernels import Kernel, kernels_of
from dddm_objectives.options import DriftingOptions

_SMALLEST = 1e-6
"""Divisor where all images of a set, or all forces, are equal."""
_PAIRED = 32
"""Real images of a set from which the mean distance is estimated: pairs grow with the square."""


@final
class Drifting(Objective):
    """The objective `drifting`."""

    def __init__(self, options: DriftingOptions) -> None:
        self._temperatures = options.temperatures
        self._kernels = kernels_of(options)

    def draw(
        self,
        *,
        count: int,
        shape: ImageShape,
        schedule: Schedule,
        progress: TrainingProgress,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        del schedule, progress
        size = (count, *shape.as_tuple)
        return {"noise": torch.randn(size, generator=generator, device=generator.device)}

    def step(self, given: TrainingStep) -> Outcome:
        sets, draws, schedule = given.batch.sets, given.draws, given.denoiser.schedule
        assert sets is not None, "describe_drifting asks for sets"
        count = len(draws["noise"])
        generated_BCHW = given.denoiser.evaluate(
            x_t=schedule.prior(noise=draws["noise"]),
            t=schedule.grid(steps=1).to(draws["noise"].device, non_blocking=True).expand(count),
            label=given.batch.label,
            estimate=None,
        )
        losses, drifts = [], []
        for kernel in self._kernels:
            loss, size = self._compare(kernel, generated_BCHW, sets.x_0)
            losses.append(loss)
            drifts.append(size)
        return Outcome(
            loss=torch.stack(losses).mean(), numbers={"drift": torch.stack(drifts).mean()}
        )

    def _compare(
        self, kernel: Kernel, generated_BCHW: Tensor, real_GmCHW: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The loss in one kernel, and the drift before it is normalised."""
        sets = len(real_GmCHW)
        phi_BPD = kernel(generated_BCHW)
        with torch.no_grad():
            phi_r_GPmD = _by_set(kernel(real_GmCHW.flatten(0, 1)), sets)
        phi_g_GPnD = _by_set(phi_BPD, sets)
        scale_GP11 = _mean_distance(phi_r_GPmD)
        phi_g_GPnD, phi_r_GPmD = phi_g_GPnD / scale_GP11, phi_r_GPmD / scale_GP11
        drift_GPnD, size = drift(phi_g_GPnD.detach(), phi_r_GPmD, temperatures=self._temperatures)
        target_GPnD = phi_g_GPnD.detach() + drift_GPnD
        return (phi_g_GPnD - target_GPnD).square().mean(), size


def _by_set(phi_BPD: Tensor, sets: int) -> Tensor:
    """(G n, P, D) → (G, P, n, D)."""
    return phi_BPD.reshape(sets, -1, *phi_BPD.shape[1:]).transpose(1, 2)


def drift(
    generated: Tensor, real: Tensor, *, temperatures: tuple[float, ...]
) -> tuple[Tensor, Tensor]:
    """Σ_τ V of generated (…, n, D) and real (…, m, D) features, and V's root mean square before.

    Features are in units of the mean distance of two real images.  n is at least 2.
    """
    to_real = torch.cdist(generated, real)
    to_generated = torch.cdist(generated, generated)
    # An image does not repel itself.
    itself = torch.diag_embed(torch.full_like(to_generated[..., 0], torch.inf))
    distance, real_count = torch.cat([to_real, to_generated + itself], dim=-1), real.shape[-2]
    total, sizes = torch.zeros_like(generated), []
    for temperature in temperatures:
        logit = -distance / temperature
        weight = (logit.softmax(dim=-1) * logit.softmax(dim=-2)).sqrt()
        towards, away = weight[..., :real_count], weight[..., real_count:]
        force = (towards * away.sum(-1, keepdim=True)) @ real - (
            away * towards.sum(-1, keepdim=True)
        ) @ generated
        size = force.square().mean(dim=(-2, -1), keepdim=True).sqrt()
        total = total + force / size.clamp_min(_SMALLEST)
        sizes.append(size.mean())
    return total, torch.stack(sizes).mean()


def _mean_distance(real_GPmD: Tensor) -> Tensor:
    """Mean distance of two different real images of a set, (G, P, 1, 1)."""
    first_GPkD = real_GPmD[..., :_PAIRED, :]
    count = first_GPkD.shape[-2]
    distance = torch.cdist(first_GPkD, first_GPkD).sum(dim=(-2, -1), keepdim=True)
    return (distance / (count * (count - 1))).clamp_min(_SMALLEST)
