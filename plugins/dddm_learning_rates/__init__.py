"""Built-in learning rates."""

from dddm.interfaces.plugin import Conformance, Kind, Registrar, hookimpl
from dddm_learning_rates.options import (
    ConstantOptions,
    CosineOptions,
    InverseSqrtOptions,
    StepsOptions,
    check_steps,
)


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare the built-in learning rates."""
    registrar.add(
        Kind.LEARNING_RATE,
        "constant",
        target="dddm_learning_rates.rates:Constant",
        options=ConstantOptions,
        summary="One rate for the whole run, the paper's.",
        conformance=Conformance(examples=({}, {"warmup_steps": 10})),
    )
    registrar.add(
        Kind.LEARNING_RATE,
        "steps",
        target="dddm_learning_rates.rates:Steps",
        options=StepsOptions,
        check=check_steps,
        summary="Falls by a factor at fractions of the run.",
        conformance=Conformance(examples=({}, {"drops": [0.5, 0.75], "warmup_steps": 10})),
    )
    registrar.add(
        Kind.LEARNING_RATE,
        "cosine",
        target="dddm_learning_rates.rates:Cosine",
        options=CosineOptions,
        summary="Falls along half a cosine to a share of what it was.",
        conformance=Conformance(
            examples=({}, {"final_fraction": 0.1, "begin": 0.5, "warmup_steps": 10})
        ),
    )
    registrar.add(
        Kind.LEARNING_RATE,
        "inverse-sqrt",
        target="dddm_learning_rates.rates:InverseSqrt",
        options=InverseSqrtOptions,
        summary="Falls as 1/√t from a number of steps on (EDM2).",
        conformance=Conformance(examples=({}, {"reference_steps": 20, "warmup_steps": 10})),
    )
