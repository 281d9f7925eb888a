"""Options of the built-in samplers; imports no torch."""

import importlib.util
import itertools
from collections.abc import Iterator
from typing import final

from attrs import frozen

from dddm.interfaces.plugin import Issue, RecipeContext, option

_CLAMP_HELP = "Clamp the estimate to [-1, 1] at each step."


@final
@frozen(kw_only=True)
class FixedTimeOptions:
    """Options of `fixed-time`."""

    clamp: bool = option(default=True, help=_CLAMP_HELP)
    tolerance: float = option(
        default=0.0,
        at_least=0,
        help="Stop refining an image whose estimate moved less than this in a step (root mean "
        "square over values in [-1, 1]).  0: every image makes every step.",
    )


@final
@frozen(kw_only=True)
class AcceleratedOptions:
    """Options of `accelerated`."""

    clamp: bool = option(default=True, help=_CLAMP_HELP)
    history: int = option(
        default=5, at_least=1, help="Number of last steps to mix; 1 is algorithm 2."
    )
    ridge: float = option(
        default=1e-6,
        above=0,
        help="Added to the Gram matrix's diagonal, relative to its trace.",
    )


@final
@frozen(kw_only=True)
class AnnealedOptions:
    """Options of `annealed`."""

    clamp: bool = option(default=True, help=_CLAMP_HELP)


@final
@frozen(kw_only=True)
class DdimOptions:
    """Options of `ddim`."""

    eta: float = option(
        0.0,
        at_least=0,
        at_most=1,
        help="η: fresh noise in each step.  0: none, the probability flow; 1: as much as in DDPM.",
    )
    clamp: bool = option(default=False, help=_CLAMP_HELP)


@final
@frozen(kw_only=True)
class ConsistencyOptions:
    """Options of `consistency`."""

    times: tuple[float, ...] = option(
        (),
        above=0,
        help="The noise s/a from which the second, third, … step starts, falling; further steps "
        "repeat the last.  Empty: the schedule's grid.",
    )
    sigma_min: float = option(
        0.0,
        at_least=0,
        help="The noise s/a that estimates still have, the boundary of consistency models.",
    )
    clamp: bool = option(default=True, help=_CLAMP_HELP)


@final
@frozen(kw_only=True)
class DiffusersOptions:
    """Options of `diffusers`."""

    scheduler: str = option(
        "DPMSolverMultistepScheduler",
        help="Class name of a scheduler of diffusers that makes one evaluation a step, such as "
        "DDPMScheduler, DDIMScheduler, DEISMultistepScheduler or UniPCMultistepScheduler.",
    )
    settings: tuple[str, ...] = option(
        (),
        help="Arguments of that class, such as solver_order=3 or algorithm_type=sde-dpmsolver++.  "
        "The schedule decides times and noise.",
    )
    clamp: bool = option(default=False, help=_CLAMP_HELP)


@final
@frozen(kw_only=True)
class MultistepOptions:
    """Options of `dpm-solver`, `deis` and `unipc`."""

    order: int = option(3, at_least=1, at_most=3, help="Order of the steps.")
    clamp: bool = option(default=False, help=_CLAMP_HELP)


def check_diffusers(
    options: DiffusersOptions | MultistepOptions, context: RecipeContext
) -> Iterator[Issue]:
    """Check that diffusers is installed."""
    del options, context
    if importlib.util.find_spec("diffusers") is None:
        yield Issue(
            option="use",
            what="the package diffusers is not installed",
            remedy="pip install 'dddm[diffusers]', or use another sampler, such as ddim",
        )


def check_consistency(options: ConsistencyOptions, context: RecipeContext) -> Iterator[Issue]:
    """Check that the noise falls, and stays above the smallest."""
    del context
    levels = options.times
    if any(later >= before for before, later in itertools.pairwise(levels)):
        yield Issue(
            option="times",
            what=f"the noise must fall from step to step, but the levels are {list(levels)}",
            remedy="order them from high to low, each once",
        )
    if levels and min(levels) < options.sigma_min:
        yield Issue(
            option="times",
            what=f"{min(levels):g} is below sigma_min, {options.sigma_min:g}",
            remedy=f"use levels of {options.sigma_min:g} and above",
        )
