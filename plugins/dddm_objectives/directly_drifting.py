"""Directly drifting: the loss of drifting in the structure of directly denoising; not in a paper.

As there, the network refines its own estimate at fixed x_T and T, and a store keeps estimates.  A
row of the memory is not a training image but a chain of the sampler, algorithm 2: a class, x_T, and
the estimate x̂ that it has reached.  Each set of n rows of one class has

    n/2 first steps     x_T ~ N(0, s(T)² I),  x̂ ~ N(0, I)
    n/2 later steps     x_T and x̂ from the memory; with probability ρ, and where there is none yet,
                        a new chain, whose first step the averaged network makes without gradient

    x̂'   = f_θ(x̂, x_T, T)
    loss = (d(first x̂', r) + d(later x̂', r)) / 2,     r real images of the class   `comparison`
    memory of the later rows ← x_T, clamp(x̂')

so that training sees just those x̂ that sampling feeds back.  First and later steps are compared
apart: as one set, good later steps would make up for bad first ones.

Why it is needed: x_T says nothing of x_0, so that a distance to one image has the mean of its class
as the best answer; a loss that compares sets has not.

Legend: B = G n rows in G sets, B' = G n/2 of one half, C channels, H rows of pixels, W columns.
"""

from typing import final

import torch
from torch import Tensor

from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import Outcome, TrainingProgress, TrainingStep
from dddm.interfaces.schedule import Schedule, expand_B111
from dddm_objectives.comparison import ComparesSets
from dddm_objectives.path import draw_noise
from dddm_objectives.set_options import DirectlyDriftingOptions


@final
class DirectlyDrifting(ComparesSets):
    """The objective `directly-drifting`."""

    def __init__(self, options: DirectlyDriftingOptions) -> None:
        super().__init__(options)
        self._restart = options.restart
        self._rows = options.rows

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
        uniform_B = torch.rand(count, generator=generator, device=generator.device)
        return {
            "noise": draw_noise(count=count, shape=shape, generator=generator),
            "first_estimate": draw_noise(count=count, shape=shape, generator=generator),
            "restart": uniform_B < self._restart,
        }

    def step(self, given: TrainingStep) -> Outcome:
        sets, memory, draws = given.batch.sets, given.memory, given.draws
        assert sets is not None, "describe_directly_drifting asks for sets"
        assert given.average is not None, "and for the averaged network"
        schedule, label_B = given.denoiser.schedule, given.batch.label
        count, device = len(draws["noise"]), draws["noise"].device
        t_B = schedule.grid(steps=1).to(device, non_blocking=True).expand(count)

        x_T_bCHW, new_x_T_bCHW = self._halves(schedule.prior(noise=draws["noise"]))
        x_hat_bCHW, new_x_hat_bCHW = self._halves(draws["first_estimate"])
        later_label_b = None
        if label_B is not None:
            label_b, later_label_b = self._halves(label_B)
            label_B = torch.cat([label_b, later_label_b])

        old = {name: self._halves(field)[1] for name, field in memory.items()}
        _, restart_b = self._halves(draws["restart"])
        kept_b111 = (old["depth"] > 0) & ~expand_B111(restart_b)
        later_x_T_bCHW = torch.where(kept_b111, old["x_T"], new_x_T_bCHW)
        started_bCHW = given.average.evaluate(
            x_t=later_x_T_bCHW,
            t=t_B[: len(later_x_T_bCHW)],
            label=later_label_b,
            estimate=new_x_hat_bCHW,
        ).clamp(-1, 1)
        later_x_hat_bCHW = torch.where(kept_b111, old["estimate"], started_bCHW)
        depth_b111 = torch.where(kept_b111, old["depth"], 1)

        refined_BCHW = given.denoiser.evaluate(
            x_t=torch.cat([x_T_bCHW, later_x_T_bCHW]),
            t=t_B,
            label=label_B,
            estimate=torch.cat([x_hat_bCHW, later_x_hat_bCHW]),
        )
        first_bCHW, later_bCHW = refined_BCHW[: len(x_T_bCHW)], refined_BCHW[len(x_T_bCHW) :]
        losses, drifts = zip(
            *(
                self._compare(x, sets.x_0, index=sets.index, step=given.progress.step)
                for x in (first_bCHW, later_bCHW)
            ),
            strict=True,
        )
        after = {
            "estimate": later_bCHW.detach().clamp(-1, 1),
            "x_T": later_x_T_bCHW,
            "depth": depth_b111 + 1,
        }
        later_B = torch.arange(count, device=device) % self._rows >= self._rows // 2
        return Outcome(
            loss=torch.stack(losses).mean(),
            memory={name: self._in_place(memory[name], field) for name, field in after.items()},
            written=later_B,
            numbers={"drift": drifts[0], "later_drift": drifts[1], "depth": depth_b111.mean()},
        )

    def _halves(self, rows_B: Tensor) -> tuple[Tensor, Tensor]:
        """The first and the later rows of every set, (B', …) each."""
        by_set = rows_B.reshape(-1, self._rows, *rows_B.shape[1:])
        middle = self._rows // 2
        return by_set[:, :middle].flatten(0, 1), by_set[:, middle:].flatten(0, 1)

    def _in_place(self, rows_B: Tensor, later_b: Tensor) -> Tensor:
        """All rows, (B, …), with new ones in the place of the later ones."""
        by_set = rows_B.reshape(-1, self._rows, *rows_B.shape[1:])
        new = later_b.reshape(len(by_set), -1, *rows_B.shape[1:])
        return torch.cat([by_set[:, : self._rows // 2], new], dim=1).flatten(0, 1)
