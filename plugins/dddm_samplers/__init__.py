"""Built-in samplers."""

from dddm.interfaces.info import SamplerInfo
from dddm.interfaces.plugin import Conformance, Kind, Registrar, hookimpl
from dddm_samplers.options import (
    AcceleratedOptions,
    AnnealedOptions,
    ConsistencyOptions,
    DdimOptions,
    DiffusersOptions,
    FixedTimeOptions,
    MultistepOptions,
    check_consistency,
    check_diffusers,
)


def describe_fixed_time(options: object) -> SamplerInfo:
    """Samplers that stay at one time: only x̂ changes from step to step."""
    del options
    return SamplerInfo(refines=True)


def describe_jump(options: object) -> SamplerInfo:
    del options
    return SamplerInfo(second_time=True)


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare the built-in samplers."""
    registrar.add(
        Kind.SAMPLER,
        "fixed-time",
        target="dddm_samplers.fixed_time:FixedTime",
        options=FixedTimeOptions,
        summary="Algorithm 2: x_T and T stay fixed while the estimate is refined.",
        describe=describe_fixed_time,
        conformance=Conformance(examples=({}, {"tolerance": 1e-4})),
    )
    registrar.add(
        Kind.SAMPLER,
        "accelerated",
        target="dddm_samplers.accelerated:Accelerated",
        options=AcceleratedOptions,
        summary="Algorithm 2 with Anderson acceleration; not in the paper.",
        describe=describe_fixed_time,
        conformance=Conformance(examples=({}, {"history": 1})),
    )
    registrar.add(
        Kind.SAMPLER,
        "annealed",
        target="dddm_samplers.ddim:annealed",
        options=AnnealedOptions,
        summary="`ddim` with the estimate clamped at each step; not in the paper.",
        conformance=Conformance(examples=({}, {"clamp": False})),
    )
    registrar.add(
        Kind.SAMPLER,
        "ddim",
        target="dddm_samplers.ddim:Ddim",
        options=DdimOptions,
        summary="Euler steps of the probability flow, or DDPM's (Song et al. 2021).",
        conformance=Conformance(examples=({}, {"eta": 1.0}, {"eta": 0.5, "clamp": True})),
    )
    registrar.add(
        Kind.SAMPLER,
        "heun",
        target="dddm_samplers.heun:Heun",
        summary="Second-order steps of the probability flow (Karras et al. 2022).",
    )
    registrar.add(
        Kind.SAMPLER,
        "consistency",
        target="dddm_samplers.consistency:Consistency",
        options=ConsistencyOptions,
        check=check_consistency,
        summary="Estimates, adds less noise and estimates again (Song et al. 2023).",
        conformance=Conformance(
            examples=({}, {"sigma_min": 0.002}, {"times": [8.0, 4.0, 2.0, 1.0, 0.5, 0.2]})
        ),
    )
    registrar.add(
        Kind.SAMPLER,
        "jump",
        target="dddm_samplers.jump:Jump",
        summary="Steps of a network with a second time (MeanFlow, Geng et al. 2025).",
        describe=describe_jump,
    )
    registrar.add(
        Kind.SAMPLER,
        "diffusers",
        target="dddm_samplers.diffusers_schedulers:DiffusersScheduler",
        options=DiffusersOptions,
        check=check_diffusers,
        summary="Any scheduler of the library diffusers that makes one evaluation a step.",
        conformance=Conformance(
            examples=(
                {},
                {"scheduler": "DDPMScheduler", "clamp": True},
                {"scheduler": "DDIMScheduler"},
                {"scheduler": "DEISMultistepScheduler", "settings": ["solver_order=3"]},
                {"scheduler": "UniPCMultistepScheduler"},
                {"settings": ["algorithm_type=sde-dpmsolver++"]},
                {"scheduler": "EulerDiscreteScheduler"},
            )
        ),
    )
    for name, target, summary in (
        ("dpm-solver", "dpm_solver", "DPM-Solver++ in its multistep form (Lu et al. 2022)."),
        ("deis", "deis", "DEIS, an exponential integrator (Zhang & Chen 2022)."),
        ("unipc", "unipc", "UniPC, a predictor and a corrector (Zhao et al. 2023)."),
    ):
        registrar.add(
            Kind.SAMPLER,
            name,
            target=f"dddm_samplers.diffusers_schedulers:{target}",
            options=MultistepOptions,
            check=check_diffusers,
            summary=summary,
            conformance=Conformance(examples=({}, {"order": 2, "clamp": True})),
        )
