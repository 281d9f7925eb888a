"""Whether a sampler can use the network that an objective trains."""

from collections.abc import Iterator
from typing import Literal

from dddm.interfaces.info import ObjectiveInfo, SamplerInfo

Misfit = tuple[Literal["use", "steps"], str, str]
"""What is wrong, the sampler or its number of steps; why; and what to do."""


def misfits(
    sampler: tuple[str, SamplerInfo], objective: tuple[str, ObjectiveInfo], *, steps: int
) -> Iterator[Misfit]:
    """Why samples would be meaningless, or further steps change nothing.

    Args:
        sampler: its name and how it uses the network.
        objective: its name and what it needs.
        steps: the largest number of sampling steps.
    """
    (name, info), (objective_name, needs) = sampler, objective
    name, trains = f"the sampler {name}", f"the objective {objective_name} trains"
    if info.second_time and not needs.second_time:
        what = f"{name} passes a second time, but {trains} a network without one"
        yield "use", what, 'use another sampler, such as "ddim"'
    elif needs.second_time and info.refines and not info.second_time:
        what = f"{name} passes no second time, but {trains} a network that needs one to go from T "
        yield "use", f"{what}to 0", 'use a sampler that passes it, such as "jump"'
    if steps == 1:
        return
    if info.refines and needs.estimate != "estimate":
        of_what = "a network that takes none, so that further steps change nothing"
        if needs.estimate == "latent":
            of_what = "the network with a fresh latent there, not with an estimate"
        falling = ', or another sampler, such as "ddim"' if needs.times == "all" else ""
        yield "steps", f"{name} refines x̂, but {trains} {of_what}", f"use 1 step{falling}"
    if not info.refines and needs.times == "last":
        what = f"after one step {name} goes to times below T, but {trains} at T alone"
        fixed = ', or the sampler "fixed-time"' if needs.estimate == "estimate" else ""
        yield "steps", what, f"use 1 step{fixed}"
