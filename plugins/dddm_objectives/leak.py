"""The leak diagnostic: does the estimate at t = T come from the noise or from the store?

At t = T next to nothing of x_0 is left in x_T, so a low error given the store's estimate means that
the store holds the answer.  Samples start from noise, so only the error given noise predicts their
quality.  The variance of the data is the error of the best constant guess, and `lipschitz` an
estimate of the constant of theorem 3.3.

    given_store    mean (f(X̂[i], x_T, T) − x_0)²        over pixels of the [-1, 1] range
    given_noise    mean (f(N(0, I), x_T, T) − x_0)²
    data_variance  of the images around their mean image
    lipschitz      mean ‖f(a) − f(b)‖ / ‖a − b‖,  a = X̂[i], b noise
"""

import torch
from torch import Tensor

from dddm.interfaces.objective import Diagnosis


def data_variance(x_0: Tensor) -> float:
    """Mean over pixels of the variance over images (B, C, H, W)."""
    return float(x_0.double().var(dim=0, correction=0).mean())


@torch.no_grad()
def measure_leak(given: Diagnosis) -> dict[str, float]:
    """The four numbers above, by name."""
    denoiser, x_0_BCHW = given.denoiser, given.batch.x_0
    stored_BCHW, noise_BCHW = given.memory["estimate"], given.noise("leak estimate")
    # last_time would not do: a discrete schedule looks up int64 times, a continuous one float64.
    t_B = denoiser.schedule.grid(steps=1).to(x_0_BCHW.device).expand(len(x_0_BCHW))
    x_T_BCHW = denoiser.schedule.diffuse(x_0=x_0_BCHW, t=t_B, noise=given.noise("leak x_T"))
    cache = denoiser.begin(x_t=x_T_BCHW, t=t_B, label=given.batch.label)
    from_store_BCHW = denoiser.refine(cache, estimate=stored_BCHW)
    from_noise_BCHW = denoiser.refine(cache, estimate=noise_BCHW)
    change_B = (from_store_BCHW - from_noise_BCHW).flatten(1).norm(dim=1)
    distance_B = (stored_BCHW - noise_BCHW).flatten(1).norm(dim=1).clamp_min(1e-12)
    return {
        "given_store": float((from_store_BCHW - x_0_BCHW).square().mean()),
        "given_noise": float((from_noise_BCHW - x_0_BCHW).square().mean()),
        "data_variance": data_variance(x_0_BCHW),
        "lipschitz": float((change_B / distance_B).mean()),
    }
