"""Algorithm 2 with Anderson acceleration; an extension, not in the paper.

Algorithm 2 iterates towards a fixed point of g(x̂) = f_θ(x̂, x_T, T).  The next estimate mixes the
network's outputs of the last h steps, whose residuals are r_i = g(x_i) − x_i (Anderson 1965; Walker
and Ni 2011, eq. 1.2), with weights that sum to 1 and minimize the mixed residual:

    α = argmin ‖Σ α_i r_i‖²  with Σ α_i = 1,        x_next = Σ α_i g(x_i)

A sample is the network's last output g(x), never a mix.

Legend: B images of D = C·H·W values, h remembered steps.
"""

from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor

from dddm.interfaces.sampler import Denoiser, Sampler, StepNoise
from dddm_samplers.options import AcceleratedOptions


@final
class Accelerated(Sampler):
    """Mixes the last steps, image by image, so that their residuals cancel."""

    def __init__(self, options: AcceleratedOptions) -> None:
        self._clamp = options.clamp
        self._history = options.history
        self._ridge = options.ridge

    @property
    def prefix_consistent(self) -> bool:
        return True

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
        del noise  # deterministic
        if steps < 1:
            raise ValueError(f"steps is {steps}; it must be at least 1")
        t_B = model.schedule.grid(steps=1).to(x_T.device).expand(len(x_T))
        cache = model.begin(x_t=x_T, t=t_B, label=label)
        given: list[Tensor] = []
        residuals: list[Tensor] = []
        x_BCHW = first_estimate
        for _ in range(steps):
            g_BCHW = model.refine(cache, estimate=x_BCHW)
            if self._clamp:
                g_BCHW = g_BCHW.clamp(-1.0, 1.0)
            yield g_BCHW
            given = [*given, g_BCHW][-self._history :]
            residuals = [*residuals, g_BCHW - x_BCHW][-self._history :]
            x_BCHW = self._mixed(torch.stack(given, dim=1), torch.stack(residuals, dim=1))

    def _mixed(self, given_BhCHW: Tensor, residual_BhCHW: Tensor) -> Tensor:
        weight_Bh = least_residual_weights(residual_BhCHW.flatten(2), ridge=self._ridge)
        weight_Bh111 = weight_Bh[:, :, None, None, None].to(given_BhCHW.dtype)
        mixed_BCHW = (weight_Bh111 * given_BhCHW).sum(dim=1)
        return mixed_BCHW.clamp(-1.0, 1.0) if self._clamp else mixed_BCHW


def least_residual_weights(residual_BhD: Tensor, *, ridge: float) -> Tensor:
    """α of each image, (B, h), float64, from its residuals; they sum to 1.

    Args:
        residual_BhD: of the last h steps.
        ridge: added to the diagonal of the Gram matrix, as a share of its trace.
    """
    wide_BhD = residual_BhD.double()
    gram_Bhh = wide_BhD @ wide_BhD.transpose(1, 2)
    trace_B = gram_Bhh.diagonal(dim1=1, dim2=2).sum(dim=1)
    # At a fixed point all residuals are 0 and the trace cannot be divided by: weigh all equally.
    scale_B = torch.where(trace_B > 0, trace_B, torch.ones_like(trace_B))
    ridge_B = torch.where(trace_B > 0, ridge, 1.0)
    eye_hh = torch.eye(gram_Bhh.shape[1], dtype=torch.float64, device=gram_Bhh.device)
    gram_Bhh = gram_Bhh / scale_B[:, None, None] + ridge_B[:, None, None] * eye_hh
    ones_Bh1 = torch.ones_like(gram_Bhh[:, :, :1])
    unscaled_Bh = torch.linalg.solve(gram_Bhh, ones_Bh1)[:, :, 0]
    weight_Bh: Tensor = unscaled_Bh / unscaled_Bh.sum(dim=1, keepdim=True)
    return weight_Bh
