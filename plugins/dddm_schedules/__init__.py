"""Built-in schedules."""

from dddm.interfaces.plugin import Conformance, Kind, Registrar, hookimpl
from dddm_schedules.options import (
    ContinuousOptions,
    CosineOptions,
    LinearOptions,
    VeOptions,
    check_linear,
    check_ve,
)


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare the built-in schedules."""
    registrar.add(
        Kind.SCHEDULE,
        "vp",
        target="dddm_schedules.linear:linear",
        options=LinearOptions,
        check=check_linear,
        summary="Variance preserving with linear β; the paper's.",
        conformance=Conformance(examples=({}, {"timesteps": 50})),
    )
    registrar.add(
        Kind.SCHEDULE,
        "vp-cosine",
        target="dddm_schedules.cosine:cosine",
        options=CosineOptions,
        summary="Variance preserving with the cosine ᾱ of Nichol & Dhariwal (2021).",
        conformance=Conformance(examples=({}, {"timesteps": 50})),
    )
    registrar.add(
        Kind.SCHEDULE,
        "vp-continuous",
        target="dddm_schedules.continuous:Continuous",
        options=ContinuousOptions,
        summary="`vp` with real times in (0, 1] instead of T steps.",
    )
    registrar.add(
        Kind.SCHEDULE,
        "ve",
        target="dddm_schedules.variance_exploding:VarianceExploding",
        options=VeOptions,
        check=check_ve,
        summary="Variance exploding with geometric σ; the follow-up paper's.",
        conformance=Conformance(examples=({}, {"timesteps": 50, "sigma_max": 80.0})),
    )
