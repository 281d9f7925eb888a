"""The leak diagnostic: does the estimate at t = T come from the noise or from the store?

At t = T next to nothing of x_0 is left in x_T, so a low error given the store's estimate says that
the store holds the answer.  Samples start from noise: only the error given noise speaks of them.
The variance of the data is the error of the best constant guess.  Beside them stands how much the
estimate changes per change of x̂, the Lipschitz constant of theorem 3.3 as it is met here.
"""

from typing import final

import torch
from attrs import frozen
from torch import Tensor

from dddm.interfaces.sampler import Denoiser


@final
@frozen(kw_only=True)
class Leak:
    """Mean squared errors over pixels, in the [-1, 1] range of the images.

    Attributes:
        given_store: of f(X̂[i], x_T, T) as an estimate of x_0.
        given_noise: of f(N(0, I), x_T, T).
        data_variance: of the images around their mean image.
        lipschitz: ‖f(a) − f(b)‖ / ‖a − b‖ for a = X̂[i] and b noise, mean over images.
    """

    given_store: float
    given_noise: float
    data_variance: float
    lipschitz: float


def data_variance(x_0: Tensor) -> float:
    """Mean over pixels of the variance over images (B, C, H, W)."""
    return float(x_0.double().var(dim=0, correction=0).mean())


@torch.no_grad()
def measure_leak(
    *,
    model: Denoiser,
    x_0: Tensor,
    stored_estimate: Tensor,
    noise: Tensor,
    noise_estimate: Tensor,
    label: Tensor | None,
) -> Leak:
    """Measure on images x_0, all tensors (B, C, H, W); the network must be in eval mode."""
    t_B = (
        model.schedule.grid(steps=1).to(x_0.device).expand(len(x_0))
    )  # T, as the schedule types it
    x_T_BCHW = model.schedule.diffuse(x_0=x_0, t=t_B, noise=noise)
    begun = model.begin(x_t=x_T_BCHW, t=t_B, label=label)
    from_store_BCHW = model.refine(begun, estimate=stored_estimate)
    from_noise_BCHW = model.refine(begun, estimate=noise_estimate)
    moved_B = (from_store_BCHW - from_noise_BCHW).flatten(1).norm(dim=1)
    apart_B = (stored_estimate - noise_estimate).flatten(1).norm(dim=1).clamp_min(1e-12)
    return Leak(
        given_store=float((from_store_BCHW - x_0).square().mean()),
        given_noise=float((from_noise_BCHW - x_0).square().mean()),
        data_variance=data_variance(x_0),
        lipschitz=float((moved_B / apart_B).mean()),
    )
