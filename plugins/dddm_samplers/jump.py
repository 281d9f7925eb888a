"""Jumps over the times of a network that is given both ends of a jump (MeanFlow, arXiv 2505.13447).

    x_T ~ N(0, I);  for t in T = t_1 > t_2 > … > t_s > 0, r being the next, 0 at the end:
        D    = f_θ(x_t, t, r)
        x_r  = a(r) D + s(r) ε,  ε = (x_t − a(t) D) / s(t)

On the linear path, where D = x_t − t u for the average velocity u(x_t, r, t), this is the paper's
x_r = x_t − (t − r) u.

Legend: B images of C channels, H rows, W columns; s steps.
"""

from collections.abc import Iterator
from typing import final

from torch import Tensor

from dddm.interfaces.sampler import Denoiser, Sampler, StepNoise
from dddm_samplers.falling import ddim_step, falling_times, network_estimate


@final
class Jump(Sampler):
    """DDIM's steps with both ends of each step given to the network."""

    def __init__(self, options: object) -> None:
        del options

    @property
    def prefix_consistent(self) -> bool:
        return False  # the times depend on how many there are

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
        t_nB = falling_times(model.schedule, steps=steps, x_T=x_T)
        x_t_BCHW, D_BCHW = x_T, first_estimate
        for step in range(steps):
            t_B, r_B = t_nB[step], t_nB[step + 1]
            if step > 0:
                x_t_BCHW = ddim_step(
                    model.schedule, x_t=x_t_BCHW, x_0=D_BCHW, t=t_nB[step - 1], later=t_B
                )
            given_BCHW = network_estimate(model, estimate=D_BCHW, noise=noise, step=step)
            D_BCHW = model.evaluate(
                x_t=x_t_BCHW, t=t_B, label=label, estimate=given_BCHW, second_time=r_B
            )
            yield D_BCHW.clamp(-1.0, 1.0)
