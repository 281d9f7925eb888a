"""Built-in optimizers."""

from dddm.interfaces.plugin import Conformance, Kind, Registrar, hookimpl
from dddm_optimizers.options import (
    AdamOptions,
    AdamWOptions,
    MuonOptions,
    RAdamOptions,
    SGDOptions,
    check_betas,
    check_muon,
    check_sgd,
)


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare the built-in optimizers."""
    registrar.add(
        Kind.OPTIMIZER,
        "adam",
        target="dddm_optimizers.first_order:adam",
        options=AdamOptions,
        check=check_betas,
        summary="Adam, the paper's; fused.",
        conformance=Conformance(examples=({}, {"betas": [0.0, 0.99], "eps": 1e-6})),
    )
    registrar.add(
        Kind.OPTIMIZER,
        "adamw",
        target="dddm_optimizers.first_order:adamw",
        options=AdamWOptions,
        check=check_betas,
        summary="Adam with decoupled weight decay; fused.",
        conformance=Conformance(examples=({}, {"weight_decay": 0.0})),
    )
    registrar.add(
        Kind.OPTIMIZER,
        "radam",
        target="dddm_optimizers.first_order:radam",
        options=RAdamOptions,
        check=check_betas,
        summary="Adam that needs no warm-up; rectified, decoupled weight decay.",
        conformance=Conformance(examples=({}, {"weight_decay": 0.01})),
    )
    registrar.add(
        Kind.OPTIMIZER,
        "sgd",
        target="dddm_optimizers.first_order:sgd",
        options=SGDOptions,
        check=check_sgd,
        summary="Stochastic gradient descent with momentum; fused.",
        conformance=Conformance(
            examples=({}, {"momentum": 0.0}, {"nesterov": True, "weight_decay": 1e-3})
        ),
    )
    registrar.add(
        Kind.OPTIMIZER,
        "muon",
        target="dddm_optimizers.muon:Muon",
        options=MuonOptions,
        check=check_muon,
        summary="Orthogonalised momentum for matrices and kernels, Adam for all else.",
        conformance=Conformance(
            examples=({}, {"nesterov": False, "weight_decay": 0.1}, {"least_channels": 1})
        ),
    )
