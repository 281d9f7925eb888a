"""Built-in samplers."""

from dddm.interfaces.info import SamplerInfo
from dddm.interfaces.plugin import Conformance, Kind, Registrar, hookimpl
from dddm_samplers.options import AcceleratedOptions, AnnealedOptions, FixedTimeOptions


def describe(options: object) -> SamplerInfo:
    """Samplers that stay at one time: only x̂ changes from step to step."""
    del options
    return SamplerInfo(refines=True)


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare the built-in samplers."""
    registrar.add(
        Kind.SAMPLER,
        "fixed-time",
        target="dddm_samplers.fixed_time:FixedTime",
        options=FixedTimeOptions,
        summary="Algorithm 2: x_T and T stay fixed while the estimate is refined.",
        describe=describe,
        conformance=Conformance(examples=({}, {"tolerance": 1e-4})),
    )
    registrar.add(
        Kind.SAMPLER,
        "accelerated",
        target="dddm_samplers.accelerated:Accelerated",
        options=AcceleratedOptions,
        summary="Algorithm 2 with Anderson acceleration; not in the paper.",
        describe=describe,
        conformance=Conformance(examples=({}, {"history": 1})),
    )
    registrar.add(
        Kind.SAMPLER,
        "annealed",
        target="dddm_samplers.annealed:Annealed",
        options=AnnealedOptions,
        summary="t falls and x_t is rebuilt from the estimate, as in DDIM; not in the paper.",
    )
