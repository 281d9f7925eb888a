"""What the samplers share whose times fall from T to 0.

    x_t' = a(t') D + s(t') ε,  ε = (x_t − a(t) D) / s(t)

DDIM's step without noise (arXiv 2010.02502, eq. 12) is Euler's for the probability flow, as well in
σ = s/a as in s/(a+s).  It divides by s alone: a(T) is 0 on the linear path.

Legend: B images of C channels, H rows, W columns; s steps.
"""

import torch
from torch import Tensor

from dddm.interfaces.sampler import Denoiser, StepNoise
from dddm.interfaces.schedule import Schedule, expand_B111


def falling_times(schedule: Schedule, *, steps: int, x_T: Tensor) -> Tensor:
    """The schedule's times of `steps` steps, then 0: (s+1, B), on the device of x_T."""
    grid_s = schedule.grid(steps=steps)
    return (
        torch.cat([grid_s, torch.zeros_like(grid_s[:1])])
        .to(x_T.device)[:, None]
        .expand(-1, x_T.shape[0])
    )


def implied_noise(schedule: Schedule, *, x_t: Tensor, x_0: Tensor, t: Tensor) -> Tensor:
    """The ε that turns `x_0` into `x_t` at `t`, (B, C, H, W)."""
    a_B111 = expand_B111(schedule.signal(t)).to(x_t.dtype)
    s_B111 = expand_B111(schedule.noise(t)).to(x_t.dtype)
    return (x_t - a_B111 * x_0) / s_B111


def ddim_step(schedule: Schedule, *, x_t: Tensor, x_0: Tensor, t: Tensor, later: Tensor) -> Tensor:
    """The image at the time `later`, below `t`, with the noise that `x_0` implies, (B, C, H, W)."""
    noise_BCHW = implied_noise(schedule, x_t=x_t, x_0=x_0, t=t)
    return schedule.diffuse(x_0=x_0, t=later, noise=noise_BCHW)


def fresh_noise(noise: StepNoise, *, step: int) -> Tensor:
    """N(0, I) noise that is added to x_t before a step, (B, C, H, W)."""
    return noise(2 * step)


def network_estimate(model: Denoiser, *, estimate: Tensor, noise: StepNoise, step: int) -> Tensor:
    """x̂ of a step, (B, C, H, W): what the step before gave, or a latent of its own.

    The first step's is the first estimate, which is N(0, I) noise already.
    """
    return noise(2 * step + 1) if step > 0 and model.takes_latent else estimate
