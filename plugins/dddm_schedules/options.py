"""Options of the built-in schedules.  Imports no torch."""

from collections.abc import Iterator
from typing import Literal, final

from attrs import frozen

from dddm.interfaces.info import ScheduleInfo
from dddm.interfaces.plugin import Issue, RecipeContext, option


@final
@frozen(kw_only=True)
class VpOptions:
    """Options of `vp`.  At T = 1000 the defaults are DDPM's β, 1e-4…0.02."""

    timesteps: int = option(1000, at_least=1, help="T, the number of times.")
    beta_start: float = option(0.1, above=0, help="b0: the first β is b0/T.")
    beta_end: float = option(20.0, above=0, help="b1: the last β is b1/T.")


@final
@frozen(kw_only=True)
class VpCosineOptions:
    """Options of `vp-cosine`."""

    timesteps: int = option(1000, at_least=1, help="T, the number of times.")
    offset: float = option(
        0.008, at_least=0, below=1, help="Keeps β from becoming too small near t = 0."
    )


@final
@frozen(kw_only=True)
class VpContinuousOptions:
    """Options of `vp-continuous`: the β of `vp`, with T = 1 and no step between times."""

    beta_start: float = option(0.1, above=0, help="b0: β(0), in units of 1/T.")
    beta_end: float = option(20.0, above=0, help="b1: β(T), in units of 1/T.")


@final
@frozen(kw_only=True)
class VeOptions:
    """Options of `ve`."""

    timesteps: int = option(1000, at_least=2, help="T, the number of times.")
    sigma_min: float = option(
        0.01, above=0, help="The smallest σ, at which the estimate is x_t itself."
    )
    sigma_max: float = option(50.0, above=0, help="The largest σ, from which samples start.")
    sigma_data: float = option(
        0.5,
        above=0,
        help="Approximate standard deviation of the images: the network sees "
        "x_t / √(σ² + sigma_data²).",
    )


@final
@frozen(kw_only=True)
class RectifiedFlowOptions:
    """Options of `linear`, the path of rectified flow."""

    times: Literal["uniform", "logit-normal"] = option(
        "uniform", help="How training times are distributed in (0, 1]."
    )
    mean: float = option(
        0.0, help="For logit-normal times: mean of ln t/(1−t); above 0 draws more noise."
    )
    std: float = option(
        1.0, above=0, help="For logit-normal times: standard deviation of ln t/(1−t)."
    )


@final
@frozen(kw_only=True)
class KarrasOptions:
    """Options of `karras`; the defaults are EDM's."""

    sigma_min: float = option(0.002, above=0, help="The last σ of a grid.")
    sigma_max: float = option(80.0, above=0, help="The σ from which samples start.")
    rho: float = option(7.0, above=0, help="ρ: how much of a grid lies at small σ.")
    log_mean: float = option(-1.2, help="P_mean: mean of ln σ in training.")
    log_std: float = option(1.2, above=0, help="P_std: standard deviation of ln σ in training.")
    sigma_data: float = option(
        0.5, above=0, help="Approximate standard deviation of the images, for c_skip, c_out, c_in."
    )


def describe_discrete(options: VpOptions | VpCosineOptions | VeOptions) -> ScheduleInfo:
    return ScheduleInfo(continuous=False, last_time=float(options.timesteps))


def describe_unit(options: VpContinuousOptions | RectifiedFlowOptions) -> ScheduleInfo:
    del options
    return ScheduleInfo(continuous=True, last_time=1.0)


def describe_karras(options: KarrasOptions) -> ScheduleInfo:
    return ScheduleInfo(continuous=True, last_time=options.sigma_max)


def check_sigma(options: VeOptions | KarrasOptions, context: RecipeContext) -> Iterator[Issue]:
    """Check that the noise rises with t."""
    del context
    if options.sigma_min >= options.sigma_max:
        yield Issue(
            option="sigma_max",
            what=f"σ must rise from sigma_min to sigma_max, but {options.sigma_min:g} is not below "
            f"{options.sigma_max:g}",
            remedy=f"use a sigma_max above {options.sigma_min:g}",
        )


def check_vp(options: VpOptions, context: RecipeContext) -> Iterator[Issue]:
    """Check that each β is below 1: at 1 and above, ᾱ is 0 or negative."""
    del context
    for name in ("beta_start", "beta_end"):
        value = getattr(options, name)
        if value >= options.timesteps:
            yield Issue(
                option=name,
                what=f"every β must be below 1, but {value:g} / {options.timesteps} timesteps is "
                f"{value / options.timesteps:g}",
                remedy=f"use more than {value:g} timesteps, or a smaller {name}",
            )
