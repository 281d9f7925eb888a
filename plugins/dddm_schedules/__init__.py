"""Built-in schedules."""

from dddm.interfaces.plugin import Conformance, Kind, Registrar, hookimpl
from dddm_schedules.options import (
    KarrasOptions,
    RectifiedFlowOptions,
    VeOptions,
    VpContinuousOptions,
    VpCosineOptions,
    VpOptions,
    check_sigma,
    check_vp,
    describe_discrete,
    describe_karras,
    describe_unit,
)


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    registrar.add(
        Kind.SCHEDULE,
        "vp",
        target="dddm_schedules.discrete:vp",
        options=VpOptions,
        describe=describe_discrete,
        check=check_vp,
        summary="Variance preserving with linear β; the paper's.",
        conformance=Conformance(examples=({}, {"timesteps": 50})),
    )
    registrar.add(
        Kind.SCHEDULE,
        "vp-cosine",
        target="dddm_schedules.discrete:vp_cosine",
        options=VpCosineOptions,
        describe=describe_discrete,
        summary="Variance preserving with the cosine ᾱ of Nichol & Dhariwal (2021).",
        conformance=Conformance(examples=({}, {"timesteps": 50})),
    )
    registrar.add(
        Kind.SCHEDULE,
        "vp-continuous",
        target="dddm_schedules.continuous:VpContinuous",
        options=VpContinuousOptions,
        describe=describe_unit,
        summary="`vp` with real times in (0, 1] instead of T steps.",
    )
    registrar.add(
        Kind.SCHEDULE,
        "ve",
        target="dddm_schedules.discrete:VarianceExploding",
        options=VeOptions,
        describe=describe_discrete,
        check=check_sigma,
        summary="Variance exploding with geometric σ; the follow-up paper's.",
        conformance=Conformance(examples=({}, {"timesteps": 50, "sigma_max": 80.0})),
    )
    registrar.add(
        Kind.SCHEDULE,
        "linear",
        target="dddm_schedules.continuous:RectifiedFlow",
        options=RectifiedFlowOptions,
        describe=describe_unit,
        summary="The linear path of rectified flow, (1−t) x_0 + t ε.",
        conformance=Conformance(
            examples=({}, {"times": "logit-normal"}, {"times": "logit-normal", "mean": 0.5})
        ),
    )
    registrar.add(
        Kind.SCHEDULE,
        "karras",
        target="dddm_schedules.continuous:Karras",
        options=KarrasOptions,
        check=check_sigma,
        describe=describe_karras,
        summary="EDM's: x_0 + σ ε with log-normal σ, preconditioned (Karras et al. 2022).",
        conformance=Conformance(examples=({}, {"sigma_max": 50.0, "rho": 5.0, "log_mean": 0.0})),
    )
